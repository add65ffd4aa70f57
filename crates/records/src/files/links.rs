//! Links to files, for applications and for people. A link is a row that is read each time it is used, so that a
//! revocation takes effect at once.

use domain::{Applink, Audience, FileId, PublicLink};
use jiff::Timestamp;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, Set};

use crate::convert;
use crate::entity::{applinks, public_links};
use crate::error::RecordsError;
use crate::files::queries::is_deleted;
use crate::records::Records;

impl Records {
    /// Adds an applink.
    ///
    /// # Errors
    /// Any database error.
    pub async fn add_applink(&self, link: &Applink) -> Result<(), RecordsError> {
        self.write_statement("add_applink", async |db| {
            let row = applinks::ActiveModel {
                id: Set(link.id.clone()),
                file_id: Set(link.file.to_string()),
                audience: Set(link.audience.to_strings().join(" ")),
                role: Set(link.role.as_str().to_owned()),
                created_by: Set(link.created_by.clone()),
                created_at: Set(self.now_ms()),
                revoked_at: Set(None),
            };
            applinks::Entity::insert(row).exec_without_returning(db).await?;
            Ok(())
        })
        .await
    }

    /// An applink that is not revoked, to a file that is not deleted.
    ///
    /// # Errors
    /// Any database error.
    pub async fn applink(&self, id: &str) -> Result<Option<Applink>, RecordsError> {
        let row = applinks::Entity::find_by_id(id).one(&self.db).await?.filter(|row| row.revoked_at.is_none());
        if let Some(row) = &row
            && is_deleted(&self.db, &row.file_id).await?
        {
            return Ok(None);
        }
        let read = |row: applinks::Model| {
            Ok(Applink {
                id: row.id,
                file: parse_file_id(&row.file_id)?,
                audience: Audience::from_strings(vec![row.audience]),
                role: row.role.parse()?,
                created_by: row.created_by,
            })
        };
        row.map(read).transpose()
    }

    /// Revokes an applink. Returns false if there is none.
    ///
    /// # Errors
    /// Any database error.
    pub async fn revoke_applink(&self, id: &str) -> Result<bool, RecordsError> {
        self.write_statement("revoke_applink", async |db| {
            let revoked = applinks::Entity::update_many()
                .col_expr(applinks::Column::RevokedAt, Expr::value(self.now_ms()))
                .filter(applinks::Column::Id.eq(id))
                .filter(applinks::Column::RevokedAt.is_null())
                .exec(db)
                .await?;
            Ok(revoked.rows_affected == 1)
        })
        .await
    }

    /// Adds a public link. Its `created_at` is set here.
    ///
    /// # Errors
    /// Any database error.
    pub async fn add_public_link(&self, link: &PublicLink) -> Result<(), RecordsError> {
        self.write_statement("add_public_link", async |db| {
            let audience = serde_json::to_string(&link.audience.to_strings());
            let row = public_links::ActiveModel {
                id: Set(link.id.clone()),
                file_id: Set(link.file.to_string()),
                name: Set(link.name.clone()),
                role: Set(link.role.as_str().to_owned()),
                audience: Set(audience.map_err(|error| RecordsError::CorruptRow(error.to_string()))?),
                password_hash: Set(link.password_hash.clone()),
                expires_at: Set(link.expires_at.map(Timestamp::as_millisecond)),
                expiration_time: Set(link.expiration_time.clone()),
                created_by: Set(link.created_by.clone()),
                created_at: Set(self.now_ms()),
                revoked_at: Set(None),
            };
            public_links::Entity::insert(row).exec_without_returning(db).await?;
            Ok(())
        })
        .await
    }

    /// A public link that is not revoked, to a file that is not deleted; the link may have expired.
    ///
    /// # Errors
    /// Any database error.
    pub async fn public_link(&self, id: &str) -> Result<Option<PublicLink>, RecordsError> {
        let row = public_links::Entity::find_by_id(id).one(&self.db).await?.filter(|row| row.revoked_at.is_none());
        if let Some(row) = &row
            && is_deleted(&self.db, &row.file_id).await?
        {
            return Ok(None);
        }
        row.map(public_link_of).transpose()
    }

    /// The public links of a file that are not revoked, oldest first.
    ///
    /// # Errors
    /// Any database error.
    pub async fn public_links(&self, file: &FileId) -> Result<Vec<PublicLink>, RecordsError> {
        let rows = public_links::Entity::find()
            .filter(public_links::Column::FileId.eq(file.as_str()))
            .filter(public_links::Column::RevokedAt.is_null())
            .order_by_asc(public_links::Column::CreatedAt)
            .order_by_asc(public_links::Column::Id)
            .all(&self.db)
            .await?;
        rows.into_iter().map(public_link_of).collect()
    }

    /// Revokes a public link. Returns false if there is none.
    ///
    /// # Errors
    /// Any database error.
    pub async fn revoke_public_link(&self, id: &str) -> Result<bool, RecordsError> {
        self.write_statement("revoke_public_link", async |db| {
            let revoked = public_links::Entity::update_many()
                .col_expr(public_links::Column::RevokedAt, Expr::value(self.now_ms()))
                .filter(public_links::Column::Id.eq(id))
                .filter(public_links::Column::RevokedAt.is_null())
                .exec(db)
                .await?;
            Ok(revoked.rows_affected == 1)
        })
        .await
    }
}

fn parse_file_id(text: &str) -> Result<FileId, RecordsError> {
    text.parse().map_err(|error| RecordsError::CorruptRow(format!("file {text}: {error}")))
}

fn public_link_of(row: public_links::Model) -> Result<PublicLink, RecordsError> {
    let audience: Result<Vec<String>, _> = serde_json::from_str(&row.audience);
    let audience = audience.map_err(|error| RecordsError::CorruptRow(format!("public link {}: {error}", row.id)))?;
    Ok(PublicLink {
        file: parse_file_id(&row.file_id)?,
        name: row.name,
        audience: Audience::from_strings(audience),
        role: row.role.parse()?,
        password_hash: row.password_hash,
        expires_at: row.expires_at.map(convert::timestamp),
        expiration_time: row.expiration_time,
        created_by: row.created_by,
        created_at: convert::timestamp(row.created_at),
        id: row.id,
    })
}
