//! Authorization for one file. The rendition contract defines the order of checks: credentials, file, role, and only
//! then the rest of the request (`docs/contracts/renditions.md`, 4.6).

use std::net::IpAddr;

use axum::http::HeaderMap;
use domain::{AccessGrant, File, FileId, FileRole};
use records::Records;

use super::error::{DocumentError, DocumentOperation, LinkRefusal};
use super::principal::{Principal, PrincipalResolver};
use super::request::DocumentRequest;

/// A file and a principal that has the required role at it.
pub(crate) struct AuthorizedFile {
    pub(crate) file: File,
    pub(crate) principal: Principal,
    /// The grant that gives the principal the role.
    pub(crate) grant: AccessGrant,
}

/// Checks the permissions of callers for files.
pub(crate) struct DocumentAccess {
    records: Records,
    principals: PrincipalResolver,
}

impl DocumentAccess {
    pub(crate) fn new(principals: PrincipalResolver) -> Self {
        Self { records: principals.records.clone(), principals }
    }

    /// Resolves the grants of the links whose credentials are in the headers.
    pub(crate) async fn link_grants(
        &self,
        headers: &HeaderMap,
        client_ip: IpAddr,
    ) -> Result<Vec<AccessGrant>, LinkRefusal> {
        self.principals.link_grants(headers, client_ip).await
    }

    /// Authenticates the caller. Checks the API version of the path, but no permissions.
    pub(crate) async fn principal(&self, request: &DocumentRequest) -> Result<Principal, DocumentError> {
        request.grammar()?;
        self.principals.resolve(request).await
    }

    /// Authorizes the caller for the file in the path, with at least this role.
    pub(crate) async fn authorize_file(
        &self,
        request: &DocumentRequest,
        operation: DocumentOperation,
        min_role: FileRole,
    ) -> Result<AuthorizedFile, DocumentError> {
        let principal = self.principal(request).await?;
        let id = request.id.parse().map_err(|_| DocumentError::file_not_found())?;
        self.authorize(principal, &id, operation, min_role).await
    }

    /// Authorizes a principal for a file, with at least this role.
    pub(crate) async fn authorize(
        &self,
        principal: Principal,
        id: &FileId,
        operation: DocumentOperation,
        min_role: FileRole,
    ) -> Result<AuthorizedFile, DocumentError> {
        let file = self.records.file(id).await?.ok_or_else(DocumentError::file_not_found)?;
        // The grants are in the contract's order of credentials (`docs/contracts/renditions.md`, 2). The first grant
        // with a sufficient role counts.
        for grant in &principal.grants {
            if self.records.file_role(id, grant).await?.is_some_and(|role| role >= min_role) {
                let grant = grant.clone();
                return Ok(AuthorizedFile { file, principal, grant });
            }
        }
        Err(DocumentError::insufficient_privileges(operation, &principal.display_name, id))
    }
}
