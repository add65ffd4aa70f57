//! The test server: an api, a worker, users, and a plain HTTP client.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use api::{Api, ApiSettings};
use backends::{Backends, BackendsSettings};
use domain::Clock;
use instrument::{FailPointSwitch, FailPoints};
use jiff::Timestamp;
use metrics_exporter_prometheus::PrometheusBuilder;
use records::{Role, User};
use reqwest::{Method, RequestBuilder, Response};
use tempfile::TempDir;
use test_support::process::DataFolder;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use worker::{Sweeper, Worker, WorkerSettings};

pub(crate) const PNG: &[u8] = include_bytes!("pictures/small.png");
pub(crate) const JPEG: &[u8] = include_bytes!("pictures/small.jpg");
pub(crate) const FED: &str = "acmepaymentscorp";
pub(crate) const PASSWORD: &str = "correct horse battery staple";

static PASSWORD_HASH: LazyLock<String> = LazyLock::new(|| api::hash_password(PASSWORD).unwrap());

/// How long the worker may take to finish its current job.
const MAX_WORK_TIME: Duration = Duration::from_secs(60);

/// Everything that a test needs. Dropping it stops the server. Dropping its folder then fails a test that leaves work.
pub(crate) struct TestServer {
    pub(crate) base: String,
    pub(crate) client: reqwest::Client,
    pub(crate) backends: Backends,
    pub(crate) clock: Clock,
    worker: Worker,
    pub(crate) settings: ApiSettings,
    sweeper: Sweeper,
    /// The worker, if it runs by itself. It has threads of its own, because the threads of the test wait during the
    /// drop.
    running_worker: Option<(Runtime, JoinHandle<()>)>,
    stop: CancellationToken,
    /// Switches faults of the backends on and off.
    pub(crate) faults: FailPointSwitch,
    folder: DataFolder,
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.stop.cancel();
        let Some((threads, running)) = self.running_worker.take() else { return };
        if !std::thread::panicking() {
            let handle = threads.handle().clone();
            let wait = move || handle.block_on(async { tokio::time::timeout(MAX_WORK_TIME, running).await });
            let ended = std::thread::spawn(wait).join().unwrap();
            assert!(ended.is_ok(), "the worker still runs {MAX_WORK_TIME:?} after the end of the test");
        }
        threads.shutdown_background();
    }
}

/// The api's default settings, for the tests' federation member and with a default wait of 20 s.
pub(crate) fn settings() -> ApiSettings {
    let mut settings: ApiSettings = toml::from_str(api::DEFAULTS).unwrap();
    settings.realm.fedmember = FED.to_owned();
    settings.uploads.default_wait = Duration::from_secs(20);
    settings
}

impl TestServer {
    /// Starts a server with a running worker.
    pub(crate) async fn new() -> Self {
        Self::with_settings(|_| {}).await
    }

    /// Starts a server with a running worker and with changed settings.
    pub(crate) async fn with_settings(change: impl FnOnce(&mut ApiSettings)) -> Self {
        let mut server = Self::with_idle_worker(change).await;
        let (worker, stop) = (server.worker.clone(), server.stop.clone());
        let threads = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let running = threads.spawn(async move { worker.run(stop).await });
        server.running_worker = Some((threads, running));
        server
    }

    /// Starts a server whose worker runs only when the test calls [`run_jobs`](Self::run_jobs).
    pub(crate) async fn with_idle_worker(change: impl FnOnce(&mut ApiSettings)) -> Self {
        Self::in_folder(tempfile::tempdir().unwrap(), "0 B", change).await
    }

    /// Like [`with_idle_worker`](Self::with_idle_worker), with all data in this folder and with this reserve of free
    /// space.
    pub(crate) async fn in_folder(folder: TempDir, min_free: &str, change: impl FnOnce(&mut ApiSettings)) -> Self {
        let records = format!("sqlite://{}", folder.path().join("records.db").display());
        migrations::up(&records).await.unwrap();
        let store = |name: &str| {
            let url = format!("file://{}", folder.path().join(name).display());
            serde_json::json!({"url": url, "endpoint": "", "region": "", "access_key_id": "", "secret_access_key": "",
                               "min_free": min_free})
        };
        let backends: BackendsSettings = serde_json::from_value(serde_json::json!({
            "staging": store("staging"),
            "blobs": store("blobs"),
            "queue": {"url": "memory:"},
            "records": {"url": records, "max_connections": 4, "min_free": min_free,
                        "timeout": "10s", "pooler": "none"},
        }))
        .unwrap();
        let faults = FailPointSwitch::default();
        let clock = Clock::manual("2026-11-21T12:00:00Z".parse::<Timestamp>().unwrap());
        let backends = Backends::open(&backends, clock.clone(), faults.fail_points()).await.unwrap();
        let folder = DataFolder::at(folder);
        folder.set_process(clock.clone(), backends.queue.clone());
        let mut settings = settings();
        change(&mut settings);
        let mut work: WorkerSettings = toml::from_str(worker::DEFAULTS).unwrap();
        work.worker.threads = 1;
        work.worker.memory = bytesize::ByteSize::mib(256);
        let server = Self {
            base: String::new(),
            client: client(),
            worker: Worker::new(&work, backends.clone()),
            sweeper: Sweeper::new(&work.sweep, backends.clone()),
            backends,
            clock,
            settings,
            running_worker: None,
            stop: CancellationToken::new(),
            faults,
            folder,
        };
        for (id, role) in [("admin", Role::Admin), ("jane", Role::Member), ("joe", Role::Member)] {
            server.add_user(id, role).await;
        }
        server.serve().await
    }

