//! Checks the deployment files: the program knows every setting in `docker-compose.yml`, and answers every address that
//! the file probes.

use std::path::Path;

use test_support::process::{DataFolder, cloakroom_command};

fn compose_file() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docker-compose.yml")).unwrap()
}

/// Replaces each `${NAME:-value}` by its default value.
fn with_default_values(text: &str) -> String {
    let Some((before, rest)) = text.split_once("${") else { return text.to_owned() };
    let (variable, after) = rest.split_once('}').unwrap();
    let (_, value) = variable.split_once(":-").unwrap_or_else(|| panic!("{variable} has no default value"));
    format!("{before}{value}{}", with_default_values(after))
}

#[test]
fn every_setting_of_the_compose_file_is_known() {
    let folder = DataFolder::new();
    let mut check = cloakroom_command(folder.path());
    check.args(["config", "check"]);
    let mut settings = 0;
    for line in compose_file().lines() {
        let Some((name, value)) = line.trim().split_once(": ").filter(|(name, _)| name.starts_with("CLOAKROOM__"))
        else {
            continue;
        };
        let value = with_default_values(value.trim_matches('"'));
        // An anchor defines a value, an alias repeats it.
        let value = if value.starts_with('&') { value.split_once(' ').unwrap().1.to_owned() } else { value };
        if !value.starts_with('*') {
            check.env(name, value);
            settings += 1;
        }
    }
    assert!(settings >= 10, "only {settings} settings were found");
    let checked = check.output().unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
}

#[test]
fn every_service_has_an_image_and_a_memory_limit_and_has_a_probe_or_ends() {
    let compose = compose_file();
    let services = compose.split_once("\nservices:\n").unwrap().1.split_once("\nvolumes:\n").unwrap().0;
    let mut names = Vec::new();
    let mut service = String::new();
    let mut check = |service: &str| {
        let Some((name, body)) = service.split_once(':').filter(|(name, _)| !name.trim().is_empty()) else { return };
        assert!(body.contains("image:") || body.contains("<<: *cloakroom"), "{name} has no image");
        assert!(body.contains("memory:"), "{name} has no limit");
        assert!(body.contains("healthcheck:") || body.contains("restart: on-failure"), "{name} has no probe");
        names.push(name.trim().to_owned());
    };
    for line in services.lines().filter(|line| !line.trim_start().starts_with('#')) {
        if line.starts_with("  ") && !line.starts_with("   ") {
            check(&service);
            service.clear();
        }
        service.push_str(line);
        service.push('\n');
    }
    check(&service);
    assert_eq!(names, ["postgres", "rabbitmq", "garage", "garage-init", "migrate", "api", "worker"]);
}

fn read_deploy_file(file: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap()
}

/// The text after `key` in each line that begins with `key`. If the value is a list, the text is JSON.
fn values_of_key<'a>(text: &'a str, key: &'a str) -> impl Iterator<Item = &'a str> {
    text.lines().filter_map(move |line| line.trim().trim_start_matches("- ").strip_prefix(key)).map(str::trim)
}

/// A probe runs inside a container: the image contains its command, and the service listens on the probed port.
#[test]
fn every_probe_uses_an_existing_program_and_address() {
    let compose = compose_file();
    let image = read_deploy_file("deploy/Dockerfile");
    let ours = |program: &str| image.contains(&format!(" {program} "));
    let probes: Vec<Vec<String>> =
        values_of_key(&compose, "test:").map(|command| serde_json::from_str(command).unwrap()).collect();
    assert_eq!(probes.len(), 5, "{probes:?}");
    for probe in &probes {
        assert_eq!(probe[0], "CMD");
        match probe[1].as_str() {
            // Programs of the other images: https://hub.docker.com/_/postgres, …/_/rabbitmq, …/r/dxflrs/garage.
            "pg_isready" | "rabbitmq-diagnostics" | "/garage" => {}
            program => {
                assert!(ours(program), "{program} is not in our image");
                let address = probe.last().unwrap().strip_prefix("http://127.0.0.1:").unwrap();
                let (port, path) = address.split_once('/').unwrap();
                let listens = compose
                    .lines()
                    .any(|line| line.contains("__LISTEN:") && line.trim_end().ends_with(&format!(":{port}")));
                assert!(listens, "nothing listens on {port}");
                assert!(["livez", "readyz"].contains(&path), "{path} is no probe");
            }
        }
    }
}

