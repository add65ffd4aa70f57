//! The authenticated user.

use domain::Upload;
use records::Claimant;
use uuid::Uuid;

use crate::auth::session_token::Session;

/// A user who is logged in and not disabled.
#[derive(Clone, Debug)]
pub(crate) struct AuthUser {
    /// The user's id, without the federation member.
    pub(crate) user_id: String,
    /// Whether the user is a site administrator.
    pub(crate) is_admin: bool,
    /// The session, if it came in a cookie. A browser sends cookies with forged requests too, so such a session
    /// requires a CSRF token. A bearer token is never sent that way, so it needs no CSRF token.
    pub(crate) cookie_session: Option<Session>,
    /// The id of the session or of the bearer token. None if another system issued the token.
    pub(crate) token_id: Option<Uuid>,
}

impl AuthUser {
    /// Whether the user may see this upload before it is claimed.
    pub(crate) fn owns(&self, upload: &Upload) -> bool {
        self.is_admin || upload.owner == self.user_id
    }

    /// Returns the user in the form in which the records take a claimant.
    pub(crate) fn claimant(&self) -> Claimant {
        Claimant { user: self.user_id.clone(), admin: self.is_admin }
    }
}
