//! Tests with a picture engine that panics. A panic is a failure of Cloakroom, so it never rejects an upload.

use std::sync::Arc;
use std::time::Duration;

use backends::{Backends, BackendsSettings};
use bytesize::ByteSize;
use domain::{AccessGrant, Clock, EventKind, ExpectedVersion, FileId, Secret, Staged, UploadState, UploadTarget};
use instrument::FailPoints;
use queue::QueueSettings;
use records::{Admission, FileAdmission, RecordsSettings, Role, User};
use storage::StoreSettings;

use crate::render_pool::RenderPool;
use crate::{Sweeper, Worker, WorkerSettings};

const PICTURE: &[u8] = include_bytes!("../../../crates/picture/tests/pictures/gray.jpg");
const MAX_ATTEMPTS: u32 = 3;
const DAY: Duration = Duration::from_secs(86_400);

/// A worker whose picture engine panics on every picture.
struct PanickingWorker {
    clock: Clock,
    worker: Worker,
    sweeper: Sweeper,
    _folder: tempfile::TempDir,
}

impl PanickingWorker {
    async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = |scheme: &str, name: &str| Secret::new(format!("{scheme}://{}", folder.path().join(name).display()));
        let store = |name: &str| StoreSettings {
            url: url("file", name),
            endpoint: String::new(),
            region: String::new(),
            access_key_id: String::new(),
            secret_access_key: Secret::default(),
            min_free: ByteSize::b(0),
        };
        let settings = BackendsSettings {
            staging: store("staging"),
            queue: QueueSettings::default(),
            blobs: store("blobs"),
            records: RecordsSettings::new(url("sqlite", "records.db"), 4),
        };
        migrations::up(settings.records.url.expose()).await.unwrap();
        let clock = Clock::manual(jiff::Timestamp::from_second(1_800_000_000).unwrap());
        let backends = Backends::open(&settings, clock.clone(), FailPoints::default()).await.unwrap();
        let ada = User {
            id: "ada".to_owned(),
            email: "ada@example.org".to_owned(),
            name: "Ada".to_owned(),
            password_hash: String::new(),
            role: Role::Member,
            disabled: false,
        };
        backends.records.upsert_user(&ada).await.unwrap();
        let mut settings: WorkerSettings = toml::from_str(crate::DEFAULTS).unwrap();
        settings.worker.max_attempts = MAX_ATTEMPTS;
        let mut worker = Worker::new(&settings, backends.clone());
        worker.pool = Arc::new(RenderPool::with_render_fn(1, 64 << 20, |_, _, _| panic!("index 7 of 3")));
        let sweeper = Sweeper::new(&settings.sweep, backends);
        Self { clock, worker, sweeper, _folder: folder }
    }

    async fn stage(&self) -> Staged {
        let mut writer = self.worker.backends.staging.new_writer();
        writer.write(PICTURE).await.unwrap();
        writer.finish().await.unwrap()
    }

    /// Runs all attempts. The queue delays the message of a retry by real time, for which the test does not wait.
    /// Instead it advances the clock until the sweeper takes the message for lost and publishes it again.
    async fn run_all_attempts(&self) {
        for _ in 0..2 * MAX_ATTEMPTS {
            self.worker.run_pending().await.unwrap();
            self.clock.advance(Duration::from_secs(1200));
            self.sweeper.sweep_once().await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_on_which_the_engine_panics_fails_after_its_attempts_and_is_not_rejected() {
    let test = PanickingWorker::open().await;
    let (staged, backends) = (test.stage().await, test.worker.backends.clone());
    let admission = Admission {
        owner: "ada".to_owned(),
        filename: "gray.jpg".to_owned(),
        media: staged.media.unwrap(),
        staged,
        deadline: DAY,
        retention: DAY,
        idempotency_key: None,
    };
    let admitted = backends.records.admit(admission).await.unwrap();
    backends.queue.publish(&admitted.message).await.unwrap();
    test.run_all_attempts().await;

    let upload = backends.records.upload(admitted.id).await.unwrap().unwrap();
    let reason = upload.reason.unwrap();
    assert_eq!((upload.state, reason.code.as_str()), (UploadState::Failed, "gave_up"));
    let jobs = backends.records.jobs_of(admitted.id).await.unwrap();
    let [job] = jobs.as_slice() else { panic!("{jobs:?}") };
    assert!(job.dead && job.attempts == MAX_ATTEMPTS.cast_signed(), "{job:?}");
    assert!(job.last_error.as_ref().unwrap().contains("the picture engine failed"), "{job:?}");
    let events = backends.records.events(admitted.id).await.unwrap();
    let texts = events.iter().map(|event| event.detail.as_str()).chain([reason.message.as_str()]);
    assert!(texts.into_iter().all(|text| !text.contains("index 7")), "clients see the text of the panic: {events:?}");
}

/// The content of a file does not depend on its thumbnail, so the file is ready without one.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_kept_without_a_thumbnail_if_the_engine_panics() {
    let test = PanickingWorker::open().await;
    let (staged, backends) = (test.stage().await, test.worker.backends.clone());
    let file = FileId::generate();
    let admission = FileAdmission {
        owner: "ada".to_owned(),
        grant: AccessGrant::User("ada".to_owned()),
        target: UploadTarget::NewFile(file.clone()),
        filename: "gray.jpg".to_owned(),
        media: staged.media.unwrap(),
        staged,
        deadline: DAY,
        idempotency_key: None,
        expected: ExpectedVersion::Any,
    };
    let admitted = backends.records.admit_into_file(admission).await.unwrap().unwrap();
    backends.queue.publish(&admitted.message).await.unwrap();
    test.run_all_attempts().await;

    let upload = backends.records.upload(admitted.id).await.unwrap().unwrap();
    assert_eq!((upload.state, upload.width), (UploadState::Ready, None));
    let events = backends.records.events(admitted.id).await.unwrap();
    let rendered = events.iter().find(|event| event.kind == EventKind::Rendered).unwrap();
    assert_eq!(
        rendered.detail,
        "no thumbnail. The server failed to render the picture. The file itself may be correct."
    );
}
