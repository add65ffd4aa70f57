//! Checks the rules of the architecture:
//! - each crate's manifest names only allowed dependencies;
//! - files are short and have specific names;
//! - the files that documents name exist.

use std::collections::BTreeMap;
use std::path::Path;

/// Heavy dependencies and the only crates that may name each of them.
const DEPENDENCY_OWNERS: [(&str, &[&str]); 7] = [
    ("crates/records", &["sea-orm", "sea-query-sqlx"]),
    ("crates/queue", &["lapin"]),
    ("crates/storage", &["object_store"]),
    ("crates/picture", &["fast_image_resize", "image-webp", "png", "pulp", "moxcms", "fdeflate"]),
    ("api", &["axum", "hyper", "hyper-util", "utoipa", "utoipa-axum"]),
    ("migrations", &["sea-orm-migration"]),
    (".", &["clap", "opentelemetry-otlp", "opentelemetry_sdk", "tracing-subscriber"]),
];

/// The workspace crates on which each crate may depend.
const ALLOWED_DEPENDENCIES: [(&str, &[&str]); 12] = [
    ("crates/domain", &[]),
    ("crates/address", &["domain"]),
    ("crates/instrument", &[]),
    ("crates/records", &["address", "domain", "instrument"]),
    ("crates/queue", &["address", "domain", "instrument"]),
    ("crates/storage", &["address", "domain", "instrument"]),
    ("crates/backends", &["address", "domain", "instrument", "queue", "records", "storage"]),
    ("crates/picture", &["domain"]),
    ("migrations", &[]),
    ("api", &["address", "backends", "domain", "instrument", "queue", "records", "storage"]),
    ("worker", &["backends", "domain", "instrument", "picture", "queue", "records", "storage"]),
    (
        ".",
        &[
            "address",
            "api",
            "backends",
            "domain",
            "instrument",
            "migrations",
            "picture",
            "queue",
            "records",
            "storage",
            "worker",
        ],
    ),
];

fn manifest(of: &str) -> toml::Table {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(of).join("Cargo.toml");
    std::fs::read_to_string(path).unwrap().parse().unwrap()
}

/// The `[dependencies]` of a crate, without those of its tests.
fn dependencies(of: &str) -> Vec<String> {
    manifest(of)["dependencies"].as_table().unwrap().keys().cloned().collect()
}

/// The names of the workspace's crates.
fn crate_names() -> Vec<String> {
    ALLOWED_DEPENDENCIES.iter().map(|(of, _)| of.trim_start_matches("crates/").to_owned()).collect()
}

#[test]
fn every_crate_is_listed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("crates");
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        let known = name == "test-support" || crate_names().contains(&name);
        assert!(known, "crates/{name} is not in ALLOWED_DEPENDENCIES");
    }
}

#[test]
fn each_heavy_dependency_has_one_owner() {
    let all: BTreeMap<&str, Vec<String>> = ALLOWED_DEPENDENCIES.iter().map(|(of, _)| (*of, dependencies(of))).collect();
    for (owner, owned) in DEPENDENCY_OWNERS {
        for dependency in owned {
            for (of, dependencies) in &all {
                assert!(
                    *of == owner || !dependencies.iter().any(|name| name == dependency),
                    "{of} depends on {dependency}, which only {owner} may name"
                );
            }
        }
    }
}

#[test]
fn crates_depend_only_on_allowed_crates() {
    for (of, allowed) in ALLOWED_DEPENDENCIES {
        let ours: Vec<String> = dependencies(of).into_iter().filter(|name| crate_names().contains(name)).collect();
        assert!(ours.iter().all(|name| allowed.contains(&name.as_str())), "{of} depends on {ours:?}");
    }
}

#[test]
fn files_are_short_have_no_generic_names_and_compile_in_every_build() {
    fn check_folder(folder: &Path) {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let (path, name) = (entry.path(), entry.file_name().into_string().unwrap());
            if path.is_dir() {
                if !["target", "fuzz", "node_modules"].contains(&name.as_str()) && !name.starts_with('.') {
                    check_folder(&path);
                }
            } else if name.ends_with(".rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                // The tests run in a debug build. None of them would check code that only a release build compiles.
                let conditional =
                    ["#[cfg(debug_", "#[cfg(not(debug_"].iter().any(|it| text.contains(&format!("{it}assertions")));
                assert!(!conditional, "{}: write `if cfg!(…)`, so that every build compiles the code", path.display());
                let lines = text.lines().count();
                assert!(lines <= 400, "{} has {lines} lines, and the limit is 400: split it", path.display());
            }
            let stem = name.trim_end_matches(".rs");
            let vague = ["util", "utils", "common", "shared", "core", "helpers", "types", "misc"];
            assert!(!vague.contains(&stem), "{}: this name does not say what is inside", path.display());
        }
    }
    check_folder(Path::new(env!("CARGO_MANIFEST_DIR")));
}

/// Documents name files of the tree in backticks, such as `worker/src/runner.rs`.
#[test]
fn documents_name_files_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut documents =
        vec!["README.md".into(), "CONTRIBUTING.md".into(), "SECURITY.md".into(), "bench/README.md".into()];
    let mut folders = vec![root.join("docs")];
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path()) {
            if path.is_dir() { folders.push(path) } else { documents.push(path) }
        }
    }
    for document in documents {
        let text = std::fs::read_to_string(root.join(&document)).unwrap();
        for word in text.split('`').skip(1).step_by(2) {
            let plain = word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte));
            let source = [".rs", ".toml", ".md", ".py"].iter().any(|end| word.ends_with(end));
            if plain && source && word.contains('/') {
                let found = [root.join(word), root.join("docs").join(word)].iter().any(|path| path.exists());
                assert!(found, "{} names {word}, which does not exist", document.display());
            }
        }
    }
}
