//! Grants users roles at files, and registers files whose bytes are in another system.

use domain::{FileId, FileRole, TargetConflict};
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ActiveModelTrait, ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Set};

use crate::entity::{file_grants, file_versions, files};
use crate::error::RecordsError;
use crate::records::Records;
use crate::write::TxEnd;
use crate::write_tx::WriteTx;

impl Records {
    /// Grants a user a role at a file. It replaces an earlier role.
    ///
    /// # Errors
    /// Any database error.
    pub async fn share_file(&self, file: &FileId, user: &str, role: FileRole) -> Result<(), RecordsError> {
        self.write_statement("share_file", async |db| {
            let row = file_grants::ActiveModel {
                file_id: Set(file.to_string()),
                user_id: Set(user.to_owned()),
                role: Set(role.as_str().to_owned()),
                created_at: Set(self.now_ms()),
            };
            file_grants::Entity::insert(row).on_conflict(replace_role()).exec_without_returning(db).await?;
            Ok(())
        })
        .await
    }

    /// Revokes a user's role at a file. A missing role is no error.
    ///
    /// # Errors
    /// Any database error.
    pub async fn unshare_file(&self, file: &FileId, user: &str) -> Result<(), RecordsError> {
        self.write_statement("unshare_file", async |db| {
            file_grants::Entity::delete_by_id((file.to_string(), user.to_owned())).exec(db).await?;
            Ok(())
        })
        .await
    }

    /// The users with a grant at a file and their roles, by user.
    ///
    /// # Errors
    /// Any database error.
    pub async fn file_grants(&self, file: &FileId) -> Result<Vec<(String, FileRole)>, RecordsError> {
        let rows = file_grants::Entity::find()
            .filter(file_grants::Column::FileId.eq(file.as_str()))
            .order_by_asc(file_grants::Column::UserId)
            .all(&self.db)
            .await?;
        rows.into_iter().map(|row| Ok((row.user_id, row.role.parse()?))).collect()
    }

    /// Registers a file whose bytes are in another system, or a newer version of it. Sets its name, its owner, the
    /// number of its latest version, and exactly these grants if they are given.
    ///
    /// Version numbers only grow: a number that is not higher changes only the name, the owner and the grants.
    /// Refuses if that version is being uploaded here, or if the file is deleted.
    ///
    /// # Errors
    /// Any database error; then nothing was changed.
    pub async fn register_file(
        &self,
        file: &FileId,
        name: &str,
        owner: &str,
        version: u32,
        grants: Option<&[(String, FileRole)]>,
    ) -> Result<Result<(), TargetConflict>, RecordsError> {
        self.write("register_file", async |tx| {
            let now = self.now_ms();
            let number = i32::try_from(version).unwrap_or(i32::MAX);
            // Locked, so that it is not deleted meanwhile.
            let before = files::Entity::find_by_id(file.as_str()).lock_exclusive().one(&tx.tx).await?;
            if before.as_ref().is_some_and(|before| before.deleted_at.is_some()) {
                return Ok(TxEnd::Rollback(Err(TargetConflict::FileDeleted)));
            }
            let row = files::ActiveModel {
                id: Set(file.to_string()),
                owner: Set(owner.to_owned()),
                name: Set(name.to_owned()),
                latest_version: Set(number),
                created_at: Set(now),
                changed_at: Set(now),
                ..Default::default()
            };
            let known = OnConflict::column(files::Column::Id)
                .update_columns([files::Column::Owner, files::Column::Name])
                .to_owned();
            files::Entity::insert(row).on_conflict(known).exec_without_returning(&tx.tx).await?;
            let newer = before.is_none_or(|before| before.latest_version < number);
            if !tx.register_version(file, number, name, owner, newer, now).await? {
                return Ok(TxEnd::Rollback(Err(TargetConflict::VersionChanged)));
            }
            files::Entity::update_many()
                .col_expr(files::Column::LatestVersion, Expr::value(number))
                .col_expr(files::Column::ChangedAt, Expr::value(now))
                .filter(files::Column::Id.eq(file.as_str()))
                .filter(files::Column::LatestVersion.lt(number))
                .exec(&tx.tx)
                .await?;
            if let Some(grants) = grants {
                file_grants::Entity::delete_many()
                    .filter(file_grants::Column::FileId.eq(file.as_str()))
                    .exec(&tx.tx)
                    .await?;
                for (user, role) in grants {
                    let row = file_grants::ActiveModel {
                        file_id: Set(file.to_string()),
                        user_id: Set(user.clone()),
                        role: Set(role.as_str().to_owned()),
                        created_at: Set(now),
                    };
                    file_grants::Entity::insert(row).on_conflict(replace_role()).exec_without_returning(&tx.tx).await?;
                }
            }
            Ok(TxEnd::Commit(Ok(())))
        })
        .await
    }
}

impl WriteTx {
    /// Registers a version with this number from another system. A version registered before gets the name. A failed
    /// upload under the number is replaced. Returns false if an upload under the number is in progress.
    async fn register_version(
        &self,
        file: &FileId,
        number: i32,
        name: &str,
        owner: &str,
        newer: bool,
        now: i64,
    ) -> Result<bool, RecordsError> {
        let there = file_versions::Entity::find()
            .filter(file_versions::Column::FileId.eq(file.as_str()))
            .filter(file_versions::Column::Number.eq(number));
        let fresh = file_versions::ActiveModel {
            file_id: Set(file.to_string()),
            number: Set(number),
            upload_id: Set(None),
            name: Set(name.to_owned()),
            created_by: Set(owner.to_owned()),
            access_grant: Set(None),
            created_at: Set(now),
            ready_at: Set(Some(now)),
            released_at: Set(None),
            ..Default::default()
        };
        match there.one(&self.tx).await? {
            Some(row) if row.upload_id.is_none() => {
                let named =
                    file_versions::ActiveModel { id: Set(row.id), name: Set(name.to_owned()), ..Default::default() };
                named.update(&self.tx).await?;
            }
            Some(row) if row.released_at.is_some() => {
                file_versions::ActiveModel { id: Set(row.id), ..fresh }.update(&self.tx).await?;
            }
            Some(_) => return Ok(false),
            None if newer => {
                let first = OnConflict::new().do_nothing().to_owned();
                let written = file_versions::Entity::insert(fresh).on_conflict(first);
                // If nothing was written, another request was faster.
                return Ok(written.exec_without_returning(&self.tx).await? > 0);
            }
            None => {}
        }
        Ok(true)
    }
}

fn replace_role() -> OnConflict {
    OnConflict::columns([file_grants::Column::FileId, file_grants::Column::UserId])
        .update_column(file_grants::Column::Role)
        .to_owned()
}
