//! What is shipped beside the program: every setting that `docker-compose.yml` gives is one that the program knows, and
//! every address that it probes is one that the program answers.

use std::path::Path;

use crate::process::{Folder, command};

fn compose() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docker-compose.yml")).unwrap()
}

/// `${NAME:-value}` as it is where nobody sets NAME.
fn unset(text: &str) -> String {
    let Some((before, rest)) = text.split_once("${") else { return text.to_owned() };
    let (variable, after) = rest.split_once('}').unwrap();
    let (_, value) = variable.split_once(":-").unwrap_or_else(|| panic!("{variable} has no value to begin with"));
    format!("{before}{value}{}", unset(after))
}

#[test]
fn every_setting_of_the_compose_file_is_known() {
    let folder = Folder::new();
    let mut check = command(folder.path());
    check.args(["config", "check"]);
    let mut settings = 0;
    for line in compose().lines() {
        let Some((name, value)) = line.trim().split_once(": ").filter(|(name, _)| name.starts_with("CLOAKROOM__"))
        else {
            continue;
        };
        let value = unset(value.trim_matches('"'));
        // An anchor names a value, an alias repeats one.
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
fn every_service_has_an_image_a_limit_and_a_probe_or_an_end() {
    let compose = compose();
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
