//! A real nginx for one test. `CLOAKROOM_TEST_NGINX` is the path of the program; `tests/engines/start` sets it.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// The path of nginx. Prints a message and returns None if it is not given.
pub fn nginx_program() -> Option<String> {
    let program = std::env::var("CLOAKROOM_TEST_NGINX").ok().filter(|path| !path.is_empty());
    if program.is_none() {
        eprintln!("skipped: CLOAKROOM_TEST_NGINX is not set");
    }
    program
}

/// A running nginx with a folder of its own. Dropping this value ends nginx.
pub struct Nginx {
    process: Child,
    folder: TempDir,
    /// The addresses on which nginx listens.
    pub addresses: Vec<SocketAddr>,
}

impl Drop for Nginx {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

impl Nginx {
    /// Starts the program and returns when it listens. `configure` gets the folder and `listener_count` free addresses,
    /// and returns directives for the `http` block.
    pub fn start(program: &str, listener_count: usize, configure: impl FnOnce(&Path, &[SocketAddr]) -> String) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let bound: Vec<_> = (0..listener_count).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let addresses: Vec<_> = bound.iter().map(|listener| listener.local_addr().unwrap()).collect();
        drop(bound);
        let directives = configure(folder.path(), &addresses);
        let path = folder.path().display();
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        let temporary: String = temporary.iter().map(|name| format!("{name}_temp_path {path}/{name};\n")).collect();
        // nginx runs as one process, so that killing this process ends it.
        let config = format!(
            "daemon off; master_process off; pid {path}/pid; error_log {path}/log;\nevents {{}}\nhttp {{\n\
             access_log off; client_max_body_size 0;\n{temporary}{directives}}}\n"
        );
        let file = folder.path().join("nginx.conf");
        std::fs::write(&file, config).unwrap();
        let log = folder.path().join("log");
        let mut command = Command::new(program);
        command.arg("-c").arg(&file).arg("-p").arg(folder.path()).arg("-e").arg(&log).stdin(Stdio::null());
        let mut process = command.spawn().unwrap();
        while !addresses.iter().all(|address| TcpStream::connect(address).is_ok()) {
            if let Some(ended) = process.try_wait().unwrap() {
                panic!("nginx ended: {ended}, {}", std::fs::read_to_string(&log).unwrap_or_default());
            }
            std::thread::yield_now();
        }
        Self { process, folder, addresses }
    }

    /// The folder that `configure` got.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What nginx has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder().join("log")).unwrap_or_default()
    }
}
