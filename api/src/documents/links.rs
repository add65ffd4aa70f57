//! What applinks and public links have in common: their ids, their roles and their users.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use domain::{FileRole, random_bytes};
use records::Records;

use super::applink_tokens::ApplinkTokens;
use super::error::DocumentError;
use super::json_params::JsonParams;
use crate::auth::password::Passwords;
use crate::auth::realm_names::RealmNames;
use crate::error::ApiError;
use crate::resource::parse_user_id;

/// Generates a link id that cannot be guessed.
pub(super) fn generate_link_id() -> Result<String, DocumentError> {
    let random: [u8; 32] = random_bytes().map_err(|error| ApiError::Internal(error.to_string()))?;
    Ok(format!("L{}", BASE64.encode(random)))
}

/// Parses the role that a link gives. Viewer if the parameters name no role.
pub(super) fn parse_link_role(parameters: &JsonParams) -> Result<FileRole, DocumentError> {
    let Some(role) = parameters.text("role")? else { return Ok(FileRole::Viewer) };
    let role = role.parse().ok().filter(|role| *role <= FileRole::Contributor);
    role.ok_or_else(|| DocumentError::invalid_value("role", "a link gives viewer, downloader or contributor"))
}

/// The services that the endpoints of links use.
pub(crate) struct Links {
    pub(crate) records: Records,
    pub(crate) realm: Arc<RealmNames>,
    pub(crate) applink_tokens: Arc<ApplinkTokens>,
    pub(crate) passwords: Passwords,
}

impl Links {
    /// Returns the id of a user that exists and is not disabled. `word` is the user's id with or without the federation
    /// member. `field` names the parameter in the error.
    pub(super) async fn find_user(&self, word: &str, field: &str) -> Result<String, DocumentError> {
        let unknown = || DocumentError::invalid_value(field, "there is no such user");
        let id = parse_user_id(&self.realm.fedmember, word).map_err(|_| unknown())?;
        let user = self.records.user(&id).await?.filter(|user| !user.disabled);
        user.map(|user| user.id).ok_or_else(unknown)
    }
}
