//! Compares the table of error codes in `docs/errors.md` with the source of the api.

use std::collections::BTreeSet;
use std::path::Path;

const API: &str = env!("CARGO_MANIFEST_DIR");

/// The text of all source files in a folder.
fn read_sources(folder: &Path) -> String {
    let mut text = String::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            text += &read_sources(&path);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text += &std::fs::read_to_string(path).unwrap();
        }
    }
    text
}

/// The string literals that follow a marker.
fn literals_after<'a>(text: &'a str, marker: &str) -> impl Iterator<Item = &'a str> {
    text.split(marker).skip(1).filter_map(|rest| rest.trim_start().strip_prefix('"')?.split('"').next())
}

#[test]
fn every_code_has_a_row_and_every_row_a_code() {
    let sources = read_sources(&Path::new(API).join("src"));
    let errors = std::fs::read_to_string(Path::new(API).join("src/error.rs")).unwrap();
    let code_function = errors.split("fn code(&self)").nth(1).unwrap().split("fn retry_after").next().unwrap();
    let markers = ["malformed(", " code: ", "refuse("];
    let mut codes: BTreeSet<&str> = markers.iter().flat_map(|marker| literals_after(&sources, marker)).collect();
    codes.extend(literals_after(code_function, "=>"));
    codes.extend(literals_after(code_function, "=> {"));
    assert!(codes.len() > 30 && codes.contains("no_room") && codes.contains("bad_json"), "{codes:?}");

    let document = std::fs::read_to_string(Path::new(API).join("../docs/errors.md")).unwrap();
    let table = document.split("## Requests").nth(1).unwrap().split("\n## ").next().unwrap();
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    assert_eq!(codes, rows.collect());
}
