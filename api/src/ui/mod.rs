//! The web page at `/`: log in, upload a picture, crop it, claim it. It has no build step and loads nothing from other
//! sites. Every form works without a script. With a script, the script handles the forms.
//!
//! Beside it, `applink_page` is the page behind the address of an applink.

pub(crate) mod applink_page;
pub(crate) mod forms;
mod login_csrf;
pub(crate) mod pages;
