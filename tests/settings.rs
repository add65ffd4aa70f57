//! Tests settings as an operator uses them: the file, environment variables, `config check` and error messages.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use test_support::process::{DataFolder, PASSWORD, cloakroom_command};

fn run_command(folder: &DataFolder, args: &[&str], settings: &[(&str, &str)]) -> (bool, String, String) {
    let done = cloakroom_command(folder.path()).args(args).envs(settings.iter().copied()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (done.status.success(), text(done.stdout), text(done.stderr))
}

#[test]
fn config_check_shows_the_effective_settings_and_no_secret() {
    let folder = DataFolder::new();
    let url = ("CLOAKROOM__RECORDS__URL", "postgres://ada:s3cret@db/cloakroom");
    let (good, out, err) = run_command(&folder, &["config", "check"], &[url, ("CLOAKROOM__UPLOADS__RETENTION", "36h")]);
    assert!(good, "{err}");
    assert!(out.contains("url = \"postgres://…@db/cloakroom\""), "{out}");
    assert!(!out.contains("s3cret") && !out.contains(PASSWORD), "{out}");
    assert!(out.contains("retention = \"36h\"") || out.contains("retention = \"1d 12h\""), "{out}");
}

#[test]
fn an_error_names_the_wrong_setting() {
    let folder = DataFolder::new();
    for (name, value, says) in [
        ("CLOAKROOM__HTTP__LISTENN", "x", "listenn"),
        ("CLOAKROOM__UPLOADS__RETENTION", "soon", "retention"),
        ("CLOAKROOM__WORKER__QUEUES", "pictures,renderings", "renderings"),
        ("CLOAKROOM__QUEUE__URL", "kafka://localhost", "kafka"),
    ] {
        let (good, _, err) = run_command(&folder, &["up"], &[(name, value)]);
        assert!(!good && err.contains(says), "{name}={value}: {err}");
    }
    let (good, _, err) = run_command(&folder, &["--config", "nowhere.toml", "config", "check"], &[]);
    assert!(!good && err.contains("nowhere.toml"), "{err}");
}

/// Every problem of the file and of the environment is reported at once, with its location, and without a Rust type.
#[test]
fn all_problems_are_reported_at_once() {
    let folder = DataFolder::new();
    let file = folder.path().join("cloakroom.toml");
    std::fs::write(
        &file,
        r#"data_dir = 5

[http]
listenn = "127.0.0.1:1"
max_connections = 0
body_timeout = "soon"

[wroker]
lease = "30s"

[realm]
admin_password = 12345

[realm.oidc]
jwks = "keys.json"
"#,
    )
    .unwrap();
    let settings = [
        ("CLOAKROOM__HTTP__METRICS", "perhaps"),
        ("CLOAKROOM__LOG__FORMAT", "xml"),
        ("CLOAKROOM__REALM__OIDC", "x"),
        ("CLOAKROOM__SWEEP__BATCH", "5"),
        ("CLOAKROOM__UPLOADS__MAX_BYTES", "big"),
        ("CLOAKROOM__WORKER__MAX_ATTEMPTS", "-1"),
        ("CLOAKROOM__WORKER__QUEUES", "pictures,renderings"),
        ("CLOAKROOM_HTTP_LISTEN", "127.0.0.1:1"),
    ];
    for command in [["config", "check"].as_slice(), &["up"]] {
        let (good, _, err) = run_command(&folder, command, &settings);
        assert!(!good);
        let mut lines = err.lines();
        assert_eq!(lines.next(), Some("error: the settings have 15 problems:"), "{err}");
        for says in [
            "cloakroom.toml:1: data_dir = 5: write text in quotation marks",
            "cloakroom.toml:4: there is no setting http.listenn; did you mean http.listen?",
            "cloakroom.toml:5: http.max_connections = 0: write 1 to 2305843009213693951",
            "cloakroom.toml:6: http.body_timeout = \"soon\": write a time with its unit, such as 30s, 10m or 24h",
            "cloakroom.toml:8: there is no setting wroker; did you mean worker?",
            "cloakroom.toml:12: realm.admin_password = …: write text in quotation marks",
            "cloakroom.toml:15: realm.oidc.jwks = \"keys.json\": ",
            "CLOAKROOM_HTTP_LISTEN: there is no such setting; did you mean CLOAKROOM__HTTP__LISTEN?",
            "CLOAKROOM__HTTP__METRICS: http.metrics = \"perhaps\": write true or false",
            "CLOAKROOM__LOG__FORMAT: log.format = \"xml\": write one of `auto`, `pretty`, `plain`, `json`",
            "CLOAKROOM__REALM__OIDC: realm.oidc is a section; set CLOAKROOM__REALM__OIDC__… for one of its settings",
            "CLOAKROOM__SWEEP__BATCH: there is no setting sweep.batch; did you mean CLOAKROOM__SWEEP__BATCH_SIZE?",
            "CLOAKROOM__UPLOADS__MAX_BYTES: uploads.max_bytes = \"big\": write a size with its unit, such as",
            "CLOAKROOM__WORKER__MAX_ATTEMPTS: worker.max_attempts = -1: write a whole number from 0 to 4294967295",
            "CLOAKROOM__WORKER__QUEUES: worker.queues = [\"pictures\", \"renderings\"]: write a list, each entry one of",
        ] {
            assert!(lines.next().is_some_and(|line| line.trim().starts_with(says)), "{says}: {err}");
        }
        assert_eq!(lines.next(), None);
        assert!(
            !err.contains("12345") && !["usize", "u32", "i64", "struct", "enum"].iter().any(|word| err.contains(word))
        );
    }
}

#[test]
fn an_error_names_the_line_that_is_not_toml() {
    let folder = DataFolder::new();
    std::fs::write(folder.path().join("cloakroom.toml"), "[http]\nlisten = \"127.0.0.1:1\"\n\n[uploads\n").unwrap();
    let (good, _, err) = run_command(&folder, &["config", "check"], &[("CLOAKROOM__HTTP__LISTENN", "s3cret")]);
    assert!(!good && err.contains("cloakroom.toml:4: this line is not TOML: "), "{err}");
    assert!(err.contains("did you mean CLOAKROOM__HTTP__LISTEN?") && !err.contains("s3cret"), "{err}");
}

/// A variable of the environment overrides the file. Its value gets the type of its setting: `7` becomes a number, and
/// `12345` stays text if the setting is a text.
#[test]
fn a_variable_overrides_the_file() {
    let folder = DataFolder::new();
    std::fs::write(folder.path().join("cloakroom.toml"), "[uploads]\nretention = \"1h\"\nmax_concurrent = 0\n")
        .unwrap();
    let settings = [
        ("CLOAKROOM__UPLOADS__RETENTION", "2h"),
        ("CLOAKROOM__UPLOADS__MAX_CONCURRENT", "7"),
        ("CLOAKROOM__HTTP__METRICS", "true"),
        ("CLOAKROOM__REALM__SECURE_COOKIES", "true"),
        ("CLOAKROOM__TRACES__SAMPLE_RATIO", "0.5"),
        ("CLOAKROOM__WORKER__QUEUES", "pictures, bulk"),
        ("CLOAKROOM__TRACES__SERVICE", "12345"),
        // Kubernetes adds variables such as this one to every container beside a service of this name.
        ("CLOAKROOM_PORT", "tcp://10.0.0.1:80"),
    ];
    let (good, out, err) = run_command(&folder, &["config", "check"], &settings);
    assert!(good, "{err}");
    for line in [
        "retention = \"2h\"",
        "max_concurrent = 7",
        "metrics = true",
        "secure_cookies = true",
        "sample_ratio = 0.5",
        "service = \"12345\"",
    ] {
        assert!(out.lines().any(|shown| shown == line), "{line} is not in\n{out}");
    }
    let queues: String =
        out.split("queues = [").nth(1).unwrap().split(']').next().unwrap().split_whitespace().collect();
    assert_eq!(queues, "\"pictures\",\"bulk\",");
}

/// Some values are valid for their type, but the service could not work with them. `config check` and a start report
/// the setting's name and the allowed values.
#[test]
fn settings_with_which_the_service_cannot_work_are_refused() {
    let folder = DataFolder::new();
    for (name, value, says) in [
        ("LOG__LEVEL", "warning", "log.level = \"warning\": write error, warn, info"),
        ("LOG__LEVEL", "", "log.level"),
        ("LOG__LEVEL", "info,worker=loud", "log.level"),
        ("TRACES__SAMPLE_RATIO", "1.5", "traces.sample_ratio = 1.5: write 0.0 to 1.0"),
        ("TRACES__ENDPOINT", "localhost:4318", "traces.endpoint"),
        ("PROBES__LISTEN", "9090", "probes.listen = \"9090\""),
        ("HTTP__LISTEN", "http://0.0.0.0:80", "http.listen"),
        ("HTTP__MAX_CONNECTIONS", "0", "http.max_connections = 0: write 1 to"),
        ("HTTP__MAX_CONNECTIONS_PER_ADDRESS", "0", "http.max_connections_per_address = 0: write 1 to"),
        ("REALM__MAX_LOGINS_PER_ACCOUNT", "0", "realm.max_logins_per_account = 0: write 1 or more"),
        ("HTTP__BODY_TIMEOUT", "0s", "http.body_timeout = 0s"),
        ("UPLOADS__MAX_CONCURRENT", "0", "uploads.max_concurrent = 0"),
        ("UPLOADS__MAX_REQUESTS_PER_MINUTE", "0", "uploads.max_requests_per_minute = 0: write 1 or more"),
        ("REALM__FEDMEMBER", "acme.corp", "realm.fedmember = \"acme.corp\": write 1 to 64 letters"),
        ("REALM__SESSION_LIFETIME", "0s", "realm.session_lifetime = 0s: write a longer time"),
        ("REALM__SESSION_MAX_AGE", "0s", "realm.session_max_age = 0s: write a longer time"),
        ("REALM__SESSION_CACHE_TIME", "61s", "realm.session_cache_time = 61s: write 0s to 60s"),
        ("REALM__SERVICE__KEYS", "hunter2", "realm.service.keys = …: one of its keys has 7 characters"),
        ("REALM__OIDC__JWKS", "keys.json", "realm.oidc.issuer"),
        ("RECORDS__MAX_CONNECTIONS", "0", "records.max_connections = 0"),
        ("RECORDS__URL", "mysql://ada:hunter2@db/cloakroom", "records.url = \"mysql://…@db/cloakroom\""),
        ("STAGING__URL", "/var/staging", "staging.url"),
        (
            "BLOBS__URL",
            "gs://bucket",
            "blobs.url = \"gs://bucket\": write file:///a/folder, s3://bucket/prefix or azure://container/prefix",
        ),
        ("BLOBS__URL", "s3://", "blobs.url"),
        ("QUEUE__URL", "amqp:rabbit", "queue.url"),
        (
            "QUEUE__URL",
            "amqps://ada:hunter2@mq/v?certfile=/c",
            "queue.url = \"amqps://…@mq/v?certfile=/c\": unknown parameter",
        ),
        (
            "RECORDS__URL",
            "postgres://db/c?sslmod=require",
            "unknown parameter \"sslmod\"; the known ones are sslmode, ",
        ),
        ("STAGING__URL", "s3://bucket?cacertfile=/c", "unknown parameter \"cacertfile\"; the known ones are ca_file"),
        ("BLOBS__URL", "file:///blobs?x=1", "unknown parameter \"x\": this address allows no parameters"),
        ("TLS__CA_FILE", "/no/ca.pem", "tls.ca_file = \"/no/ca.pem\": the file /no/ca.pem cannot be read"),
        ("WORKER__MAX_ATTEMPTS", "0", "worker.max_attempts = 0"),
        ("WORKER__LEASE", "0s", "worker.lease = 0s"),
        ("SWEEP__BATCH_SIZE", "0", "sweep.batch_size = 0"),
        ("PICTURES__MAX_SIDE", "70000", "pictures.max_side = 70000: write 1 to 65535"),
    ] {
        for command in [["config", "check"].as_slice(), &["up"]] {
            let (good, _, err) = run_command(&folder, command, &[(&format!("CLOAKROOM__{name}"), value)]);
            assert!(!good && err.contains(says) && !err.contains("hunter2"), "{name}={value}: {err}");
        }
    }
    for level in ["off", "WARN", "info,worker=debug", "worker=debug", "info,[hop{upload=1}]=trace"] {
        let (good, _, err) = run_command(&folder, &["config", "check"], &[("CLOAKROOM__LOG__LEVEL", level)]);
        assert!(good, "{level}: {err}");
    }
}

#[test]
fn the_dumped_defaults_are_a_valid_settings_file() {
    let folder = DataFolder::new();
    let (good, defaults, _) = run_command(&folder, &["config", "dump", "--defaults"], &[]);
    assert!(good);
    std::fs::write(folder.path().join("cloakroom.toml"), defaults).unwrap();
    let (good, _, err) = run_command(&folder, &["config", "check"], &[]);
    assert!(good, "{err}");
}

#[test]
fn two_processes_do_not_share_a_folder() {
    let folder = DataFolder::new();
    let _first = test_support::process::ServerProcess::start_all_in_one(&folder, &[]);
    let (good, _, err) = run_command(&folder, &["up"], &[]);
    assert!(!good && err.contains("another cloakroom uses the folder"), "{err}");
}

#[test]
fn a_worker_does_not_start_if_its_probe_address_is_taken() {
    let folder = DataFolder::new();
    assert!(run_command(&folder, &["migrate", "up"], &[]).0);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let settings = [("CLOAKROOM__PROBES__LISTEN", address.as_str()), ("CLOAKROOM__QUEUE__URL", "amqp://127.0.0.1:1")];
    let mut worker =
        cloakroom_command(folder.path()).arg("worker").envs(settings).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    for line in BufReader::new(worker.stderr.take().unwrap()).lines().map_while(Result::ok) {
        said.push_str(&line);
        if line.contains("the worker is up") {
            worker.kill().unwrap();
        }
    }
    assert!(!worker.wait().unwrap().success());
    assert!(said.contains(&format!("probes.listen: {address}")) && !said.contains("the worker is up"), "{said}");
}

/// The commands that read the records say which database they use, and what to do if it does not exist.
#[test]
fn an_error_names_the_records_that_cannot_be_opened() {
    let folder = DataFolder::new();
    let nowhere = folder.path().join("deeper/still");
    let file = nowhere.join("records.db").display().to_string();
    let data = [("CLOAKROOM__DATA_DIR", nowhere.to_str().unwrap())];
    let url = "postgres://ada:s3cret@127.0.0.1:1/cloakroom";
    let refused = [("CLOAKROOM__RECORDS__URL", url)];
    for command in [["jobs", "ls"], ["user", "ls"], ["migrate", "status"], ["explain", "1001"]] {
        let (good, _, err) = run_command(&folder, &command, &data);
        let says = format!("there is no {file}: run this where cloakroom.toml is, or set CLOAKROOM__DATA_DIR");
        assert!(!good && err.contains(&says) && err.matches("there is no").count() == 1, "{err}");
    }
    assert!(!nowhere.exists(), "a command that only reads made a folder");
    let (good, _, err) = run_command(&folder, &["jobs", "ls"], &refused);
    let says =
        "the records at postgres://…@127.0.0.1:1/cloakroom cannot be opened: no server accepted a connection within 5s";
    assert!(!good && err.contains(says) && !err.contains("s3cret"), "{err}");

    let (good, _, err) = run_command(&folder, &["migrate", "up"], &data);
    assert!(good, "{err}");
    let (good, out, err) = run_command(&folder, &["jobs", "ls"], &data);
    assert!(good && out == "no dead letters\n", "{out}{err}");
    // A file that is no database gives one error, reported once.
    std::fs::write(folder.path().join("notes.db"), "just some notes, and quite a few of them").unwrap();
    let notes = format!("sqlite://{}", folder.path().join("notes.db").display());
    let (good, _, err) = run_command(&folder, &["migrate", "up"], &[("CLOAKROOM__RECORDS__URL", &notes)]);
    assert!(!good && err.matches("not a database").count() == 1, "{err}");
}

/// `tls.ca_file` reaches the database client. The server's certificate comes from an authority that only this file
/// names.
#[test]
fn a_certificate_authority_of_the_settings_is_trusted() {
    let (Ok(url), Ok(file)) = (std::env::var("CLOAKROOM_TEST_POSTGRES_TLS"), std::env::var("CLOAKROOM_TEST_CA")) else {
        return eprintln!("skipped: this needs CLOAKROOM_TEST_POSTGRES_TLS and CLOAKROOM_TEST_CA, or use tests/run");
    };
    let status = |more: &[(&str, &str)]| {
        let settings = [&[("CLOAKROOM__RECORDS__URL", url.as_str())], more].concat();
        run_command(&DataFolder::new(), &["migrate", "status"], &settings)
    };
    let (_, out, err) = status(&[]);
    assert!(out.is_empty() && err.contains("UnknownIssuer"), "{out}{err}");
    let (_, out, err) = status(&[("CLOAKROOM__TLS__CA_FILE", &file)]);
    assert!(out.contains("m0001_first_schema") && !err.contains("UnknownIssuer"), "{out}{err}");
}
