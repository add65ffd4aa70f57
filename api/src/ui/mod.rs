//! The web page at `/`: log in, upload a picture, crop it, claim it. It has no build step and loads nothing from other
//! sites. Every form works without a script. With a script, the script handles the forms.

pub(crate) mod forms;
mod login_csrf;
pub(crate) mod pages;
