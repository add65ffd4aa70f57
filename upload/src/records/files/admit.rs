//! Taking a version or a custom rendition in: the upload, its job, its place in the file and the name it takes there, in
//! one transaction. Two of one name cannot both be in, whichever processes they came through: the index decides.

use std::time::Duration;

use sea_orm::sea_query::OnConflict;
use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, Set};

use super::super::admit::Intent;
use super::super::entity::{file_versions, files, renditions};
use super::super::{Records, RecordsError, Writing};
use crate::document::{FileId, OnceKey, Place, PlaceTaken, Right};
use crate::job::Job;
use crate::staging::Staged;
use crate::upload::{Kind, UploadId};
use crate::{Admitted, Media, RenditionName};

/// What the api knows of an upload into a file when its bytes are durable in staging.
#[derive(Clone, Debug)]
pub struct FileAdmission {
    /// Who answers for it: the user who sends it, or who made the link it comes by.
    pub owner: String,
    /// What gives the right to send it.
    pub right: Right,
    /// What it is to become.
    pub place: Place,
    /// The client's file name, cleaned.
    pub label: String,
    /// What the bytes look like.
    pub media: Media,
    /// The bytes.
    pub staged: Staged,
    /// How long workers have before the sweeper settles it as failed.
    pub deadline: Duration,
    /// Where the client gave the request a key.
    pub once: Option<OnceKey>,
}

impl Records {
    /// Admits a version or a rendition.
    ///
    /// # Errors
    /// The outer one is the database's; the inner one says why not. Nothing was admitted then and the staged bytes belong to
    /// no upload, unless [`RecordsError::is_outcome_unknown`].
    pub async fn admit_into_file(
        &self,
        admission: FileAdmission,
    ) -> Result<Result<Admitted, PlaceTaken>, RecordsError> {
        self.faults.watch("records", "admit_into_file", self.admit_into_file_in_one(admission)).await
    }

    async fn admit_into_file_in_one(
        &self,
        admission: FileAdmission,
    ) -> Result<Result<Admitted, PlaceTaken>, RecordsError> {
        let now = self.now_ms();
        let link = match &admission.right {
            Right::User(_) => None,
            Right::Applink(id) => Some(format!("applink:{id}")),
            Right::PublicLink(id) => Some(format!("publiclink:{id}")),
        };
        let (kind, job): (_, fn(UploadId) -> Job) = match &admission.place {
            Place::Rendition { .. } => (Kind::Rendition, |upload| Job::ProcessRendition { upload }),
            Place::NewFile(_) | Place::NextVersion(_) => (Kind::File, |upload| Job::ProcessFile { upload }),
        };
        let label = admission.label;
        let extension = extension(&label);
        let tx = self.write().await?;
        let intent = Intent {
            kind,
            owner: admission.owner.clone(),
            label: label.clone(),
            media: admission.media,
            staged: admission.staged,
            deadline: admission.deadline,
            keep: None,
        };
        let (taken, row) = tx.take_in(intent, now).await?;
        let made = Taking { upload: taken.id, by: admission.owner, link, now };
        match admission.place {
            Place::Rendition { version, name, description, most } => {
                if let Err(taken) = tx.take_name(made, version, &name, description, extension, most).await? {
                    return Ok(Err(taken));
                }
            }
            Place::NewFile(file) => tx.begin_file(made, &file, label).await?,
            Place::NextVersion(file) => tx.next_version(made, &file, label).await?,
        }
        if let Some(once) = &admission.once {
            tx.note_admission(once, taken.id).await?;
        }
        let admitted = tx.promise_first(taken, job, self.routing, now).await?;
        self.commit_or_look_up(tx, row).await?;
        Ok(Ok(admitted))
    }
}

/// Who takes a place in a file.
struct Taking {
    upload: UploadId,
    by: String,
    link: Option<String>,
    now: i64,
}

impl Writing {
    async fn take_name(
        &self,
        taking: Taking,
        version: i64,
        name: &RenditionName,
        description: String,
        extension: String,
        most: u64,
    ) -> Result<Result<(), PlaceTaken>, RecordsError> {
        // All who want a name of this version take turns here, so that none is counted twice.
        file_versions::Entity::find_by_id(version).lock_exclusive().one(&self.tx).await?;
        let row = renditions::ActiveModel {
            version_id: Set(version),
            name: Set(name.as_str().to_owned()),
            folded: Set(name.folded()),
            description: Set(description),
            extension: Set(extension),
            upload_id: Set(taking.upload.get()),
            created_by: Set(taking.by),
            link: Set(taking.link),
            created_at: Set(taking.now),
            ..Default::default()
        };
        let taken = renditions::Entity::insert(row)
            .on_conflict(OnConflict::new().do_nothing().to_owned())
            .exec_without_returning(&self.tx)
            .await?;
        if taken == 0 {
            return Ok(Err(PlaceTaken::Name));
        }
        let all = renditions::Entity::find()
            .filter(renditions::Column::VersionId.eq(version))
            .filter(renditions::Column::ReleasedAt.is_null());
        Ok(if all.count(&self.tx).await? > most { Err(PlaceTaken::Full) } else { Ok(()) })
    }

    async fn begin_file(&self, taking: Taking, file: &FileId, name: String) -> Result<(), RecordsError> {
        let row = files::ActiveModel {
            id: Set(file.to_string()),
            owner: Set(taking.by.clone()),
            name: Set(name.clone()),
            latest: Set(0),
            created_at: Set(taking.now),
            changed_at: Set(taking.now),
        };
        files::Entity::insert(row).exec_without_returning(&self.tx).await?;
        self.add_version(taking, file, 1, name).await
    }

    async fn next_version(&self, taking: Taking, file: &FileId, name: String) -> Result<(), RecordsError> {
        // Numbers are given out one after the other; one that came to nothing is not given again.
        files::Entity::find_by_id(file.as_str()).lock_exclusive().one(&self.tx).await?;
        let last = file_versions::Entity::find()
            .filter(file_versions::Column::FileId.eq(file.as_str()))
            .order_by_desc(file_versions::Column::Number)
            .one(&self.tx)
            .await?;
        let number = last.map_or(1, |last| last.number.saturating_add(1));
        self.add_version(taking, file, number, name).await
    }

    async fn add_version(&self, taking: Taking, file: &FileId, number: i32, name: String) -> Result<(), RecordsError> {
        let row = file_versions::ActiveModel {
            file_id: Set(file.to_string()),
            number: Set(number),
            upload_id: Set(Some(taking.upload.get())),
            name: Set(name),
            created_by: Set(taking.by),
            link: Set(taking.link),
            created_at: Set(taking.now),
            ..Default::default()
        };
        file_versions::Entity::insert(row).exec_without_returning(&self.tx).await?;
        Ok(())
    }
}

/// The extension of a file's name: at most ten letters and digits, or none.
fn extension(label: &str) -> String {
    let extension = label.rsplit_once('.').map(|(_, extension)| extension).unwrap_or_default();
    let fine = extension.len() <= 10 && extension.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if fine { extension.to_owned() } else { String::new() }
}
