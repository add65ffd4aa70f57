//! The page behind `appLinkUrl`: shows a file to the holder of an applink, and uploads new versions of it
//! (`docs/contracts/renditions.md`, 13.5).
//!
//! The page is the same for every link and every file, so that it does not tell which ids exist. Its script takes the
//! tokens of the link from the fragment of the address, which a browser does not send, and calls the documents API.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;

use crate::documents::file_upload::FileUploads;
use crate::http::cross_origin::CrossOrigin;
use crate::http::html::{framed_html_response, render_template};
use crate::http::settings::HttpSettings;

/// `GET /documents/embed/link/app/{link}/fileview/{file}`
pub(crate) async fn show(
    State(http): State<Arc<HttpSettings>>,
    State(cross_origin): State<Arc<CrossOrigin>>,
    State(uploads): State<Arc<FileUploads>>,
) -> Response {
    let max_bytes = uploads.settings.max_file_bytes;
    let values = [
        ("prefix", http.path_prefix.as_str()),
        ("max_bytes", &max_bytes.as_u64().to_string()),
        ("limit", &max_bytes.to_string()),
    ];
    let page = render_template(include_str!("applink.html"), &values);
    framed_html_response(page, &cross_origin.frame_ancestors())
}
