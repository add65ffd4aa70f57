//! The parts of Cloakroom in this process, on a folder of their own, with a clock and faults that the test chooses. A
//! "process" here is a set of opened backends. Dropping it and opening the backends again is a restart.

use std::time::Duration;

use backends::{BackendError, Backends, BackendsSettings};
use bytesize::ByteSize;
use domain::{AccessGrant, Clock, ExpectedVersion, FileId, QueueName, Secret, UploadTarget};
use instrument::FailPoints;
use queue::QueueSettings;
use records::{Admission, Admitted, FileAdmission, RecordsSettings, Role, User};
use worker::{JobSettings, PictureSettings, SweepSettings, Sweeper, Worker, WorkerSettings};

use crate::process::DataFolder;
use crate::test_stores::folder_store;

/// The owner of the tests' uploads.
pub const OWNER: &str = "ada";

/// One lifetime of a process.
pub struct InProcess {
    pub backends: Backends,
    pub worker: Worker,
    pub sweeper: Sweeper,
}

pub fn backend_settings(folder: &DataFolder) -> BackendsSettings {
    let database = format!("sqlite://{}", folder.path().join("records.db").display());
    BackendsSettings {
        staging: folder_store(&folder.path().join("staging")),
        queue: QueueSettings::default(),
        blobs: folder_store(&folder.path().join("blobs")),
        records: RecordsSettings::new(Secret::new(database), 4),
    }
}

pub fn worker_settings() -> WorkerSettings {
    WorkerSettings {
        worker: JobSettings {
            queues: QueueName::ALL.to_vec(),
            concurrency: 2,
            threads: 1,
            memory: ByteSize::mib(256),
            render_timeout: Duration::from_secs(60),
            job_timeout: Duration::from_secs(600),
            lease: Duration::from_secs(30),
            max_attempts: 5,
            initial_backoff: Duration::from_secs(1),
            max_backoff: Duration::from_secs(60),
        },
        pictures: PictureSettings {
            max_pixels: 50_000_000,
            max_side: 20_000,
            max_frames: 2_000,
            max_memory: ByteSize::mib(256),
        },
        sweep: SweepSettings {
            interval: Duration::from_secs(5),
            orphan_interval: Duration::from_secs(600),
            min_orphan_age: Duration::from_secs(3600),
            batch_size: 100,
        },
    }
}

/// Creates a folder with an up-to-date schema and the user [`OWNER`].
pub async fn prepared_folder() -> DataFolder {
    let folder = DataFolder::new();
    migrations::up(backend_settings(&folder).records.url.expose()).await.unwrap();
    let parts = InProcess::open(&folder, Clock::system(), FailPoints::default()).await.unwrap();
    let user = User {
        id: OWNER.to_owned(),
        email: "ada@example.org".to_owned(),
        name: "Ada".to_owned(),
        password_hash: String::new(),
        role: Role::Member,
        disabled: false,
    };
    parts.backends.records.upsert_user(&user).await.unwrap();
    folder
}

impl InProcess {
    pub async fn open(folder: &DataFolder, clock: Clock, faults: FailPoints) -> Result<Self, BackendError> {
        let settings = worker_settings();
        let backends = Backends::open(&self::backend_settings(folder), clock.clone(), faults).await?;
        folder.set_process(clock, backends.queue.clone());
        let worker = Worker::new(&settings, backends.clone());
        let sweeper = Sweeper::new(&settings.sweep, backends.clone());
        Ok(Self { backends, worker, sweeper })
    }

    /// Does what the api does with a picture: stages it, admits it, and publishes its job.
    pub async fn submit_picture(&self, bytes: &[u8]) -> Result<Admitted, BackendError> {
        let mut intake = self.backends.staging.new_writer();
        for chunk in bytes.chunks(16 << 10) {
            intake.write(chunk).await?;
        }
        let staged = intake.finish().await?;
        let admission = Admission {
            owner: OWNER.to_owned(),
            filename: "astronaut.jpg".to_owned(),
            media: staged.media.unwrap(),
            staged,
            deadline: Duration::from_secs(600),
            retention: Duration::from_secs(86_400),
            idempotency_key: None,
        };
        let admitted = self.backends.records.admit(admission).await?;
        // A failed publish is no reason to refuse an upload that is in the records, because the relay publishes its
        // message.
        self.backends.queue.publish(&admitted.message).await.ok();
        Ok(admitted)
    }

    /// Does what the api does with a new file.
    pub async fn submit_file(&self, file: &FileId, bytes: &[u8]) -> Result<Admitted, BackendError> {
        self.submit_to_target(UploadTarget::NewFile(file.clone()), bytes).await
    }

    /// Does what the api does with an upload into this target.
    pub async fn submit_to_target(&self, target: UploadTarget, bytes: &[u8]) -> Result<Admitted, BackendError> {
        let mut intake = self.backends.staging.new_writer();
        for chunk in bytes.chunks(16 << 10) {
            intake.write(chunk).await?;
        }
        let staged = intake.finish().await?;
        let admission = FileAdmission {
            owner: OWNER.to_owned(),
            grant: AccessGrant::User(OWNER.to_owned()),
            target,
            filename: "astronaut.jpg".to_owned(),
            media: staged.media.unwrap(),
            staged,
            deadline: Duration::from_secs(600),
            idempotency_key: None,
            expected: ExpectedVersion::Any,
        };
        let admitted = self.backends.records.admit_into_file(admission).await?.expect("the target has no conflict");
        self.backends.queue.publish(&admitted.message).await.ok();
        Ok(admitted)
    }

    /// Does what a process does at its start: brings everything that an earlier process left to its final state.
    pub async fn recover(&self) -> Result<(), BackendError> {
        self.backends.records.reset_queued_jobs().await?;
        loop {
            self.sweeper.sweep_once().await?;
            if self.worker.run_pending().await? == 0 {
                return Ok(());
            }
        }
    }
}
