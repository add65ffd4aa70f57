//! PostgreSQL servers and poolers for one test, from Debian's packages. PostgreSQL's programs refuse to run as root, so
//! a test that is run as root starts them as the user postgres.

use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use sea_orm::{ConnectionTrait, Database};

/// A free port for a server that is about to listen.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The user or group id of the user postgres. None if this process is not root.
fn postgres_id(which: &str) -> Option<u32> {
    let number = |args: &[&str]| {
        let said = Command::new("id").args(args).output().unwrap().stdout;
        String::from_utf8(said).unwrap().trim().parse::<u32>()
    };
    (number(&["-u"]) == Ok(0)).then(|| number(&[which, "postgres"]).unwrap())
}

/// A command for a program, which runs as the user postgres if this process is root.
fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    if let (Some(user), Some(group)) = (postgres_id("-u"), postgres_id("-g")) {
        command.uid(user).gid(group);
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// A folder that the user postgres may write to.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    if let (Some(user), Some(group)) = (postgres_id("-u"), postgres_id("-g")) {
        std::os::unix::fs::chown(folder.path(), Some(user), Some(group)).unwrap();
    }
    folder
}

fn stop(child: &mut Child, signal: &str) {
    Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
    child.wait().unwrap();
}

/// Waits until a database answers.
async fn wait_until_answers(url: &str) {
    let connected = async {
        loop {
            match Database::connect(url).await {
                Ok(db) => return db.close().await.unwrap(),
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(120), connected).await.expect("the server answers");
}

/// A PostgreSQL server.
pub(crate) struct PostgresServer {
    pub(crate) port: u16,
    folder: tempfile::TempDir,
    bin: PathBuf,
    child: Child,
}

impl PostgresServer {
    /// Starts a server. Prints a message and returns None if PostgreSQL's programs are not where Debian installs them.
    pub(crate) async fn start() -> Option<Self> {
        let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
        let Some(bin) = versions.map(|version| version.path().join("bin")).find(|bin| bin.join("initdb").exists())
        else {
            eprintln!("skipped: this needs a PostgreSQL server of its own; install Debian's package postgresql");
            return None;
        };
        let folder = folder();
        let status = command(&bin.join("initdb"))
            .args(["-A", "trust", "-U", "postgres", "-E", "UTF8", "--no-sync", "-D"])
            .arg(folder.path().join("data"))
            .status();
        assert!(status.unwrap().success());
        Some(Self::run(bin, folder).await)
    }

    /// Starts a streaming standby of this server.
    pub(crate) async fn standby(&self) -> Self {
        let folder = folder();
        let status = command(&self.bin.join("pg_basebackup"))
            .args(["-h", "127.0.0.1", "-U", "postgres", "-R", "-c", "fast", "-p", &self.port.to_string(), "-D"])
            .arg(folder.path().join("data"))
            .status();
        assert!(status.unwrap().success());
        Self::run(self.bin.clone(), folder).await
    }

    async fn run(bin: PathBuf, folder: tempfile::TempDir) -> Self {
        let port = free_port();
        let child = command(&bin.join("postgres"))
            .args(["-F", "-c", "listen_addresses=127.0.0.1", "-p", &port.to_string(), "-k"])
            .arg(folder.path())
            .arg("-D")
            .arg(folder.path().join("data"))
            .spawn();
        let server = Self { port, folder, bin, child: child.unwrap() };
        wait_until_answers(&server.url("postgres")).await;
        server
    }

    pub(crate) fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(crate) fn url(&self, database: &str) -> String {
        format!("postgres://postgres@{}/{database}", self.host())
    }

    /// Runs a statement as an operator.
    pub(crate) async fn run_sql(&self, sql: &str) {
        let db = Database::connect(self.url("postgres")).await.unwrap();
        db.execute_unprepared(sql).await.unwrap();
        db.close().await.unwrap();
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        // Stops the server at once: it does not wait for its clients.
        stop(&mut self.child, "-QUIT");
        let _kept_until_now = &self.folder;
    }
}

/// A PgBouncer in front of the test's server.
pub(crate) struct PgBouncer {
    port: u16,
    _folder: tempfile::TempDir,
    child: Child,
}

impl PgBouncer {
    /// Starts a PgBouncer with this number of server connections for each database. Prints a message and returns None
    /// if PgBouncer is not installed.
    pub(crate) async fn start(mode: &str, servers: u32, server: &str) -> Option<Self> {
        let program = Path::new("/usr/sbin/pgbouncer");
        if !program.exists() {
            eprintln!("skipped: this needs PgBouncer; install Debian's package pgbouncer");
            return None;
        }
        let (folder, port) = (folder(), free_port());
        let place = server.rsplit_once('@').unwrap().1;
        let (host, server_port) = place.split('/').next().unwrap().split_once(':').unwrap();
        let path = folder.path().display();
        // Debian's configuration, except for the address, the users and the pool.
        let settings = format!(
            "[databases]\n* = host={host} port={server_port} user=postgres\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = any\npool_mode = {mode}\nmax_client_conn = 300\n\
             default_pool_size = {servers}\nlogfile = {path}/log\npidfile = {path}/pid\n"
        );
        let file = folder.path().join("pgbouncer.ini");
        std::fs::write(&file, settings).unwrap();
        let child = command(program).arg(file).spawn().unwrap();
        let pooler = Self { port, _folder: folder, child };
        let listens = async {
            while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), listens).await.expect("PgBouncer listens");
        Some(pooler)
    }

    pub(crate) fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        stop(&mut self.child, "-KILL");
    }
}
