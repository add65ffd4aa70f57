//! Files that break a rule of their format, and that the common decoders show all the same.
//! `pictures/tolerated.py` made the files, and the table of their expected results.

use std::path::PathBuf;

use picture::{CancelFlag, Limits, OutputFormat, Shape, render};

use super::golden::pixels;
use super::single_output_plan;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/pictures/tolerated")
}

/// The lines of the table: the name of a file, and its expected result, `accepted` or an error code. After `accepted`
/// come a tolerance and four colours; after an error code come words of the message.
fn table() -> Vec<(String, String, String)> {
    let text = std::fs::read_to_string(folder().join("expected.txt")).unwrap();
    let lines = text.lines().map(|line| line.splitn(3, ' ').map(str::to_owned).collect::<Vec<_>>());
    lines.map(|line| <[String; 3]>::try_from(line).unwrap().into()).collect()
}

/// The colours in the middle of the four fields that each picture shows.
fn colours(png: &[u8]) -> Vec<[u8; 4]> {
    let (width, height, rgba) = pixels(png);
    let at = |x: u32, y: u32| rgba.as_chunks::<4>().0[(y * width + x) as usize];
    let (left, right, upper, lower) = (width / 4, width * 3 / 4, height / 4, height * 3 / 4);
    vec![at(left, upper), at(right, upper), at(left, lower), at(right, lower)]
}

/// What is wrong with the result of one file, if anything is.
fn difference(name: &str, result: &str, rest: &str) -> Option<String> {
    let bytes = std::fs::read(folder().join(name)).unwrap();
    let plan = single_output_plan(Shape::Full, OutputFormat::Png);
    let made = render(&bytes, &plan, &Limits::default(), &CancelFlag::new());
    let made = match (made, result) {
        (Ok(made), "accepted") => made,
        (Ok(_), _) => return Some(format!("{name} is accepted")),
        (Err(rejection), _) => {
            let is_expected = rejection.code().as_str() == result && rejection.to_string().contains(rest);
            return (!is_expected).then(|| format!("{name}: {rejection}"));
        }
    };
    let (tolerance, expected) = rest.split_once(' ').unwrap();
    let tolerance: u8 = tolerance.parse().unwrap();
    let expected = expected.split(' ').map(|colour| colour.split(',').map(|sample| sample.parse().unwrap()));
    let found = colours(&made.variants[0].bytes);
    let is_like = |expected: Vec<u8>, found: &[u8; 4]| {
        found[3] == 255 && expected.iter().zip(found).all(|(a, b)| a.abs_diff(*b) <= tolerance)
    };
    let all_like = expected.clone().zip(&found).all(|(expected, found)| is_like(expected.collect(), found));
    (!all_like).then(|| format!("{name} is {found:?} instead of {rest}"))
}

#[test]
fn files_are_shown_or_refused_as_by_the_common_decoders() {
    let table = table();
    assert!(table.len() > 10, "{}", table.len());
    let wrong: Vec<String> = table.iter().filter_map(|(name, result, rest)| difference(name, result, rest)).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_file_is_in_the_table() {
    let table = table();
    for entry in std::fs::read_dir(folder()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(name == "expected.txt" || table.iter().any(|(other, ..)| *other == name), "{name}");
    }
}

/// Cuts every file at many positions: no cut panics, and a cut file that is accepted has the size of the whole picture.
#[test]
fn decoding_a_cut_file_never_panics() {
    let plan = single_output_plan(Shape::Full, OutputFormat::Png);
    for (name, ..) in table() {
        let bytes = std::fs::read(folder().join(&name)).unwrap();
        let whole = render(&bytes, &plan, &Limits::default(), &CancelFlag::new()).ok();
        for length in (0..bytes.len().min(300)).chain((300..bytes.len()).step_by(37)) {
            match render(&bytes[..length], &plan, &Limits::default(), &CancelFlag::new()) {
                Ok(made) => {
                    let whole =
                        whole.as_ref().unwrap_or_else(|| panic!("{name}: the first {length} bytes are accepted"));
                    assert_eq!((made.width, made.height), (whole.width, whole.height), "{name}, {length} bytes");
                }
                Err(rejection) => assert!(!rejection.is_transient(), "{name}, {length} bytes: {rejection}"),
            }
        }
    }
}
