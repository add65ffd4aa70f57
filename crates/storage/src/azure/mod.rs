//! A container of Azure Blob Storage.
//!
//! Azure differs from S3 in these points:
//!
//! - A copy inside an account may go on after its request was answered ("Copy Blob" of the REST API). So `copy_status`
//!   waits for the end of the copy. Otherwise a staged blob could be deleted before it is copied.
//! - Parts are uncommitted blocks. No request deletes them: Azure drops them after seven days ("Put Block").
//! - Blobs are deleted in batches. In the answer, a failed deletion has a message but no error
//!   code, so errors are also recognised by their messages.

mod copy_status;

use std::sync::Arc;

use async_trait::async_trait;
use domain::chain;
use object_store::azure::{MicrosoftAzure, MicrosoftAzureBuilder};
use object_store::path::Path;
use object_store::{Error, ObjectStoreExt, Result};

use self::copy_status::{CopyStatusConnector, wait_for_copy};
use crate::bucket::{
    Bucket, BucketClient, BucketPlace, DENIED, NOT_ACCEPTED, REQUEST_TIMEOUT, classify_code, retry_config,
};
use crate::engine::FailureKind;
use crate::engine_address::{CA_FILE, EngineKind};
use crate::part_size::PartSizes;
use crate::settings::StoreSettings;

/// `azure://container/prefix`, with the account, its key and the endpoint in the settings.
pub(crate) const KIND: EngineKind = EngineKind {
    scheme: "azure",
    form: "azure://container/prefix",
    params: &[CA_FILE],
    check: |address| BucketPlace::parse(address).map(drop),
    open: |address| {
        let place = BucketPlace::parse(address)?;
        let container = open(&place, address.settings).map_err(|error| chain(&error))?;
        Ok((Arc::new(container), place.prefix))
    },
};

/// The size of a block: the same as for S3, so that an upload in progress takes the same memory.
/// Azure takes blocks of any size, and up to 50,000 blocks for a blob ("Put Block").
const PART: usize = 5 << 20;

/// Azure's error code for a missing blob.
const MISSING: [&str; 1] = ["BlobNotFound"];
const NO_CONTAINER: &str = "the container does not exist";
/// Azure's error codes that only an operator can correct, with the public message for each ("Common REST API error
/// codes" and "Blob Storage error codes").
const MISCONFIGURED: [(&str, &str); 13] = [
    ("ContainerNotFound", NO_CONTAINER),
    ("ContainerDisabled", DENIED),
    ("InvalidResourceName", NO_CONTAINER),
    ("AuthenticationFailed", NOT_ACCEPTED),
    ("InvalidAuthenticationInfo", NOT_ACCEPTED),
    ("NoAuthenticationInformation", NOT_ACCEPTED),
    ("KeyBasedAuthenticationNotPermitted", NOT_ACCEPTED),
    ("AccountIsDisabled", DENIED),
    ("InsufficientAccountPermissions", DENIED),
    ("AuthorizationFailure", DENIED),
    ("AuthorizationPermissionMismatch", DENIED),
    ("AuthorizationProtocolMismatch", DENIED),
    ("AuthorizationSourceIPMismatch", DENIED),
];

/// The messages of errors whose code is missing or says too little ("Blob Storage error codes"). In
/// the answer to a batch of deletions, an error has no code. For a wrong key, Azurite sends the code
/// `AuthorizationFailure`, which otherwise means that access is denied.
const MESSAGES: [(&str, FailureKind); 4] = [
    ("The specified blob does not exist", FailureKind::Missing),
    ("The specified container does not exist", FailureKind::Misconfigured(NO_CONTAINER)),
    ("Server failed to authenticate the request", FailureKind::Misconfigured(NOT_ACCEPTED)),
    ("This request is not authorized to perform this operation", FailureKind::Misconfigured(DENIED)),
];

fn open(place: &BucketPlace<'_>, settings: &StoreSettings) -> Result<Bucket<MicrosoftAzure>> {
    let options = place.client_options(REQUEST_TIMEOUT)?;
    let mut builder = MicrosoftAzureBuilder::from_env()
        .with_container_name(place.bucket)
        .with_retry(retry_config())
        .with_http_connector(CopyStatusConnector);
    if !settings.endpoint.is_empty() {
        builder = builder.with_endpoint(settings.endpoint.clone());
    }
    if !settings.access_key_id.is_empty() {
        builder = builder.with_account(&settings.access_key_id);
    }
    if !settings.secret_access_key.expose().is_empty() {
        builder = builder.with_access_key(settings.secret_access_key.expose()).with_credential_type("access_key");
    }
    Ok(Bucket {
        bounded: builder.clone().with_client_options(options.bounded).build()?,
        streaming: builder.with_client_options(options.streaming).build()?,
        copy_scope: format!("{} {}/{} as {}", KIND.scheme, settings.endpoint, place.bucket, settings.access_key_id),
        part_sizes: PartSizes::fixed(PART),
    })
}

#[async_trait]
impl BucketClient for MicrosoftAzure {
    fn classify(error: &Error) -> FailureKind {
        let text = error.to_string();
        match MESSAGES.iter().find(|(message, _)| text.contains(message)) {
            Some((_, kind)) => *kind,
            None => classify_code(error, &MISSING, &MISCONFIGURED),
        }
    }

    async fn copy_inside(&self, from: &Path, to: &Path) -> Result<()> {
        self.copy(from, to).await?;
        wait_for_copy(self, to).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn not_found(text: &str) -> Error {
        Error::NotFound { path: "uploads/3/1001-a".to_owned(), source: text.into() }
    }

    #[test]
    fn a_blob_is_missing_only_if_azure_says_so() {
        let answer = |code: &str| format!("404: <?xml version=\"1.0\"?><Error><Code>{code}</Code></Error>");
        for (text, kind) in [
            (answer("BlobNotFound"), FailureKind::Missing),
            (answer("ContainerNotFound"), FailureKind::Misconfigured(NO_CONTAINER)),
            (answer("ResourceNotFound"), FailureKind::Unavailable),
            (
                "Bulk delete request failed: The specified blob does not exist. (code: 404)".to_owned(),
                FailureKind::Missing,
            ),
            (
                "Bulk delete request failed: The specified container does not exist. (code: 404)".to_owned(),
                FailureKind::Misconfigured(NO_CONTAINER),
            ),
            (
                "403: Server failed to authenticate the request. <Code>AuthorizationFailure</Code>".to_owned(),
                FailureKind::Misconfigured(NOT_ACCEPTED),
            ),
            (answer("AuthorizationFailure"), FailureKind::Misconfigured(DENIED)),
            ("404: no such backend".to_owned(), FailureKind::Unavailable),
        ] {
            assert_eq!(MicrosoftAzure::classify(&not_found(&text)), kind, "{text}");
        }
    }
}
