//! The list of the user's pictures, for browsers without a script. The script replaces it.

use domain::{Upload, UploadKind, UploadState};

use crate::error::as_sentence;
use crate::http::html::escape_html;

/// Renders uploads as rows. Uploads that are no pictures are left out. `prefix` is what addresses begin with.
pub(super) fn upload_rows(prefix: &str, uploads: &[Upload]) -> String {
    let pictures = uploads.iter().filter(|upload| upload.kind == UploadKind::Dropbox);
    let rows: String = pictures.map(|upload| row(prefix, upload)).collect();
    if rows.is_empty() { "<li class=\"small\">You have uploaded no pictures yet.</li>".to_owned() } else { rows }
}

fn row(prefix: &str, upload: &Upload) -> String {
    let label = escape_html(&upload.filename);
    let link = match upload.state {
        UploadState::Ready if upload.claim.is_none() => format!(
            "<p class=\"buttons\"><a href=\"{prefix}/?picture={}\">Crop, use or discard<span class=\"hidden-text\">: \
             {label}</span></a></p>",
            upload.id
        ),
        _ => String::new(),
    };
    format!(
        "<li class=\"row\"><div class=\"facts-of-row\"><p class=\"name\"><strong>{label}</strong></p>\
         <p class=\"small\">{}</p>{link}</div></li>",
        escape_html(&state_text(upload))
    )
}

/// Says what became of a picture.
fn state_text(upload: &Upload) -> String {
    let state = match upload.state {
        _ if upload.claim.is_some() => return "In use as an avatar".to_owned(),
        UploadState::Accepted => "Processing",
        UploadState::Ready => match upload.expires_at {
            Some(at) => return format!("Ready, expires on {}", at.strftime("%B %-d, %Y at %H:%M UTC")),
            None => "Ready",
        },
        UploadState::Rejected => "Refused",
        UploadState::Failed => "Failed",
        UploadState::Expired => "Expired",
    };
    match &upload.reason {
        Some(reason) => format!("{state}: {}", as_sentence(reason.message.clone())),
        None => state.to_owned(),
    }
}
