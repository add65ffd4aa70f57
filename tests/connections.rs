//! Tests floods of connections to a process whose limit of file descriptors is the usual limit of the system.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use test_support::portal::{PortalClient, read_picture};
use test_support::process::{DataFolder, ServerProcess, cloakroom_command};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};

/// The number of idle connections, which is above the process's limit of descriptors.
const FLOOD: usize = 1100;
const DESCRIPTORS: u64 = 1024;

/// Starts `cloakroom up` with a hard limit of `DESCRIPTORS` file descriptors and a lower soft limit.
fn start_with_fd_limit(folder: &DataFolder, settings: &[(&str, &str)]) -> ServerProcess {
    let plain = cloakroom_command(folder.path());
    let mut limited = Command::new("sh");
    let script = format!("ulimit -Sn 256 && ulimit -Hn {DESCRIPTORS} && exec \"$0\" up");
    limited.arg("-c").arg(script).arg(plain.get_program()).current_dir(folder.path());
    for (name, value) in plain.get_envs() {
        match value {
            Some(value) => limited.env(name, value),
            None => limited.env_remove(name),
        };
    }
    limited.envs(settings.iter().copied());
    ServerProcess::start(limited)
}

/// Opens connections from these addresses in turn. All of the addresses belong to this machine.
async fn open_connections(process: &ServerProcess, from: impl Fn(usize) -> [u8; 4]) -> Vec<TcpStream> {
    let own = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: own.maximum, ..own }).unwrap();
    let mut flood = Vec::new();
    for n in 0..FLOOD {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from((from(n), 0))).unwrap();
        flood.push(socket.connect(process.address).await.unwrap());
    }
    flood
}

/// A long timeout, so that idle connections are closed only to make room for others.
const LONG_HEADER_TIMEOUT: (&str, &str) = ("CLOAKROOM__HTTP__HEADER_TIMEOUT", "1h");

async fn assert_serves(process: &ServerProcess) {
    let served = async {
        let portal = PortalClient::log_in(process).await;
        assert_eq!(portal.get("/livez").await.status(), 200);
        let uploads = (0..40).map(|_| portal.upload("astronaut.jpg", read_picture("astronaut.jpg")));
        for answer in futures::future::join_all(uploads).await {
            assert_eq!(answer.status(), 200);
        }
        assert_eq!(process.probe("/livez").await.0, 200);
    };
    tokio::time::timeout(Duration::from_secs(300), served).await.expect("idle connections keep no other client out");
    assert!(!process.log().contains("could not be accepted"), "descriptors ran out");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_one_address_keeps_no_other_client_out() {
    let folder = DataFolder::new();
    let process = start_with_fd_limit(&folder, &[LONG_HEADER_TIMEOUT]);
    assert_eq!(process.fd_limits(), (DESCRIPTORS, DESCRIPTORS), "the soft limit was raised to the hard limit");
    assert!(process.log().contains("\"descriptors\":1024"), "the log names the limit");
    let _flood = open_connections(&process, |_| [127, 0, 0, 1]).await;
    assert_serves(&process).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_many_addresses_keeps_no_other_client_out() {
    let folder = DataFolder::new();
    let process = start_with_fd_limit(&folder, &[LONG_HEADER_TIMEOUT]);
    let _flood = open_connections(&process, |n| {
        [127, 0, 1 + u8::try_from(n / 250).unwrap(), 1 + u8::try_from(n % 250).unwrap()]
    })
    .await;
    assert_serves(&process).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_over_ipv6_keeps_no_other_client_out() {
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        return eprintln!("skipped: this machine has no IPv6 loopback address");
    }
    let folder = DataFolder::new();
    let settings = [
        ("CLOAKROOM__HTTP__LISTEN", "[::1]:0"),
        ("CLOAKROOM__HTTP__MAX_CONNECTIONS_PER_ADDRESS", "50"),
        LONG_HEADER_TIMEOUT,
    ];
    let process = ServerProcess::start_all_in_one(&folder, &settings);
    let mut flood = Vec::new();
    for _ in 0..200 {
        flood.push(TcpStream::connect(process.address).await.unwrap());
    }
    assert_serves(&process).await;
    let (_, metrics) = process.probe("/metrics").await;
    let open = metrics.lines().find_map(|line| line.strip_prefix("cloakroom_connections_open ")).unwrap();
    assert!(open.parse::<u64>().unwrap() <= 50, "{open} connections of one address are open");
}

/// Probes and metrics answer, whatever load the public listener has.
#[tokio::test(flavor = "multi_thread")]
async fn probes_answer_while_all_connections_are_busy() {
    let folder = DataFolder::new();
    let settings = [
        ("CLOAKROOM__HTTP__MAX_CONNECTIONS", "4"),
        ("CLOAKROOM__HTTP__BODY_IDLE_TIMEOUT", "1h"),
        ("CLOAKROOM__HTTP__BODY_TIMEOUT", "1h"),
        ("CLOAKROOM__HTTP__MIN_BODY_RATE", "0 B"),
        LONG_HEADER_TIMEOUT,
    ];
    let process = ServerProcess::start_all_in_one(&folder, &settings);
    let mut busy = Vec::new();
    for _ in 0..4 {
        busy.push(open_unfinished_request(&process).await);
    }
    let full = async { while !process.probe("/metrics").await.1.contains("cloakroom_connections_open 4\n") {} };
    tokio::time::timeout(Duration::from_secs(60), full).await.expect("all connections are open");
    assert_eq!(process.probe("/livez").await.0, 200);
    assert_eq!(process.probe("/readyz").await.0, 200);
}

/// A process ends within its grace period, whatever a client does meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn an_unfinished_request_does_not_delay_the_end_of_a_process() {
    let folder = DataFolder::new();
    let settings = [
        ("CLOAKROOM__SHUTDOWN__GRACE_PERIOD", "2s"),
        ("CLOAKROOM__HTTP__DRAIN_TIMEOUT", "1h"),
        ("CLOAKROOM__HTTP__BODY_IDLE_TIMEOUT", "1h"),
        ("CLOAKROOM__HTTP__BODY_TIMEOUT", "1h"),
        ("CLOAKROOM__HTTP__MIN_BODY_RATE", "0 B"),
        LONG_HEADER_TIMEOUT,
    ];
    let mut process = ServerProcess::start_all_in_one(&folder, &settings);
    let _unfinished = open_unfinished_request(&process).await;
    let busy = async { while !process.probe("/metrics").await.1.contains("cloakroom_connections_open 1\n") {} };
    tokio::time::timeout(Duration::from_secs(60), busy).await.expect("the connection is open");
    process.terminate();
    let mut tick = tokio::time::interval(Duration::from_millis(50));
    let ended = async {
        while process.is_running() {
            tick.tick().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), ended).await.expect("the process ends");
    assert_eq!(process.wait_for_exit(), Some(1), "the status says that a request was not finished");
}

/// Opens a request whose body is never complete.
async fn open_unfinished_request(process: &ServerProcess) -> TcpStream {
    let mut stream = TcpStream::connect(process.address).await.unwrap();
    let head = "POST /api/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}
