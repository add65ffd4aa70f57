//! Checks the fields of log lines in the sources.

use std::path::Path;

/// The fields that may have the Debug form. They are durations, whose Debug form is made for people, such as `1.5s`.
const DURATIONS: [&str; 2] = ["after", "delay"];
/// The folders with the sources of the programs.
const SOURCES: [&str; 5] = ["src", "api/src", "worker/src", "migrations/src", "crates"];

/// The arguments of each macro of `tracing` in a source, up to the closing parenthesis of the macro.
fn log_macros(source: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for macro_name in ["trace!(", "debug!(", "info!(", "warn!(", "error!(", "_span!("] {
        for (at, _) in source.match_indices(macro_name) {
            let arguments = &source[at + macro_name.len()..];
            let mut depth = 1;
            let end = arguments.find(|c| {
                depth += i32::from(c == '(') - i32::from(c == ')');
                depth == 0
            });
            found.push(&arguments[..end.unwrap_or(arguments.len())]);
        }
    }
    found
}

/// The fields in the Debug form, such as `?delay` and `delay = ?delay`, by their last name: `queues` of
/// `?worker.queues`.
fn debug_fields(arguments: &str) -> Vec<&str> {
    let sigils = arguments.match_indices('?').filter(|(at, _)| {
        let before = arguments[..*at].trim_end();
        before.is_empty() || before.ends_with(',') || before.ends_with('=')
    });
    let values = sigils.map(|(at, _)| {
        let value = &arguments[at + 1..];
        &value[..value.find(|c: char| !c.is_ascii_alphanumeric() && !"_.".contains(c)).unwrap_or(value.len())]
    });
    values.map(|value| value.rsplit('.').next().unwrap_or(value)).collect()
}

/// The Debug form of a type of ours is for its developers: it has the names of the code, and changes with them. Log
/// lines show the names that settings, metrics and records use.
#[test]
fn log_fields_do_not_show_the_debug_form_of_our_types() {
    let mut folders: Vec<_> = SOURCES.map(|folder| Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).into();
    let mut macros = 0;
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let source = std::fs::read_to_string(&path).unwrap();
                for arguments in log_macros(&source) {
                    macros += 1;
                    for field in debug_fields(arguments) {
                        assert!(
                            DURATIONS.contains(&field),
                            "{}: a log line has `?{field}`, which is not in DURATIONS",
                            path.display()
                        );
                    }
                }
            }
        }
    }
    assert!(macros > 50, "only {macros} log lines were found");
}
