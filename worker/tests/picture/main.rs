//! The picture engine from outside: what it makes of honest files, of damaged ones and of hostile ones.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod damaged;
mod golden;
mod hostile;

use std::path::PathBuf;

use worker::picture::{Format, Limits, Output, Picture, Plan, Rejection, Shape, Stop, render};

/// The pictures of `tests/pictures`, by name, without what they should look like. See `make.py` there.
fn pictures() -> Vec<(String, Vec<u8>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/pictures");
    let mut found: Vec<(String, Vec<u8>)> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), path))
        .filter(|(name, _)| {
            name.split('.').count() == 2 && ![".py", ".md", ".raw"].iter().any(|end| name.ends_with(end))
        })
        .map(|(name, path)| (name, std::fs::read(path).unwrap()))
        .collect();
    found.sort();
    assert!(found.len() > 30);
    found
}

fn picture(name: &str) -> Vec<u8> {
    pictures().into_iter().find(|(other, _)| other == name).unwrap().1
}

fn output(shape: Shape, format: Format) -> Plan {
    Plan { crop: None, outputs: vec![Output { shape, format }] }
}

/// One small PNG.
fn small(bytes: &[u8]) -> Result<Picture, Rejection> {
    render(bytes, &output(Shape::Inside(64), Format::Png), &Limits::default(), &Stop::new())
}

/// Why it was refused.
fn code(bytes: &[u8]) -> &'static str {
    match small(bytes) {
        Ok(_) => "taken",
        Err(rejection) => rejection.code(),
    }
}
