//! The web page at `/`: log in, upload pictures, crop them, claim one. It has no build step and loads nothing from other
//! sites. Every form works without a script. With a script, the script handles the forms.
//!
//! ```text
//! pages, upload_rows, notice   the HTML
//! forms, crop_form, login_csrf   forms without a script
//! assets                       the scripts, the style and the icon
//! applink_page                 the page behind the address of an applink
//! ```

pub(crate) mod applink_page;
pub(crate) mod assets;
mod crop_form;
pub(crate) mod forms;
mod login_csrf;
mod notice;
pub(crate) mod pages;
mod upload_rows;