    /// Declares that the test leaves work on purpose.
    pub(crate) fn leaves_work(&self) {
        self.folder.leaves_work();
    }

    async fn serve(mut self) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        self.base = format!("http://{}", listener.local_addr().unwrap());
        let metrics = PrometheusBuilder::new().build_recorder().handle();
        let api = Api::open(&self.settings, self.backends.clone(), metrics).await.unwrap();
        tokio::spawn(api.serve(listener, self.stop.clone()));
        self
    }

    /// Starts another api on the same backends, like a second process, and returns its address.
    pub(crate) async fn start_second(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let metrics = PrometheusBuilder::new().build_recorder().handle();
        let api = Api::open(&self.settings, self.backends.clone(), metrics).await.unwrap();
        tokio::spawn(api.serve(listener, self.stop.clone()));
        base
    }

    /// Starts another api on the same records with another clock.
    pub(crate) async fn start_with_clock(&self, clock: Clock) -> SecondServer {
        let store = |name: &str| {
            let url = format!("file://{}", self.folder.path().join(name).display());
            serde_json::json!({"url": url, "endpoint": "", "region": "", "access_key_id": "", "secret_access_key": "",
                               "min_free": "0 B"})
        };
        let records = format!("sqlite://{}", self.folder.path().join("records.db").display());
        let backends = serde_json::from_value(serde_json::json!({
            "staging": store("staging"),
            "blobs": store("blobs"),
            "queue": {"url": "memory:"},
            "records": {"url": records, "max_connections": 2, "min_free": "0 B",
                        "timeout": "10s", "pooler": "none"},
        }));
        let backends = Backends::open(&backends.unwrap(), clock, FailPoints::default()).await.unwrap();
        let (records, realm) = (backends.records.clone(), self.settings.realm.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let metrics = PrometheusBuilder::new().build_recorder().handle();
        let api = Api::open(&self.settings, backends, metrics).await.unwrap();
        tokio::spawn(api.serve(listener, self.stop.clone()));
        SecondServer { base, records, realm }
    }

    /// Adds a user. All test users have the same password.
    pub(crate) async fn add_user(&self, id: &str, role: Role) {
        let user = User {
            id: id.to_owned(),
            email: format!("{id}@example.com"),
            name: format!("{id}, of the test"),
            password_hash: PASSWORD_HASH.clone(),
            role,
            disabled: false,
        };
        self.backends.records.upsert_user(&user).await.unwrap();
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// A request without credentials.
    pub(crate) fn anonymous(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, self.url(path))
    }

    /// Logs a user in.
    pub(crate) async fn login(&self, id: &str) -> Login<'_> {
        let body = serde_json::json!({"email": format!("{id}@example.com"), "password": PASSWORD});
        let response = self.anonymous(Method::POST, "/api/login").json(&body).send().await.unwrap();
        assert_eq!(response.status(), 200, "{}", response.text().await.unwrap());
        Login::from_response(self, &response)
    }

    /// Runs all pending jobs and returns their number. They run on a task of their own, because in debug builds
    /// rendering and the test together exceed the stack of a test thread.
    pub(crate) async fn run_jobs(&self) -> usize {
        let worker = self.worker.clone();
        tokio::spawn(async move { worker.run_pending().await }).await.unwrap().unwrap()
    }

    /// Runs one round of the sweeper.
    pub(crate) async fn sweep(&self) -> worker::SweepReport {
        Box::pin(self.sweeper.sweep_once()).await.unwrap()
    }

    /// The number of files in blob storage.
    pub(crate) fn blob_files(&self) -> usize {
        count_files(&self.folder.path().join("blobs"))
    }

    /// The number of files in staging.
    pub(crate) fn staged_files(&self) -> usize {
        count_files(&self.folder.path().join("staging"))
    }
}

