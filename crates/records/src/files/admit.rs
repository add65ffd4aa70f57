//! Admission of a version or a custom rendition: the upload, its job, its target in the file and
//! its name there are inserted in one transaction. A unique index refuses the second of two targets
//! with the same name, even if they come through different processes.

use std::time::Duration;

use domain::{
    AccessGrant, ExpectedVersion, FileId, IdempotencyKey, Job, Media, RenditionName, Staged, TargetConflict, UploadId,
    UploadKind, UploadTarget,
};
use sea_orm::sea_query::OnConflict;
use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, Select, Set};

use crate::admit::{Admitted, NewUpload};
use crate::entity::{file_versions, files, renditions};
use crate::error::RecordsError;
use crate::files::queries::is_deleted;
use crate::records::Records;
use crate::write_tx::WriteTx;

/// An upload into a file, before its admission. The bytes of the upload are durable in staging.
#[derive(Clone, Debug)]
pub struct FileAdmission {
    /// The responsible user: the uploading user, or the creator of the link.
    pub owner: String,
    /// The grant that permits the upload.
    pub grant: AccessGrant,
    /// The target in the file.
    pub target: UploadTarget,
    /// The client's file name, cleaned.
    pub filename: String,
    /// The media type as sniffed from the bytes.
    pub media: Media,
    /// The bytes.
    pub staged: Staged,
    /// How long workers have before the sweeper settles it as failed.
    pub deadline: Duration,
    /// The idempotency key of the request, if it had one.
    pub idempotency_key: Option<IdempotencyKey>,
    /// The number of the version that must be the file's latest one. A new file has none.
    pub expected: ExpectedVersion<u32>,
}

impl Records {
    /// Admits a version or a rendition.
    ///
    /// The expected version is checked here and not again when the upload is ready. Of two next versions that expect
    /// the same version, the second is refused while the first is processed. A later version without a condition has a
    /// higher number and is meant to replace this one. So no version that is admitted after this check can become the
    /// latest before this one does, except a failed one that an operator retries, which keeps its lower number. A
    /// rendition changes no version, and belongs to the version that it was sent for.
    ///
    /// # Errors
    /// Outer: any database error. Inner: why it was refused. In both cases nothing was admitted and the staged bytes
    /// belong to no upload, unless [`RecordsError::is_outcome_unknown`].
    pub async fn admit_into_file(
        &self,
        admission: FileAdmission,
    ) -> Result<Result<Admitted, TargetConflict>, RecordsError> {
        self.write_with_lookup("admit_into_file", async |tx| {
            let now = self.now_ms();
            let (kind, job): (_, fn(UploadId) -> Job) = match &admission.target {
                UploadTarget::Rendition { .. } => (UploadKind::Rendition, |upload| Job::ProcessRendition { upload }),
                UploadTarget::NewFile(_) | UploadTarget::NextVersion(_) => {
                    (UploadKind::File, |upload| Job::ProcessFile { upload })
                }
            };
            let filename = admission.filename;
            let extension = extension(&filename);
            let new_upload = NewUpload {
                kind,
                owner: admission.owner.clone(),
                filename: filename.clone(),
                media: admission.media,
                staged: admission.staged,
                deadline: admission.deadline,
                retention: None,
            };
            let (inserted, row) = tx.insert_upload(new_upload, now).await?;
            let entry =
                NewFileEntry { upload: inserted.id, created_by: admission.owner, access_grant: admission.grant, now };
            match admission.target {
                UploadTarget::Rendition { version, name, description, max_renditions: most } => {
                    if !tx.is_latest_version(version, admission.expected).await? {
                        return Ok((Err(TargetConflict::VersionChanged), None));
                    }
                    if let Err(conflict) =
                        tx.insert_rendition(entry, version, &name, description, extension, most).await?
                    {
                        return Ok((Err(conflict), None));
                    }
                }
                UploadTarget::NewFile(file) => tx.insert_file(entry, &file, filename).await?,
                UploadTarget::NextVersion(file) => {
                    if let Err(conflict) = tx.insert_next_version(entry, &file, filename, admission.expected).await? {
                        return Ok((Err(conflict), None));
                    }
                }
            }
            if let Some(idempotency_key) = &admission.idempotency_key {
                tx.record_admitted_upload(idempotency_key, inserted.id).await?;
            }
            let admitted = tx.enqueue_first_job(inserted, job, self.routing, now).await?;
            Ok((Ok(admitted), Some(row)))
        })
        .await
    }
}

/// The columns that the rows of a new version and of a new rendition share.
struct NewFileEntry {
    upload: UploadId,
    created_by: String,
    access_grant: AccessGrant,
    now: i64,
}

impl WriteTx {
    /// Whether the file of a version, given by its row id, has the expected latest version. A version that is being
    /// processed is not the latest one yet. No other version becomes the latest before this transaction ends.
    async fn is_latest_version(&self, version: i64, expected: ExpectedVersion<u32>) -> Result<bool, RecordsError> {
        if expected == ExpectedVersion::Any {
            return Ok(true);
        }
        let Some(version) = file_versions::Entity::find_by_id(version).one(&self.tx).await? else { return Ok(false) };
        let file = files::Entity::find_by_id(version.file_id).lock_shared().one(&self.tx).await?;
        Ok(file.is_some_and(|file| expected.permits(&version_number(file.latest_version))))
    }

