//! Tests of the picture engine through its public API: valid files, damaged files and hostile files.

#![allow(clippy::disallowed_methods, reason = "tests make names and times of their own")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod crops;
mod damaged;
mod golden;
mod hostile;
mod hostile_icons;
mod tolerated;

use std::path::PathBuf;

use picture::{CancelFlag, Limits, OutputFormat, OutputSpec, Rejection, RenderPlan, RenderedPicture, Shape, render};

/// The pictures in `tests/pictures` by name, without the reference pictures. See `make.py` there.
fn all_pictures() -> Vec<(String, Vec<u8>)> {
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

fn read_picture(name: &str) -> Vec<u8> {
    all_pictures().into_iter().find(|(other, _)| other == name).unwrap().1
}

fn single_output_plan(shape: Shape, format: OutputFormat) -> RenderPlan {
    RenderPlan { outputs: vec![OutputSpec { shape, format }], ..RenderPlan::default() }
}

/// Renders one small PNG.
fn render_small_png(bytes: &[u8]) -> Result<RenderedPicture, Rejection> {
    render(bytes, &single_output_plan(Shape::Inside(64), OutputFormat::Png), &Limits::default(), &CancelFlag::new())
}

/// The error code of a rejection, or "accepted".
fn result_code(bytes: &[u8]) -> String {
    match render_small_png(bytes) {
        Ok(_) => "accepted".to_owned(),
        Err(rejection) => rejection.code().to_string(),
    }
}
