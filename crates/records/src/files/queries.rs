//! Queries for files, versions and renditions. Only ready ones are found.

use std::collections::HashMap;

use domain::{File, FileId, FileVersion, Rendition, RenditionName, Upload, UploadId, case_fold};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select};

use crate::convert;
use crate::entity::{file_versions, files, renditions, uploads};
use crate::error::RecordsError;
use crate::records::Records;

impl Records {
    /// A file that has a version and is not deleted.
    ///
    /// # Errors
    /// Any database error.
    pub async fn file(&self, id: &FileId) -> Result<Option<File>, RecordsError> {
        let row = files::Entity::find_by_id(id.as_str()).one(&self.db).await?;
        let row = row.filter(|row| row.latest_version > 0 && row.deleted_at.is_none());
        Ok(row.map(|row| File {
            id: id.clone(),
            owner: row.owner,
            name: row.name,
            latest_version: u32::try_from(row.latest_version).unwrap_or_default(),
            created_at: convert::timestamp(row.created_at),
            changed_at: convert::timestamp(row.changed_at),
        }))
    }

    /// One version of a file.
    ///
    /// # Errors
    /// Any database error.
    pub async fn file_version(&self, file: &FileId, number: u32) -> Result<Option<FileVersion>, RecordsError> {
        let Ok(number) = i32::try_from(number) else { return Ok(None) };
        let found = ready_versions(file).filter(file_versions::Column::Number.eq(number)).all(&self.db).await?;
        Ok(self.versions_of(found).await?.into_iter().next())
    }

    /// The creator of the oldest existing version of a file, who is the file's creator.
    ///
    /// # Errors
    /// Any database error.
    pub async fn file_creator(&self, file: &FileId) -> Result<Option<String>, RecordsError> {
        let oldest = ready_versions(file).order_by_asc(file_versions::Column::Number).one(&self.db).await?;
        Ok(oldest.map(|version| version.created_by))
    }

    /// The versions of a file, the oldest first: at most `limit` of them, if there is a limit.
    ///
    /// # Errors
    /// Any database error.
    pub async fn file_versions(&self, file: &FileId, limit: Option<u64>) -> Result<Vec<FileVersion>, RecordsError> {
        let versions = ready_versions(file).order_by_asc(file_versions::Column::Number);
        let found = versions.limit(limit).all(&self.db).await?;
        self.versions_of(found).await
    }

    /// The file and the version number of an upload.
    ///
    /// # Errors
    /// Any database error.
    pub async fn version_of(&self, upload: UploadId) -> Result<Option<(FileId, u32)>, RecordsError> {
        let row = file_versions::Entity::find().filter(file_versions::Column::UploadId.eq(upload.get()));
        let row = row.one(&self.db).await?;
        Ok(row.and_then(|row| Some((row.file_id.parse().ok()?, u32::try_from(row.number).ok()?))))
    }

    /// The custom renditions of a version, oldest first.
    ///
    /// # Errors
    /// Any database error.
    pub async fn renditions(&self, version: i64) -> Result<Vec<Rendition>, RecordsError> {
        let found = ready_renditions(version).order_by_asc(renditions::Column::Id).all(&self.db).await?;
        self.renditions_of(found).await
    }

    /// The custom rendition of a version with this name, compared case-insensitively.
    ///
    /// # Errors
    /// Any database error.
    pub async fn rendition(&self, version: i64, name: &str) -> Result<Option<Rendition>, RecordsError> {
        // A text longer than the case fold of any name matches no name.
        if name.chars().count() > RenditionName::MAX_LENGTH * 4 {
            return Ok(None);
        }
        let folded = renditions::Column::CaseFoldedName.eq(case_fold(name));
        let found = ready_renditions(version).filter(folded).all(&self.db).await?;
        Ok(self.renditions_of(found).await?.into_iter().next())
    }

    async fn versions_of(&self, found: Vec<file_versions::Model>) -> Result<Vec<FileVersion>, RecordsError> {
        let mut known = self.uploads_of(found.iter().filter_map(|row| row.upload_id).collect()).await?;
        let version = |row: file_versions::Model| FileVersion {
            id: row.id,
            number: u32::try_from(row.number).unwrap_or_default(),
            name: row.name,
            created_by: row.created_by,
            created_at: convert::timestamp(row.created_at),
            upload: row.upload_id.and_then(|id| known.remove(&id)),
        };
        Ok(found.into_iter().map(version).collect())
    }

    async fn renditions_of(&self, found: Vec<renditions::Model>) -> Result<Vec<Rendition>, RecordsError> {
        let mut known = self.uploads_of(found.iter().map(|row| row.upload_id).collect()).await?;
        let rendition = |row: renditions::Model| {
            let upload = known.remove(&row.upload_id)?;
            let (name, description, extension) = (row.name, row.description, row.extension);
            Some(Rendition { id: row.id, name, description, extension, upload })
        };
        Ok(found.into_iter().filter_map(rendition).collect())
    }

    async fn uploads_of(&self, ids: Vec<i64>) -> Result<HashMap<i64, Upload>, RecordsError> {
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let found = uploads::Entity::find().filter(uploads::Column::Id.is_in(ids)).all(&self.db).await?;
        found.into_iter().map(|row| Ok((row.id, convert::upload(row)?))).collect()
    }
}

/// Whether a file is deleted, and not restored or purged since.
pub(super) async fn is_deleted(db: &impl ConnectionTrait, file: &str) -> Result<bool, RecordsError> {
    Ok(files::Entity::find_by_id(file).one(db).await?.is_some_and(|file| file.deleted_at.is_some()))
}

fn ready_versions(file: &FileId) -> Select<file_versions::Entity> {
    file_versions::Entity::find()
        .filter(file_versions::Column::FileId.eq(file.as_str()))
        .filter(file_versions::Column::ReadyAt.is_not_null())
        .filter(file_versions::Column::ReleasedAt.is_null())
}

fn ready_renditions(version: i64) -> Select<renditions::Entity> {
    renditions::Entity::find()
        .filter(renditions::Column::VersionId.eq(version))
        .filter(renditions::Column::ReadyAt.is_not_null())
        .filter(renditions::Column::ReleasedAt.is_null())
}
