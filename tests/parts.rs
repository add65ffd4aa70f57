//! The parts of a Cloakroom in this process, on a folder of their own, with a clock that is moved by hand and operations
//! that fail on demand. A "process" here is a set of opened places; dropping it and opening them anew is its restart.

use std::time::Duration;

use bytesize::ByteSize;
use upload::{
    Admission, Admitted, Clock, Faults, FileAdmission, FileId, Lane, Place, PlaceError, Places, PlacesSettings,
    QueueSettings, RecordsSettings, Right, Role, Secret, StoreSettings, User,
};
use worker::{JobSettings, PictureSettings, SweepSettings, Sweeper, Worker, WorkerSettings};

use crate::process::Folder;

/// The user whose uploads these are.
pub const OWNER: &str = "ada";

/// One incarnation of a process.
pub struct Parts {
    pub places: Places,
    pub worker: Worker,
    pub sweeper: Sweeper,
}

pub fn settings(folder: &Folder) -> PlacesSettings {
    let below = |scheme: &str, name: &str| Secret::new(format!("{scheme}://{}", folder.path().join(name).display()));
    let store = |name: &str| StoreSettings {
        url: below("file", name),
        endpoint: String::new(),
        region: String::new(),
        access_key_id: String::new(),
        secret_access_key: Secret::default(),
        min_free: Default::default(),
    };
    PlacesSettings {
        staging: store("staging"),
        queue: QueueSettings::default(),
        blobs: store("blobs"),
        records: RecordsSettings::new(below("sqlite", "records.db"), 4),
    }
}

pub fn worker_settings() -> WorkerSettings {
    WorkerSettings {
        worker: JobSettings {
            queues: Lane::ALL.to_vec(),
            concurrency: 2,
            threads: 1,
            memory: ByteSize::mib(256),
            render_time: Duration::from_secs(60),
            job_time: Duration::from_secs(600),
            lease: Duration::from_secs(30),
            attempts: 5,
            backoff: Duration::from_secs(1),
            most_backoff: Duration::from_secs(60),
        },
        pictures: PictureSettings {
            max_pixels: 50_000_000,
            max_side: 20_000,
            max_frames: 2_000,
            max_memory: ByteSize::mib(256),
        },
        sweep: SweepSettings {
            every: Duration::from_secs(5),
            orphans_every: Duration::from_secs(600),
            orphan_age: Duration::from_secs(3600),
            batch: 100,
        },
    }
}

/// A folder with an up-to-date schema and [`OWNER`] in it.
pub async fn prepared() -> Folder {
    let folder = Folder::new();
    migrations::up(settings(&folder).records.url.expose()).await.unwrap();
    let parts = Parts::open(&folder, Clock::system(), Faults::default()).await.unwrap();
    let user = User {
        id: OWNER.to_owned(),
        email: "ada@example.org".to_owned(),
        name: "Ada".to_owned(),
        password_hash: String::new(),
        role: Role::Member,
        disabled: false,
    };
    parts.places.records.put_user(&user).await.unwrap();
    folder
}

impl Parts {
    pub async fn open(folder: &Folder, clock: Clock, faults: Faults) -> Result<Self, PlaceError> {
        let settings = worker_settings();
        let places = Places::open(&self::settings(folder), clock, faults).await?;
        let worker = Worker::new(&settings, places.clone());
        let sweeper = Sweeper::new(&settings.sweep, places.clone());
        Ok(Self { places, worker, sweeper })
    }

    /// What the api does with a picture: staging, records, queue.
    pub async fn hand_in(&self, bytes: &[u8]) -> Result<Admitted, PlaceError> {
        let mut intake = self.places.staging.intake();
        for chunk in bytes.chunks(16 << 10) {
            intake.write(chunk).await?;
        }
        let staged = intake.finish().await?;
        let admission = Admission {
            owner: OWNER.to_owned(),
            label: "astronaut.jpg".to_owned(),
            media: staged.media.unwrap(),
            staged,
            deadline: Duration::from_secs(600),
            keep: Duration::from_secs(86_400),
            once: None,
        };
        let admitted = self.places.records.admit(admission).await?;
        // Not being able to publish is no reason to refuse what is in the records; the relay will.
        self.places.queue.publish(&admitted.ticket).await.ok();
        Ok(admitted)
    }

    /// What the api does with a new file: the same.
    pub async fn hand_in_file(&self, file: &FileId, bytes: &[u8]) -> Result<Admitted, PlaceError> {
        self.hand_in_at(Place::NewFile(file.clone()), bytes).await
    }

    /// What it does with whatever belongs to a file.
    pub async fn hand_in_at(&self, place: Place, bytes: &[u8]) -> Result<Admitted, PlaceError> {
        let mut intake = self.places.staging.intake();
        for chunk in bytes.chunks(16 << 10) {
            intake.write(chunk).await?;
        }
        let staged = intake.finish().await?;
        let admission = FileAdmission {
            owner: OWNER.to_owned(),
            right: Right::User(OWNER.to_owned()),
            place,
            label: "astronaut.jpg".to_owned(),
            media: staged.media.unwrap(),
            staged,
            deadline: Duration::from_secs(600),
            once: None,
        };
        let admitted = self.places.records.admit_into_file(admission).await?.expect("its place is free");
        self.places.queue.publish(&admitted.ticket).await.ok();
        Ok(admitted)
    }

    /// What a process does when it starts: everything that an earlier one left is taken up and brought to its end.
    pub async fn recover(&self) -> Result<(), PlaceError> {
        self.places.records.reopen_promises().await?;
        loop {
            self.sweeper.once().await?;
            if self.worker.run_what_is_there().await? == 0 {
                return Ok(());
            }
        }
    }
}