/// The memory of the api is enough for the maximum of concurrent uploads (docs/limits.md, "Memory"). It holds the
/// api's own data and, for each upload, one part of a multipart upload to S3.
#[test]
fn the_api_has_memory_for_its_maximum_of_uploads() {
    let compose = compose_file();
    let (_, api) = compose.split_once("\n  api:\n").unwrap();
    let api = api.split("\n\n").next().unwrap();
    let most: u64 =
        values_of_key(api, "CLOAKROOM__UPLOADS__MAX_CONCURRENT:").next().unwrap().trim_matches('"').parse().unwrap();
    let (_, limit) = api.split_once("memory: ").unwrap();
    let mebibytes: u64 = limit.split_once('m').unwrap().0.parse().unwrap();
    assert!(compose.contains("CLOAKROOM__STAGING__URL: s3://"), "this test counts the parts of a bucket");
    assert!(25 + most * 5 <= mebibytes, "{most} uploads do not fit into {mebibytes} MiB");
}

/// Every address of another service names an existing service and the port of that service.
#[test]
fn every_address_port_and_volume_exists() {
    let compose = compose_file();
    for (service, port) in [("rabbitmq", 5672), ("postgres", 5432), ("garage", 3900)] {
        assert!(compose.contains(&format!("\n  {service}:\n")), "{service}");
        let hosts = [format!("@{service}:"), format!("//{service}:")];
        let named = hosts.iter().flat_map(|host| compose.match_indices(host.as_str()).map(|(at, _)| at + host.len()));
        let ports: Vec<&str> =
            named.map(|at| compose[at..].split(|c: char| !c.is_ascii_digit()).next().unwrap()).collect();
        assert!(!ports.is_empty() && ports.iter().all(|named| *named == port.to_string()), "{service}: {ports:?}");
    }
    let garage = read_deploy_file("deploy/garage.toml");
    let garage: toml::Table = garage.parse().unwrap();
    assert!(garage["s3_api"]["api_bind_addr"].as_str().unwrap().ends_with(":3900"));
    assert!(garage["admin"]["api_bind_addr"].as_str().unwrap().ends_with(":3903"));
    assert_eq!(garage["s3_api"]["s3_region"].as_str(), values_of_key(&compose, "CLOAKROOM__STAGING__REGION:").next());
    assert!(read_deploy_file("deploy/garage-init.sh").contains("http://garage:3903"));
    // Ports are published to this machine only.
    for published in values_of_key(&compose, "ports:") {
        let published: Vec<String> = serde_json::from_str(published).unwrap();
        assert!(published.iter().all(|port| port.starts_with("127.0.0.1:")), "{published:?}");
    }
    let (_, declared) = compose.split_once("\nvolumes:\n").unwrap();
    let declared: Vec<&str> = declared.lines().map(|line| line.trim().trim_end_matches(':')).collect();
    for mounted in compose.lines().filter(|line| line.contains("/var/lib/")) {
        let name = mounted.split('"').nth(1).unwrap().split(':').next().unwrap();
        assert!(declared.contains(&name), "{name} is not declared");
    }
    for file in compose.match_indices("\"./").map(|(at, _)| &compose[at + 3..]) {
        let file = file.split(':').next().unwrap();
        assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(file).exists(), "{file}");
    }
}

/// Every dependency names an existing service. A service with a health condition has a probe, and only a service that
/// ends is waited for until its end.
#[test]
fn every_dependency_is_a_service() {
    let compose = compose_file();
    let waits = compose.lines().filter_map(|line| line.trim().split_once(": { condition: "));
    let mut waited = 0;
    for (service, condition) in waits {
        let (_, body) = compose.split_once(&format!("\n  {service}:\n")).unwrap_or_else(|| panic!("no {service}"));
        let body = body.split("\n\n").next().unwrap();
        match condition.trim_end_matches(" }") {
            "service_healthy" => assert!(body.contains("healthcheck:"), "{service} has no probe"),
            "service_completed_successfully" => assert!(body.contains("restart: on-failure"), "{service} never ends"),
            other => panic!("{other}"),
        }
        waited += 1;
    }
    assert_eq!(waited, 5);
}
