//! The documents API, `/documents/api/1.1` and `/1.2`: files, their versions and custom renditions, links to them.
//!
//! ```text
//! request_path, error_middleware   parse the path before every request, render errors after it
//! request, principal, authorize    format, credentials, file, role, in this order
//! access_codes                     the passwords of public links
//! upload_endpoints, file_upload, upload_form, json_params   uploads of renditions, files and versions
//! renditions, file_response, file_info            what exists, and its bytes
//! delete_file, latest_version                     deletion, and the conditions of writes to a file
//! applinks, public_links, links, applink_tokens   delegation of permissions
//! response_bodies, response_format, xml_serializer, error   responses and errors, in JSON or XML
//! parameters, documented_errors    what the OpenAPI document says about requests and errors
//! routes, settings                 the paths, and the limits of files
//! ```
//!
//! The wire rules are those of the rendition contract (`docs/contracts/renditions.md`). Errors have the form of that
//! contract (4.3 and 4.4, see [`error`]), not the problem documents of the rest of the API.

pub(crate) mod access_codes;
pub(crate) mod applink_tokens;
pub(crate) mod applinks;
pub(crate) mod authorize;
pub(crate) mod delete_file;
mod documented_errors;
pub(crate) mod error;
mod error_middleware;
pub(crate) mod file_info;
mod file_response;
pub(crate) mod file_upload;
mod json_params;
mod latest_version;
pub(crate) mod links;
mod parameters;
pub(crate) mod principal;
pub(crate) mod public_links;
pub(crate) mod renditions;
mod request;
mod request_path;
mod response_bodies;
mod response_format;
mod routes;
pub(crate) mod settings;
pub(crate) mod upload_endpoints;
mod upload_form;
mod xml_serializer;

pub(crate) use routes::routes;
