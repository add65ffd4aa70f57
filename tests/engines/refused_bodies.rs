//! Large bodies that are refused, sent by real clients: directly, and through a real nginx with and without buffering
//! of requests. Each client must get the response, although it or the proxy is still sending.
//!
//! `CLOAKROOM_TEST_NGINX` is the path of nginx; `tests/engines/start` sets it. A client that is not on this machine is
//! left out, and the test says so.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use test_support::process::{DataFolder, ServerProcess};

/// The sizes of the files, in bytes. All are below the limit of the route, 100 MiB.
const SIZES: [usize; 3] = [10_000_000, 40_000_000, 100_000_000];

/// The clients: a program that must be there, and its arguments before the address and the size.
const CLIENTS: [(&str, &[&str]); 3] =
    [("node", &["client.js"]), ("python3", &["client.py"]), ("java", &["Client.java"])];

/// A proxy on two ports: the first buffers requests, the second passes them on as they arrive.
struct Nginx {
    process: Child,
    ports: [SocketAddr; 2],
    _folder: DataFolder,
}

impl Drop for Nginx {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

impl Nginx {
    fn start(binary: &str, upstream: SocketAddr) -> Self {
        let folder = DataFolder::new();
        let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let ports = listeners.each_ref().map(|listener| listener.local_addr().unwrap());
        drop(listeners);
        let server = |port: SocketAddr, buffering: &str| {
            format!(
                "server {{ listen {port}; proxy_request_buffering {buffering};\n\
                 location / {{ proxy_pass http://{upstream}; }} }}\n"
            )
        };
        let path = folder.path().display();
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        let temporary: String = temporary.iter().map(|name| format!("{name}_temp_path {path}/{name};\n")).collect();
        // One process, so that killing it ends nginx.
        let config = format!(
            "daemon off; master_process off; pid {path}/pid; error_log {path}/log;\nevents {{}}\nhttp {{\n\
             access_log off; client_max_body_size 0; proxy_http_version 1.1; proxy_set_header Connection \"\";\n\
             {temporary}{}{}}}\n",
            server(ports[0], "on"),
            server(ports[1], "off")
        );
        let file = folder.path().join("nginx.conf");
        std::fs::write(&file, config).unwrap();
        let log = folder.path().join("log");
        let mut command = Command::new(binary);
        command.arg("-c").arg(&file).arg("-p").arg(folder.path()).arg("-e").arg(&log).stdin(Stdio::null());
        let mut process = command.spawn().unwrap();
        while !ports.iter().all(|port| TcpStream::connect(port).is_ok()) {
            if let Some(ended) = process.try_wait().unwrap() {
                panic!("nginx ended: {ended}, {}", std::fs::read_to_string(&log).unwrap_or_default());
            }
            std::thread::yield_now();
        }
        Self { process, ports, _folder: folder }
    }
}

fn is_installed(program: &str) -> bool {
    let version = if program == "java" { "-version" } else { "--version" };
    let found = Command::new(program).arg(version).stdout(Stdio::null()).stderr(Stdio::null()).status();
    found.is_ok_and(|status| status.success())
}

/// What a client prints: the status, or why it got none.
fn run(mut command: Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if text.is_empty() { String::from_utf8_lossy(&output.stderr).into_owned() } else { text }
}

fn run_curl(url: &str, size: usize) -> String {
    let folder = DataFolder::new();
    let file = folder.path().join("file");
    std::fs::write(&file, vec![0; size]).unwrap();
    let mut command = Command::new("curl");
    // With `Expect`, it would send nothing before it is asked to.
    command.args(["-sS", "-o", "/dev/null", "-w", "%{http_code}", "-H", "Expect:", "-F"]);
    command.arg(format!("primaryFile=@{}", file.display())).arg(url);
    run(command)
}

#[test]
fn every_client_gets_to_read_a_refusal() {
    let Some(nginx) = std::env::var("CLOAKROOM_TEST_NGINX").ok().filter(|path| !path.is_empty()) else {
        eprintln!("skipped: CLOAKROOM_TEST_NGINX is not set");
        return;
    };
    let folder = DataFolder::new();
    let server = ServerProcess::start_all_in_one(&folder, &[]);
    let nginx = Nginx::start(&nginx, server.address);
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/engines/clients");
    let mut refusals = Vec::new();
    for (way, address) in [("directly", server.address), ("buffered", nginx.ports[0]), ("unbuffered", nginx.ports[1])] {
        let url = format!("http://{address}/documents/api/1.2/files/data");
        for size in SIZES {
            for (program, arguments) in CLIENTS {
                if !is_installed(program) {
                    eprintln!("left out: {program} is not on this machine");
                    continue;
                }
                let mut command = Command::new(program);
                command.current_dir(&scripts).args(arguments).arg(&url).arg(size.to_string());
                refusals.push((way, size, program, run(command)));
            }
            if is_installed("curl") {
                refusals.push((way, size, "curl", run_curl(&url, size)));
            }
        }
    }
    assert!(!refusals.is_empty(), "there is no client on this machine");
    let failed: Vec<_> = refusals.iter().filter(|(_, _, _, status)| status != "401").collect();
    assert!(failed.is_empty(), "of {} requests these got no response: {failed:#?}", refusals.len());
}
