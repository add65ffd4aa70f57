//! Tests large bodies that are refused. Real clients send them directly, and through a real nginx with and without
//! buffering of requests. Each client must get the response, although it or the proxy is still sending.
//!
//! `CLOAKROOM_TEST_NGINX` is the path of nginx; `tests/engines/start` sets it. A client that is not on this machine is
//! left out, and the test says so.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use test_support::nginx::{Nginx, nginx_program};
use test_support::process::{DataFolder, ServerProcess};

/// The sizes of the files, in bytes. All are below the limit of the route, 100 MiB.
const SIZES: [usize; 3] = [10_000_000, 40_000_000, 100_000_000];

/// The ways through nginx: a name, the directives, and the sizes that are sent.
///
/// nginx sends a buffered request in one loop (`ngx_output_chain`), which ends when a write to the upstream would
/// block. Only then does it read the response. If the upstream reads faster than nginx writes, no write blocks. If the
/// upstream then closes the connection, `writev()` fails with EPIPE or ECONNRESET, and nginx answers 502, although the
/// response arrived before. A trace of the system calls of nginx 1.22 showed this: no wait for events between the
/// connection and EPIPE after 32 MiB. `client_body_buffer_size` is the size of each write.
///
/// This server was made to stop reading after 32 MiB, and so was a small upstream that does nothing else:
///
/// - 512 bytes, this server: 502 for each client, so that this test failed.
/// - 256 bytes and 1 KiB, small upstream: 502 each time.
/// - The default (8 KiB on x86-64), both servers: no 502. 4 KiB, small upstream: no 502. Presumably some write
///   blocked. The trace slowed nginx down, and the default then got 502 from the small upstream. So it depends on the
///   machine and on the load.
/// - `sendfile on`, small upstream: no 502. nginx left the loop after 2 MiB (`sendfile_max_chunk`) and read the
///   response.
const PROXIES: [(&str, &str, &[usize]); 3] = [
    ("buffered", "", &SIZES),
    ("unbuffered", "proxy_request_buffering off;", &SIZES),
    ("buffered, in small pieces", "client_body_buffer_size 512;", &[40_000_000]),
];

/// The clients: a program that must be there, and its arguments before the address and the size.
const CLIENTS: [(&str, &[&str]); 3] =
    [("node", &["client.js"]), ("python3", &["client.py"]), ("java", &["Client.java"])];

/// Starts a proxy on three ports, which are the `PROXIES`.
fn start_proxies(program: &str, upstream: SocketAddr) -> Nginx {
    Nginx::start(program, PROXIES.len(), |_, addresses| {
        let server = |(address, (_, directives, _)): (&SocketAddr, &(&str, &str, &[usize]))| {
            format!("server {{ listen {address}; {directives} location / {{ proxy_pass http://{upstream}; }} }}\n")
        };
        let servers: String = addresses.iter().zip(&PROXIES).map(server).collect();
        format!("proxy_http_version 1.1; proxy_set_header Connection \"\";\n{servers}")
    })
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
    // With `Expect: 100-continue`, curl would send no body before the server asks for it.
    command.args(["-sS", "-o", "/dev/null", "-w", "%{http_code}", "-H", "Expect:", "-F"]);
    command.arg(format!("primaryFile=@{}", file.display())).arg(url);
    run(command)
}

#[test]
fn every_client_gets_to_read_a_refusal() {
    let Some(nginx) = nginx_program() else { return };
    let folder = DataFolder::new();
    let server = ServerProcess::start_all_in_one(&folder, &[]);
    let nginx = start_proxies(&nginx, server.address);
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/engines/clients");
    let mut refusals = Vec::new();
    let proxies = PROXIES.iter().zip(&nginx.addresses).map(|((way, _, sizes), address)| (*way, *address, *sizes));
    for (way, address, sizes) in std::iter::once(("directly", server.address, &SIZES[..])).chain(proxies) {
        let url = format!("http://{address}/documents/api/1.2/files/data");
        for &size in sizes {
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
    assert!(failed.is_empty(), "of {} requests these got no response: {failed:#?}\n{}", refusals.len(), nginx.log());
}
