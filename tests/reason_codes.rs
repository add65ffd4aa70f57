//! `docs/errors.md` lists every code with which an upload or a variant can end.

use std::path::Path;

use domain::ReasonCode;

#[test]
fn every_reason_code_is_documented() {
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/errors.md");
    let text = std::fs::read_to_string(document).unwrap();
    let (_, uploads) = text.split_once("## Uploads").unwrap();
    let documented: Vec<&str> =
        uploads.lines().filter_map(|line| line.strip_prefix("| `")).flat_map(|row| row.split('|').next()).collect();
    for code in ReasonCode::KNOWN {
        let named = documented.iter().any(|cell| cell.split('`').any(|word| word == code.as_str()));
        assert!(named, "{code} is not in the table of docs/errors.md");
    }
}
