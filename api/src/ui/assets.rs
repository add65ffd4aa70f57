//! The style, the scripts and the icon of the pages: `GET /page/{file}`. They have no build step: a browser loads the
//! scripts as modules, each by its own name.

use axum::http::header;
use axum::response::{IntoResponse, Response};

use crate::error::ApiError;
use crate::http::path_params::PathParams;

const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Name, media type and content.
const ASSETS: [(&str, &str, &[u8]); 13] = [
    ("page.css", "text/css; charset=utf-8", include_bytes!("page.css")),
    ("icon.png", "image/png", include_bytes!("icon.png")),
    ("applink.js", SCRIPT, include_bytes!("scripts/applink.js")),
    ("crop_box.js", SCRIPT, include_bytes!("scripts/crop_box.js")),
    ("docs.js", SCRIPT, include_bytes!("scripts/docs.js")),
    ("format.js", SCRIPT, include_bytes!("scripts/format.js")),
    ("messages.js", SCRIPT, include_bytes!("scripts/messages.js")),
    ("picture_editor.js", SCRIPT, include_bytes!("scripts/picture_editor.js")),
    ("pictures.js", SCRIPT, include_bytes!("scripts/pictures.js")),
    ("session.js", SCRIPT, include_bytes!("scripts/session.js")),
    ("upload_list.js", SCRIPT, include_bytes!("scripts/upload_list.js")),
    ("upload_queue.js", SCRIPT, include_bytes!("scripts/upload_queue.js")),
    ("upload_request.js", SCRIPT, include_bytes!("scripts/upload_request.js")),
];

/// `GET /page/{file}`
pub(crate) async fn get(PathParams(file): PathParams<String>) -> Result<Response, ApiError> {
    let found = ASSETS.iter().find(|(name, ..)| *name == file);
    let (_, media_type, content) = found.ok_or_else(|| ApiError::NotFound(format!("there is no page {file:.64}")))?;
    let headers = [(header::CONTENT_TYPE, *media_type), (header::CACHE_CONTROL, "no-cache")];
    Ok((headers, *content).into_response())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// A script that is missing here is a page that does not start.
    #[test]
    fn every_script_is_served() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/ui/scripts");
        for entry in std::fs::read_dir(folder).unwrap() {
            let (name, path) = entry.map(|entry| (entry.file_name().into_string().unwrap(), entry.path())).unwrap();
            assert!(ASSETS.iter().any(|(served, ..)| *served == name), "{name}");
            let lines = std::fs::read_to_string(path).unwrap().lines().count();
            assert!(lines <= 400, "{name} has {lines} lines, and the limit is 400: split it");
        }
    }
}