    async fn insert_rendition(
        &self,
        entry: NewFileEntry,
        version: i64,
        name: &RenditionName,
        description: String,
        extension: String,
        max_renditions: u64,
    ) -> Result<Result<(), TargetConflict>, RecordsError> {
        // The version is locked, so that admissions of renditions to it run one after the other,
        // and each counts all before it.
        let Some(locked) = file_versions::Entity::find_by_id(version).lock_exclusive().one(&self.tx).await? else {
            return Ok(Err(TargetConflict::FileDeleted));
        };
        // A file that is deleted right after this check refuses the rendition when it is settled.
        if is_deleted(&self.tx, &locked.file_id).await? {
            return Ok(Err(TargetConflict::FileDeleted));
        }
        let row = renditions::ActiveModel {
            version_id: Set(version),
            name: Set(name.as_str().to_owned()),
            case_folded_name: Set(name.case_folded()),
            description: Set(description),
            extension: Set(extension),
            upload_id: Set(entry.upload.get()),
            created_by: Set(entry.created_by),
            access_grant: Set(entry.access_grant.to_string()),
            created_at: Set(entry.now),
            ..Default::default()
        };
        let taken = renditions::Entity::insert(row)
            .on_conflict(OnConflict::new().do_nothing().to_owned())
            .exec_without_returning(&self.tx)
            .await?;
        if taken == 0 {
            return Ok(Err(TargetConflict::NameTaken));
        }
        let all = renditions::Entity::find()
            .filter(renditions::Column::VersionId.eq(version))
            .filter(renditions::Column::ReleasedAt.is_null());
        Ok(if all.count(&self.tx).await? > max_renditions { Err(TargetConflict::TooManyRenditions) } else { Ok(()) })
    }

    async fn insert_file(&self, entry: NewFileEntry, file: &FileId, name: String) -> Result<(), RecordsError> {
        let row = files::ActiveModel {
            id: Set(file.to_string()),
            owner: Set(entry.created_by.clone()),
            name: Set(name.clone()),
            latest_version: Set(0),
            created_at: Set(entry.now),
            changed_at: Set(entry.now),
            ..Default::default()
        };
        files::Entity::insert(row).exec_without_returning(&self.tx).await?;
        self.insert_version(entry, file, 1, name).await
    }

    /// Refuses if the file is deleted, or if the expected version is not the last one that is ready or being processed.
    async fn insert_next_version(
        &self,
        entry: NewFileEntry,
        file: &FileId,
        name: String,
        expected: ExpectedVersion<u32>,
    ) -> Result<Result<(), TargetConflict>, RecordsError> {
        // Numbers are given in order; the number of a failed version is not given again.
        let row = files::Entity::find_by_id(file.as_str()).lock_exclusive().one(&self.tx).await?;
        if row.is_none_or(|row| row.deleted_at.is_some()) {
            return Ok(Err(TargetConflict::FileDeleted));
        }
        if expected != ExpectedVersion::Any {
            let latest = self.latest_kept_version(file.as_str()).await?;
            if !latest.is_some_and(|latest| expected.permits(&latest)) {
                return Ok(Err(TargetConflict::VersionChanged));
            }
        }
        let last = newest_versions_first(file.as_str()).one(&self.tx).await?;
        let number = last.map_or(1, |last| last.number.saturating_add(1));
        self.insert_version(entry, file, number, name).await?;
        Ok(Ok(()))
    }

    /// The number of the last version of a file that is ready or being processed.
    pub(crate) async fn latest_kept_version(&self, file: &str) -> Result<Option<u32>, RecordsError> {
        let kept = newest_versions_first(file).filter(file_versions::Column::ReleasedAt.is_null());
        Ok(kept.one(&self.tx).await?.map(|latest| version_number(latest.number)))
    }

    async fn insert_version(
        &self,
        entry: NewFileEntry,
        file: &FileId,
        number: i32,
        name: String,
    ) -> Result<(), RecordsError> {
        let row = file_versions::ActiveModel {
            file_id: Set(file.to_string()),
            number: Set(number),
            upload_id: Set(Some(entry.upload.get())),
            name: Set(name),
            created_by: Set(entry.created_by),
            access_grant: Set(Some(entry.access_grant.to_string())),
            created_at: Set(entry.now),
            ..Default::default()
        };
        file_versions::Entity::insert(row).exec_without_returning(&self.tx).await?;
        Ok(())
    }
}

fn newest_versions_first(file: &str) -> Select<file_versions::Entity> {
    file_versions::Entity::find()
        .filter(file_versions::Column::FileId.eq(file))
        .order_by_desc(file_versions::Column::Number)
}

fn version_number(stored: i32) -> u32 {
    u32::try_from(stored).unwrap_or_default()
}

/// The extension of a file's name: at most ten letters and digits, or none.
fn extension(filename: &str) -> String {
    let extension = filename.rsplit_once('.').map(|(_, extension)| extension).unwrap_or_default();
    let fine = extension.len() <= 10 && extension.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if fine { extension.to_owned() } else { String::new() }
}
