//! The dependency rules of the architecture, checked against the crates' manifests.

use std::collections::BTreeMap;
use std::path::Path;

/// Heavy dependencies and the only crates that may name each of them.
const DEPENDENCY_OWNERS: [(&str, &[&str]); 5] = [
    ("upload", &["lapin", "object_store", "sea-orm"]),
    ("api", &["axum", "hyper", "hyper-util", "multer"]),
    ("worker", &["fast_image_resize", "image", "image-webp", "png", "gif", "zune-jpeg", "moxcms", "jpeg-encoder"]),
    ("migrations", &["sea-orm-migration"]),
    (".", &["clap", "config", "opentelemetry-otlp", "opentelemetry_sdk", "tracing-subscriber"]),
];

/// The workspace crates on which each crate may depend.
const ALLOWED_DEPENDENCIES: [(&str, &[&str]); 5] = [
    ("upload", &[]),
    ("migrations", &[]),
    ("api", &["upload"]),
    ("worker", &["upload"]),
    (".", &["api", "migrations", "upload", "worker"]),
];

fn manifest(of: &str) -> toml::Table {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(of).join("Cargo.toml");
    std::fs::read_to_string(path).unwrap().parse().unwrap()
}

/// The `[dependencies]` of a crate, without those of its tests.
fn dependencies(of: &str) -> Vec<String> {
    manifest(of)["dependencies"].as_table().unwrap().keys().cloned().collect()
}

#[test]
fn each_heavy_dependency_has_one_owner() {
    let all: BTreeMap<&str, Vec<String>> = ALLOWED_DEPENDENCIES.iter().map(|(of, _)| (*of, dependencies(of))).collect();
    for (owner, owned) in DEPENDENCY_OWNERS {
        for dependency in owned {
            for (of, dependencies) in &all {
                assert!(
                    *of == owner || !dependencies.iter().any(|name| name == dependency),
                    "{of} depends on {dependency}, which is {owner}'s"
                );
            }
        }
    }
}

#[test]
fn crates_depend_only_on_allowed_crates() {
    for (of, allowed) in ALLOWED_DEPENDENCIES {
        let ours: Vec<String> = dependencies(of)
            .into_iter()
            .filter(|name| ["upload", "api", "worker", "migrations", "cloakroom"].contains(&name.as_str()))
            .collect();
        assert!(ours.iter().all(|name| allowed.contains(&name.as_str())), "{of} depends on {ours:?}");
    }
}

/// The fuzzers are outside the workspace and build the engine's files with a manifest of their own, which no other
/// build reads.
#[test]
fn the_fuzz_manifest_lists_the_picture_dependencies() {
    fn read_sources(folder: &Path, text: &mut String) {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                read_sources(&path, text)
            } else {
                text.push_str(&std::fs::read_to_string(path).unwrap())
            }
        }
    }
    let mut engine = String::new();
    read_sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("worker/src/picture"), &mut engine);
    let (fuzz, ours) = (manifest("fuzz"), manifest("."));
    for name in dependencies("worker").into_iter().filter(|name| name != "upload") {
        if engine.contains(&format!("{}::", name.replace('-', "_"))) {
            let (theirs, ours) = (fuzz["dependencies"].get(&name), &ours["workspace"]["dependencies"][&name]);
            assert_eq!(theirs, Some(ours), "{name}, in fuzz/Cargo.toml and here");
        }
    }
}

#[test]
fn files_are_short_and_have_no_generic_names() {
    fn check_folder(folder: &Path) {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let (path, name) = (entry.path(), entry.file_name().into_string().unwrap());
            if path.is_dir() {
                if !["target", "fuzz", "node_modules"].contains(&name.as_str()) && !name.starts_with('.') {
                    check_folder(&path);
                }
            } else if name.ends_with(".rs") {
                let lines = std::fs::read_to_string(&path).unwrap().lines().count();
                assert!(lines <= 400, "{} has {lines} lines: it is two files", path.display());
            }
            let stem = name.trim_end_matches(".rs");
            let vague = ["util", "utils", "common", "shared", "core", "helpers", "types", "misc"];
            assert!(!vague.contains(&stem), "{} says nothing about what is inside", path.display());
        }
    }
    check_folder(Path::new(env!("CARGO_MANIFEST_DIR")));
}
