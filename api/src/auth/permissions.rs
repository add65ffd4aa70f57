//! Checks what a user may do for a resource.

use std::sync::Arc;

use domain::Resource;
use records::Records;

use crate::auth::auth_user::AuthUser;
use crate::auth::policy_client::{Action, PolicyClient};
use crate::auth::realm_names::RealmNames;
use crate::error::ApiError;

/// Decides what a user may do for a resource. If the portal has a policy decision point, that decides; otherwise the
/// grants in the records decide.
pub(crate) struct Permissions {
    records: Records,
    realm: Arc<RealmNames>,
    policy_client: Option<PolicyClient>,
}

impl Permissions {
    pub(crate) fn new(records: Records, realm: Arc<RealmNames>, policy_client: Option<PolicyClient>) -> Self {
        Self { records, realm, policy_client }
    }

    /// Checks whether the caller may do `action` for a resource. The error says for which resource a
    /// grant is missing.
    pub(crate) async fn authorize(
        &self,
        caller: &AuthUser,
        action: Action,
        resource: &Resource,
    ) -> Result<(), ApiError> {
        if self.is_permitted(caller, action, resource).await? {
            return Ok(());
        }
        let fed = &self.realm.fedmember;
        Err(ApiError::NotPermitted(format!("you may not act for {resource}.{fed}; ask for a grant on it")))
    }

    /// Returns whether the caller may do `action` for a resource. Site administrators are always allowed.
    pub(crate) async fn is_permitted(
        &self,
        caller: &AuthUser,
        action: Action,
        resource: &Resource,
    ) -> Result<bool, ApiError> {
        if caller.is_admin {
            return Ok(true);
        }
        match &self.policy_client {
            Some(policy_client) => {
                let query = (caller.user_id.clone(), action, resource.clone());
                policy_client.is_permitted(&self.realm.fedmember, query, self.records.clock().now()).await
            }
            None => Ok(self.records.may_act_for(&caller.user_id, resource).await?),
        }
    }
}
