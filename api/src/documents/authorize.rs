//! Who may go on. The order of what is looked at is the contract's: credentials, file, role, and only then the rest of the
//! request.

use upload::{AccessGrant, File, FileId, FileRole};

use super::error::{DocumentError, DocumentOperation};
use super::principal::Principal;
use super::request::DocumentRequest;

/// Somebody at a file, who may do what they came for.
pub(crate) struct AuthorizedFile {
    pub(crate) file: File,
    pub(crate) principal: Principal,
    /// What gives them the role.
    pub(crate) grant: AccessGrant,
}

impl DocumentRequest {
    /// Whoever calls, whatever they may.
    pub(crate) async fn principal(&self) -> Result<Principal, DocumentError> {
        self.grammar()?;
        Principal::from_request(self).await
    }

    /// Lets whoever has at least this role in at the file in the address.
    pub(crate) async fn authorize_file(
        &self,
        operation: DocumentOperation,
        min_role: FileRole,
    ) -> Result<AuthorizedFile, DocumentError> {
        let principal = self.principal().await?;
        let id = self.id.parse().map_err(|_| DocumentError::file_not_found())?;
        self.authorize(principal, &id, operation, min_role).await
    }

    /// Lets somebody in at a file.
    pub(crate) async fn authorize(
        &self,
        principal: Principal,
        id: &FileId,
        operation: DocumentOperation,
        min_role: FileRole,
    ) -> Result<AuthorizedFile, DocumentError> {
        let records = &self.state.backends.records;
        let file = records.file(id).await?.ok_or_else(DocumentError::file_not_found)?;
        // The credentials in the contract's order: the first that is enough counts.
        for grant in &principal.grants {
            if records.file_role(id, grant).await?.is_some_and(|role| role >= min_role) {
                let grant = grant.clone();
                return Ok(AuthorizedFile { file, principal, grant });
            }
        }
        Err(DocumentError::insufficient_privileges(operation, &principal.display_name, id))
    }
}
