//! Checks what a user may do for a resource.

use domain::Resource;

use crate::auth::auth_user::AuthUser;
use crate::auth::policy_client::Action;
use crate::error::ApiError;
use crate::state::AppState;

impl AppState {
    /// Checks whether the caller may do this for a resource. The error names the missing permission. Site
    /// administrators are always allowed.
    pub(crate) async fn authorize(
        &self,
        caller: &AuthUser,
        action: Action,
        resource: &Resource,
    ) -> Result<(), ApiError> {
        if caller.is_admin {
            return Ok(());
        }
        let fed = &self.realm_names.fedmember;
        let permitted = match &self.policy_client {
            Some(policy_client) => {
                let query = (caller.user_id.clone(), action, resource.clone());
                policy_client.is_permitted(fed, query, self.backends.records.clock().now()).await?
            }
            None => self.backends.records.may_act_for(&caller.user_id, resource).await?,
        };
        if permitted {
            return Ok(());
        }
        Err(ApiError::NotPermitted(format!("you may not act for {resource}.{fed}; ask for a grant on it")))
    }
}
