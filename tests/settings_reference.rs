//! `docs/settings.md` is generated from the commented defaults of the binary, and the defaults name every setting.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;

use test_support::process::{DataFolder, cloakroom_command};

const HEAD: &str = "# Settings

Every setting with its default. This page is generated from the defaults of the program; `cloakroom config dump
--defaults` prints the same as a settings file.

Put settings that you want to change into `cloakroom.toml`, into the file named by `--config`, or into the environment.
The environment wins. `cloakroom config check` prints what is in effect.

Times are written like `30s`, `10m`, `24h`; sizes like `4 MiB`. A key that does not exist is an error.
";

fn config_dump(arguments: &[&str]) -> String {
    let folder = DataFolder::new();
    let mut command = cloakroom_command(folder.path());
    let done = command.args(["config", "dump"]).args(arguments).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

/// One setting or section of the commented defaults, with the comment above it.
struct Entry<'a> {
    line: &'a str,
    comment: String,
}

fn entries(defaults: &str) -> Vec<Entry<'_>> {
    let (mut found, mut comment) = (Vec::new(), Vec::new());
    for line in defaults.lines() {
        match line.strip_prefix('#') {
            Some(words) => comment.push(words.trim()),
            None if line.trim().is_empty() => comment.clear(),
            None => found.push(Entry { line, comment: std::mem::take(&mut comment).join(" ") }),
        }
    }
    found
}

fn reference_page(defaults: &str) -> String {
    let table = "\n| key | default | meaning |\n|---|---|---|\n";
    let (mut page, mut section) = (format!("{HEAD}{table}"), String::new());
    for Entry { line, comment } in entries(defaults) {
        if let Some(name) = line.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
            section = format!("{}__", name.replace('.', "__").to_uppercase());
            write!(page, "\n## `[{name}]`\n").unwrap();
            if !comment.is_empty() {
                write!(page, "\n{comment}\n").unwrap();
            }
            page.push_str(table);
        } else {
            let (key, value) = line.split_once(" = ").unwrap();
            let variable = format!("CLOAKROOM__{section}{}", key.to_uppercase());
            let comment = comment.replace('|', "\\|");
            writeln!(page, "| `{key}`<br>`{variable}` | `{value}` | {comment} |").unwrap();
        }
    }
    page
}

#[test]
fn the_settings_reference_is_up_to_date() {
    let page = reference_page(&config_dump(&["--defaults"]));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/settings.md");
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == page, "docs/settings.md is old: run this test once with UPDATE_SNAPSHOTS=1");
}

/// A setting that is not in the commented defaults would be missing from the reference.
#[test]
fn every_setting_has_a_commented_default() {
    fn keys(table: &toml::Table, prefix: &str, found: &mut BTreeSet<String>) {
        for (key, value) in table {
            match value {
                toml::Value::Table(inner) => keys(inner, &format!("{prefix}{key}."), found),
                _ => drop(found.insert(format!("{prefix}{key}"))),
            }
        }
    }
    let defaults = config_dump(&["--defaults"]);
    let (mut described, mut all) = (BTreeSet::new(), BTreeSet::new());
    keys(&defaults.parse().unwrap(), "", &mut described);
    keys(&config_dump(&[]).parse().unwrap(), "", &mut all);
    assert_eq!(all.difference(&described).collect::<Vec<_>>(), Vec::<&String>::new());
    // Keys of the same kind may share the comment of their first key, but the first key of a section must have a
    // comment.
    for pair in entries(&defaults).windows(2) {
        assert!(!pair[0].line.starts_with('[') || !pair[1].comment.is_empty(), "{} has no comment", pair[1].line);
    }
}
