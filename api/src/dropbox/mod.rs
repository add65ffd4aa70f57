//! The dropbox pictures API: one file for each endpoint, and what they share.
//!
//! - `upload` takes a picture in; `picture_field`, `filename` and `html_wrapper` are its form, its file name and the page
//!   around its response.
//! - `picture` and `avatar` serve pictures. `unclaimed_pictures` finds a picture, and
//!   `requested_variant` says which variant of it is requested. `variant_server` sends the variant,
//!   and `default_avatar` is drawn if there is none.
//! - `crop` and `claim` change what is shown, and for which resource. `crop_fields` are the fields of a crop.
//! - `picture_id` parses a PictureID, `plain_text_errors` renders errors, and `settings` has the
//!   limits.
//!
//! The wire rules are those of the dropbox contract (`docs/contracts/dropbox.md`).

pub(crate) mod avatar;
pub(crate) mod claim;
pub(crate) mod crop;
pub(crate) mod crop_fields;
pub(crate) mod default_avatar;
pub(crate) mod filename;
pub(crate) mod html_wrapper;
pub(crate) mod picture;
pub(crate) mod picture_field;
pub(crate) mod picture_id;
pub(crate) mod plain_text_errors;
pub(crate) mod requested_variant;
pub(crate) mod settings;
pub(crate) mod unclaimed_pictures;
pub(crate) mod upload;
pub(crate) mod variant_server;
