//! Tests `cloakroom render`, which runs the picture engine on local files.

use std::path::Path;

use serde_json::Value;
use test_support::process::{DataFolder, cloakroom_command};

fn picture_path(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/picture/tests/pictures").join(name).display().to_string()
}

fn run_render(folder: &DataFolder, files: &[String], flags: &[&str]) -> (bool, String, String) {
    let done = cloakroom_command(folder.path()).arg("render").args(files).args(flags).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (done.status.success(), text(done.stdout), text(done.stderr))
}

#[test]
fn render_prints_results_in_the_order_of_the_files() {
    let folder = DataFolder::new();
    let heic = folder.path().join("holiday.heic");
    std::fs::write(&heic, b"\0\0\0\x18ftypheic\0\0\0\0mif1heic").unwrap();
    let files =
        [picture_path("420.jpg"), heic.display().to_string(), picture_path("rgba.png"), picture_path("animated.gif")];
    let (all, out, err) = run_render(&folder, &files, &["--sizes", "64,32"]);
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines.len(), 4, "{out}{err}");
    assert!(lines[0].starts_with("rendered") && lines[0].contains("135×90") && lines[0].contains("64×43"), "{out}");
    assert!(lines[1].starts_with("rejected") && lines[1].contains("HEIC"), "{out}");
    assert!(lines[2].contains("rgba.png") && lines[3].contains("animated.gif"), "{out}");
    assert!(!all && err.contains("1 of 4 pictures were not rendered"), "{err}");
}

#[test]
fn render_prints_json_and_writes_files() {
    let folder = DataFolder::new();
    let made = folder.path().join("made");
    let many: Vec<String> = (0..12).map(|i| picture_path(["420.jpg", "rgba.png", "lossy.webp"][i % 3])).collect();
    let flags = ["--json", "--fit", "square", "--sizes", "48,full", "--format", "png", "--repeat", "2", "--out"];
    let (all, out, err) = run_render(&folder, &many, &[&flags[..], &[made.to_str().unwrap()]].concat());
    assert!(all, "{err}");
    let lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), many.len());
    for (line, file) in lines.iter().zip(&many) {
        assert_eq!(line["file"], **file);
        assert_eq!(line["result"], "rendered");
        assert_eq!((&line["variants"][0]["width"], &line["variants"][0]["type"]), (&48.into(), &"image/png".into()));
        assert!(line["cpu_ms"].as_f64().unwrap() > 0.0 && line["memory"].as_u64().unwrap() > 0);
    }
    let file = std::fs::read(made.join("420-48x48.png")).unwrap();
    assert_eq!(lines[0]["variants"][0]["bytes"], file.len());
    assert!(made.join("rgba-96x96.png").exists());
}

#[test]
fn render_uses_the_limits_of_the_settings() {
    let folder = DataFolder::new();
    let files = [picture_path("420.jpg")];
    assert!(run_render(&folder, &files, &[]).0, "no settings file is needed");
    let small = folder.path().join("small.toml");
    std::fs::write(&small, "[pictures]\nmax_side = 100\n").unwrap();
    let (all, out, _) = run_render(&folder, &files, &["--config", small.to_str().unwrap()]);
    assert!(!all && out.starts_with("rejected") && out.contains("100"), "{out}");
}

#[test]
fn render_names_the_wrong_argument() {
    let folder = DataFolder::new();
    let (good, _, err) = run_render(&folder, &[picture_path("420.jpg")], &["--sizes", "0"]);
    assert!(!good && err.contains("from 1 to 16384"), "{err}");
    let (good, _, err) = run_render(&folder, &["nowhere.jpg".to_owned()], &[]);
    assert!(!good && err.contains("nowhere.jpg"), "{err}");
    let (good, help, _) = run_render(&folder, &[], &["--help"]);
    for flag in ["--sizes", "--format", "--fit", "--out", "--repeat", "--threads", "--json"] {
        assert!(good && help.contains(flag), "{flag} is not in\n{help}");
    }
}
