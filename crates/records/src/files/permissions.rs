//! Current roles at a file, checked when a request arrives and again by the settling transaction.

use domain::{AccessGrant, Audience, FileId, FileRole};
use sea_orm::{ConnectionTrait, EntityTrait};

use crate::entity::{applinks, file_grants, files, public_links, users};
use crate::error::RecordsError;
use crate::files::queries::is_deleted;
use crate::records::Records;
use crate::users::Role;
use crate::write_tx::WriteTx;

impl Records {
    /// The current role that the grant `right` gives at a file; None if it gives no role, or if the file is deleted.
    ///
    /// # Errors
    /// Any database error.
    pub async fn file_role(&self, file: &FileId, right: &AccessGrant) -> Result<Option<FileRole>, RecordsError> {
        role_of(&self.db, file.as_str(), right, self.now_ms()).await
    }
}

impl WriteTx {
    /// As [`Records::file_role`], within this transaction.
    pub(crate) async fn file_role(
        &self,
        file: &str,
        right: &AccessGrant,
        now: i64,
    ) -> Result<Option<FileRole>, RecordsError> {
        role_of(&self.tx, file, right, now).await
    }
}

async fn role_of(
    db: &impl ConnectionTrait,
    file: &str,
    right: &AccessGrant,
    now: i64,
) -> Result<Option<FileRole>, RecordsError> {
    if is_deleted(db, file).await? {
        return Ok(None);
    }
    match right {
        AccessGrant::User(user) => role_of_user(db, file, user).await,
        AccessGrant::Applink(id) => {
            let link = applinks::Entity::find_by_id(id).one(db).await?;
            let link = link.filter(|link| link.file_id == file && link.revoked_at.is_none());
            let Some(link) = link else { return Ok(None) };
            if !Audience::from_strings(vec![link.audience.clone()]).is_general_access()
                && !is_active_user(db, &link.audience).await?
            {
                return Ok(None);
            }
            role_of_link(db, file, &link.created_by, &link.role).await
        }
        AccessGrant::PublicLink(id) => {
            let link = public_links::Entity::find_by_id(id).one(db).await?;
            let over = |link: &public_links::Model| link.expires_at.is_some_and(|at| at <= now);
            let link = link.filter(|link| link.file_id == file && link.revoked_at.is_none() && !over(link));
            let Some(link) = link else { return Ok(None) };
            role_of_link(db, file, &link.created_by, &link.role).await
        }
    }
}

/// The role of a link; it counts only while the link's creator may share the file.
async fn role_of_link(
    db: &impl ConnectionTrait,
    file: &str,
    by: &str,
    role: &str,
) -> Result<Option<FileRole>, RecordsError> {
    let theirs = role_of_user(db, file, by).await?;
    let role = role.parse()?;
    Ok(theirs.filter(|theirs| *theirs >= FileRole::Manager).map(|_| role))
}

async fn role_of_user(db: &impl ConnectionTrait, file: &str, user: &str) -> Result<Option<FileRole>, RecordsError> {
    let known = users::Entity::find_by_id(user).one(db).await?;
    let Some(known) = known.filter(|known| known.disabled_at.is_none()) else { return Ok(None) };
    if known.role.parse::<Role>()? == Role::Admin {
        return Ok(Some(FileRole::Owner));
    }
    let owns = files::Entity::find_by_id(file).one(db).await?.is_some_and(|file| file.owner == user);
    if owns {
        return Ok(Some(FileRole::Owner));
    }
    let grant = file_grants::Entity::find_by_id((file.to_owned(), user.to_owned())).one(db).await?;
    Ok(grant.map(|grant| grant.role.parse()).transpose()?)
}

async fn is_active_user(db: &impl ConnectionTrait, user: &str) -> Result<bool, RecordsError> {
    let known = users::Entity::find_by_id(user).one(db).await?;
    Ok(known.is_some_and(|known| known.disabled_at.is_none()))
}
