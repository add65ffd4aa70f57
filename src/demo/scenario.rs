//! The steps of the demo, and what it prints at the end.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Instant;

use anstream::println;
use anstyle::{AnsiColor, Style};
use anyhow::Context;
use bytesize::ByteSize;
use serde_json::{Value, json};

use super::client::DemoClient;
use super::photograph::PHOTOGRAPH;

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const GREEN: Style = AnsiColor::Green.on_default();

fn print_heading(title: &str) {
    println!("\n{BOLD}{title}{BOLD:#}");
}

fn print_line(time: &str, what: &str, detail: &str) {
    println!("  {GREEN}{time:>8}{GREEN:#}  {what:<11} {DIM}{detail}{DIM:#}");
}

/// Uploads the photograph to a Cloakroom at `address`, shows how it is processed, claims it, and leaves its thumbnails
/// in `folder`.
///
/// # Errors
/// If a step fails.
pub(super) async fn run(
    address: SocketAddr,
    fedmember: &str,
    email: &str,
    password: &str,
    folder: &Path,
) -> anyhow::Result<()> {
    print_heading("Upload");
    print_line(
        "",
        "photograph",
        &format!("astronaut.jpg, {}; {}", format_size(PHOTOGRAPH), describe_metadata(PHOTOGRAPH)),
    );
    let client = DemoClient::log_in(address, fedmember, email, password).await?;
    print_line("", "logged in", &format!("as {email}"));
    let started = Instant::now();
    let number = client.upload("astronaut.jpg", PHOTOGRAPH).await?;
    let upload = client.json(&format!("/uploads/{number}")).await?;
    anyhow::ensure!(upload["state"] == "ready", "the picture did not become ready: {upload}");
    print_line(
        &format!("{} ms", started.elapsed().as_millis()),
        "accepted",
        &format!("as upload {number}, which is ready now"),
    );

    print_heading("Processing, as recorded in the events of the upload");
    for (after, what, detail) in events(&upload) {
        print_line(&format!("+{after} ms"), &what, &detail);
    }

    print_heading("Serving the variants");
    let thumbnails = folder.join("thumbnails");
    std::fs::create_dir_all(&thumbnails)?;
    for size in ["512", "75", "25"] {
        let started = Instant::now();
        let (kind, bytes) = client.get(&format!("/api/dropbox/pictures/{number}?size={size}")).await?;
        let file = thumbnails.join(format!("astronaut-{size}.jpg"));
        std::fs::write(&file, &bytes)?;
        let detail = format!("{kind}, {}; {} ► {}", format_size(&bytes), describe_metadata(&bytes), file.display());
        print_line(&format!("{} ms", started.elapsed().as_millis()), &format!("{size} × {size}"), &detail);
    }

    print_heading("Claiming the upload as an avatar");
    let user = upload["owner"].as_str().context("the server sent an upload without an owner")?;
    let started = Instant::now();
    let claim = json!({ "PictureID": number });
    client.put(&format!("/api/users/{user}.{fedmember}"), &claim).await?;
    print_line(&format!("{} ms", started.elapsed().as_millis()), "claimed", &format!("for users/{user}.{fedmember}"));
    let started = Instant::now();
    let (kind, bytes) = client.get(&format!("/api/users/{user}.{fedmember}/avatar?size=75")).await?;
    let file = thumbnails.join("avatar-75.png");
    std::fs::write(&file, &bytes)?;
    let detail = format!("{kind}, {}, rendered on the first request ► {}", format_size(&bytes), file.display());
    print_line(&format!("{} ms", started.elapsed().as_millis()), "avatar", &detail);
    Ok(())
}

/// Prints what the user can do with the running server.
pub(super) fn print_next_steps(address: SocketAddr, fedmember: &str, email: &str, password: &str, folder: &Path) {
    print_heading("The server keeps running. Try:");
    println!("  curl -c jar -H 'content-type: application/json' http://{address}/api/login \\");
    println!("       -d '{}'", json!({ "email": email, "password": password }));
    println!("  curl -b jar -H \"X-Csrf-Token_{fedmember}: $(awk '/Csrf/{{print $7}}' jar)\" \\");
    println!("       -F Profile=@picture.jpg http://{address}/api/dropbox/pictures");
    println!("  curl -b jar http://{address}/uploads/1001");
    println!("  curl http://{address}/readyz");
    println!("\n  {DIM}All data is in {}. Ctrl-C stops the server.{DIM:#}", folder.display());
}

/// Returns the upload's events: for each, the milliseconds since the first event, its kind and its details.
fn events(upload: &Value) -> Vec<(i128, String, String)> {
    let mut first = None;
    let events = upload["events"].as_array().cloned().unwrap_or_default();
    events
        .iter()
        .filter_map(|event| {
            let at: jiff::Timestamp = event["at"].as_str()?.parse().ok()?;
            let first = *first.get_or_insert(at);
            let after = at.duration_since(first).as_millis();
            Some((after, event["what"].as_str()?.to_owned(), event["detail"].as_str()?.to_owned()))
        })
        .collect()
}

/// Describes the personal data in a JPEG's metadata.
fn describe_metadata(jpeg: &[u8]) -> String {
    let exif = jpeg.windows(6).any(|window| window == b"Exif\0\0");
    if exif { "stored sideways, with the location in its metadata".to_owned() } else { "no metadata".to_owned() }
}

fn format_size(bytes: &[u8]) -> String {
    ByteSize(bytes.len() as u64).display().si().to_string()
}
