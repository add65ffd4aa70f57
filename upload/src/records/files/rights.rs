//! Who may do what with a file, now: asked at the door, and again by the settling transaction.

use sea_orm::{ConnectionTrait, EntityTrait};

use super::super::entity::{applinks, file_grants, files, public_links, users};
use super::super::people::Role;
use super::super::{Records, RecordsError, Writing};
use crate::document::{Assigned, FileId, FileRole, Right};

impl Records {
    /// The role that a right gives at a file now; None where it gives none.
    ///
    /// # Errors
    /// The database's.
    pub async fn file_role(&self, file: &FileId, right: &Right) -> Result<Option<FileRole>, RecordsError> {
        role(&self.db, file.as_str(), right, self.now_ms()).await
    }
}

impl Writing {
    /// The same, as it stands in this transaction.
    pub(super) async fn file_role(
        &self,
        file: &str,
        right: &Right,
        now: i64,
    ) -> Result<Option<FileRole>, RecordsError> {
        role(&self.tx, file, right, now).await
    }
}

async fn role(
    db: &impl ConnectionTrait,
    file: &str,
    right: &Right,
    now: i64,
) -> Result<Option<FileRole>, RecordsError> {
    match right {
        Right::User(user) => users_role(db, file, user).await,
        Right::Applink(id) => {
            let link = applinks::Entity::find_by_id(id).one(db).await?;
            let link = link.filter(|link| link.file_id == file && link.revoked_at.is_none());
            let Some(link) = link else { return Ok(None) };
            if !Assigned::of(vec![link.assigned.clone()]).is_for_many() && !may_act(db, &link.assigned).await? {
                return Ok(None);
            }
            given_by(db, file, &link.created_by, &link.role).await
        }
        Right::PublicLink(id) => {
            let link = public_links::Entity::find_by_id(id).one(db).await?;
            let over = |link: &public_links::Model| link.expires_at.is_some_and(|at| at <= now);
            let link = link.filter(|link| link.file_id == file && link.revoked_at.is_none() && !over(link));
            let Some(link) = link else { return Ok(None) };
            given_by(db, file, &link.created_by, &link.role).await
        }
    }
}

/// A link is worth what it says for as long as whoever made it may share the file.
async fn given_by(
    db: &impl ConnectionTrait,
    file: &str,
    by: &str,
    role: &str,
) -> Result<Option<FileRole>, RecordsError> {
    let theirs = users_role(db, file, by).await?;
    let role = role.parse()?;
    Ok(theirs.filter(|theirs| *theirs >= FileRole::Manager).map(|_| role))
}

async fn users_role(db: &impl ConnectionTrait, file: &str, user: &str) -> Result<Option<FileRole>, RecordsError> {
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

async fn may_act(db: &impl ConnectionTrait, user: &str) -> Result<bool, RecordsError> {
    let known = users::Entity::find_by_id(user).one(db).await?;
    Ok(known.is_some_and(|known| known.disabled_at.is_none()))
}
