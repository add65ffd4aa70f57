//! Lists files for operators, with their deletions.

use domain::FileId;
use jiff::Timestamp;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use serde::Serialize;

use crate::convert;
use crate::entity::files;
use crate::error::RecordsError;
use crate::records::Records;

/// Which files to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FilesFilter {
    /// Only those of this owner.
    pub owner: Option<String>,
    /// True: only deleted files that are not purged yet. False: only files that are not deleted.
    pub deleted: bool,
}

/// A file as its row stores it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileRow {
    /// Its id.
    pub id: String,
    /// The owner.
    pub owner: String,
    /// The name of its latest version.
    pub name: String,
    /// The number of its latest version; 0 while the first one is processed.
    pub latest_version: i32,
    /// When it was created.
    pub created_at: Timestamp,
    /// When its latest version was created.
    pub changed_at: Timestamp,
    /// When it was deleted.
    pub deleted_at: Option<Timestamp>,
    /// The user who deleted it.
    pub deleted_by: Option<String>,
    /// Until when it can be restored.
    pub restorable_until: Option<Timestamp>,
}

impl Records {
    /// Lists at most `limit` files by their ids, after the id `cursor`.
    ///
    /// # Errors
    /// Any database error.
    pub async fn list_files(
        &self,
        filter: &FilesFilter,
        cursor: Option<&FileId>,
        limit: u64,
    ) -> Result<Vec<FileRow>, RecordsError> {
        let mut page = files::Entity::find().order_by_asc(files::Column::Id).limit(limit);
        page = match filter.deleted {
            // The index of deleted files has this condition.
            true => page.filter(files::Column::PurgeAt.is_not_null()),
            false => page.filter(files::Column::DeletedAt.is_null()),
        };
        if let Some(owner) = &filter.owner {
            page = page.filter(files::Column::Owner.eq(owner));
        }
        if let Some(cursor) = cursor {
            page = page.filter(files::Column::Id.gt(cursor.as_str()));
        }
        Ok(page.all(&self.db).await?.into_iter().map(file_row).collect())
    }
}

fn file_row(row: files::Model) -> FileRow {
    FileRow {
        id: row.id,
        owner: row.owner,
        name: row.name,
        latest_version: row.latest_version,
        created_at: convert::timestamp(row.created_at),
        changed_at: convert::timestamp(row.changed_at),
        deleted_at: row.deleted_at.map(convert::timestamp),
        deleted_by: row.deleted_by,
        restorable_until: row.purge_at.map(convert::timestamp),
    }
}