/// A client that does not follow redirects. The first test that calls this chooses the TLS provider of all tests.
pub(crate) fn client() -> reqwest::Client {
    rustls::crypto::ring::default_provider().install_default().ok();
    reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

/// A second api beside the one of a test server.
pub(crate) struct SecondServer {
    pub(crate) base: String,
    records: records::Records,
    realm: api::RealmSettings,
}

impl SecondServer {
    /// Issues a bearer token for a user, at the time of this api's clock.
    pub(crate) async fn token(&self, id: &str) -> String {
        api::issue_token(&self.records, &self.realm, id, Duration::from_secs(600)).await.unwrap()
    }
}

fn count_files(folder: &std::path::Path) -> usize {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    entries.map(|entry| entry.unwrap().path()).map(|path| if path.is_dir() { count_files(&path) } else { 1 }).sum()
}

/// A user who is logged in, with both cookies.
pub(crate) struct Login<'a> {
    pub(crate) server: &'a TestServer,
    pub(crate) session: String,
    pub(crate) csrf: String,
}

impl<'a> Login<'a> {
    pub(crate) fn from_response(server: &'a TestServer, response: &Response) -> Self {
        Self { server, session: cookie_value(response, "AtmoAuthToken_"), csrf: cookie_value(response, "Csrf-Token_") }
    }

    /// A request with the session cookie and without the CSRF token.
    pub(crate) fn request_without_csrf(&self, method: Method, path: &str) -> RequestBuilder {
        let cookie = format!("AtmoAuthToken_{FED}={}; Csrf-Token_{FED}={}", self.session, self.csrf);
        self.server.anonymous(method, path).header("cookie", cookie)
    }

    /// A request as the page sends it: with the session cookie and the CSRF token.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.request_without_csrf(method, path).header(format!("X-Csrf-Token_{FED}"), &self.csrf)
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.request_without_csrf(Method::GET, path).send().await.unwrap()
    }

    /// Uploads bytes as the documentation describes it.
    pub(crate) async fn upload(&self, name: &str, bytes: &[u8]) -> Response {
        self.request(Method::POST, "/api/dropbox/pictures").multipart(form(name, bytes)).send().await.unwrap()
    }

    /// Uploads a valid picture and returns its number.
    pub(crate) async fn upload_picture(&self) -> String {
        let response = self.upload("small.png", PNG).await;
        assert!(response.status().is_success(), "{}", response.text().await.unwrap());
        response.text().await.unwrap()
    }

    pub(crate) async fn claim(&self, resource: &str, id: &str) -> Response {
        let body = serde_json::json!({"PictureID": id});
        self.request(Method::PUT, &format!("/api/{resource}.{FED}")).json(&body).send().await.unwrap()
    }

    pub(crate) async fn crop(&self, id: &str, form: &str) -> Response {
        self.request(Method::PUT, &format!("/api/dropbox/pictures/{id}"))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form.to_owned())
            .send()
            .await
            .unwrap()
    }
}

/// A form with one file, as the documentation describes it.
pub(crate) fn form(name: &str, bytes: &[u8]) -> reqwest::multipart::Form {
    let part = reqwest::multipart::Part::bytes(bytes.to_vec()).file_name(name.to_owned());
    reqwest::multipart::Form::new().part("Profile", part)
}

/// The value of the cookie that a response sets; `name` is the beginning of the cookie's name.
pub(crate) fn cookie_value(response: &Response, name: &str) -> String {
    let cookies = response.headers().get_all("set-cookie").iter().map(|value| value.to_str().unwrap());
    let line = cookies.into_iter().find(|line| line.starts_with(name)).unwrap();
    line.split_once('=').unwrap().1.split(';').next().unwrap().to_owned()
}

pub(crate) fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

/// Width and height of a PNG.
pub(crate) fn png_size(bytes: &[u8]) -> (u32, u32) {
    assert_eq!(&bytes[..8], b"\x89PNG\r\n\x1a\n");
    let side = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
    (side(16), side(20))
}

/// Serves this router as a server of the portal, one connection at a time, which is enough for a test.
pub(crate) async fn serve_portal(listener: TcpListener, router: axum::Router) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let service = hyper_util::service::TowerToHyperService::new(router.clone());
        let io = hyper_util::rt::TokioIo::new(stream);
        let mut http = hyper::server::conn::http1::Builder::new();
        http.keep_alive(false).serve_connection(io, service).await.ok();
    }
}

/// Starts a server of the portal that sends endless responses, with this pause between pieces. Returns its address and
/// the number of bytes sent.
pub(crate) async fn serve_endless_response(pause: Duration) -> (String, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let sent = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&sent);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let count = Arc::clone(&count);
            tokio::spawn(async move {
                let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n";
                stream.write_all(head.as_bytes()).await?;
                loop {
                    let sent = stream.write(&[b' '; 16 << 10]).await?;
                    count.fetch_add(sent as u64, Ordering::SeqCst);
                    tokio::time::sleep(pause).await;
                }
                #[expect(unreachable_code, reason = "says which error ends it")]
                Ok::<(), std::io::Error>(())
            });
        }
    });
    (address, sent)
}
