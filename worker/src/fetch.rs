//! Fetches and verifies staged bytes, the first step for every fresh upload. It checks that the upload is unsettled,
//! that its bytes exist, and that they are the acknowledged bytes. If a check fails, no other attempt can succeed.

use bytes::Bytes;
use domain::{EventKind, Reason, ReasonCode, Sha256Hasher, UploadState, sha256};
use futures::{Stream, TryStreamExt};
use records::Attempt;
use storage::StoreError;

use crate::attempt_result::AttemptResult;
use crate::worker::Worker;

impl Worker {
    /// Returns all bytes of an upload in memory, for a step that reads them.
    pub(crate) async fn fetch_and_verify(&self, attempt: &mut Attempt) -> Result<Bytes, AttemptResult> {
        ensure_accepted(attempt)?;
        let bytes = self.backends.staging.read(&attempt.upload.staged_key).await?;
        self.check_digest(attempt, bytes.len() as u64, &sha256(&bytes))?;
        Ok(bytes)
    }

    /// Verifies the bytes of an upload as a stream, without holding them, however many they are.
    pub(crate) async fn verify_stream(&self, attempt: &mut Attempt) -> Result<(), AttemptResult> {
        ensure_accepted(attempt)?;
        let chunks = self.backends.staging.stream(&attempt.upload.staged_key).await?;
        let (bytes, digest) = digest_of(chunks).await?;
        self.check_digest(attempt, bytes, &digest)
    }

    fn check_digest(&self, attempt: &mut Attempt, bytes: u64, digest: &str) -> Result<(), AttemptResult> {
        let sent = &attempt.upload;
        if digest != sent.sha256 {
            let message = format!(
                "staging returned {bytes} bytes that differ from the {} bytes of the upload; upload it again",
                sent.bytes
            );
            return Err(AttemptResult::dead(Reason::new(ReasonCode::BytesDamaged, message)));
        }
        let detail = format!("{bytes} bytes, unchanged");
        attempt.push_event(self.backends.records.clock().now(), EventKind::Validated, detail);
        Ok(())
    }
}

/// Returns the length and the digest of an object, without holding it.
pub(crate) async fn digest_of(
    mut chunks: impl Stream<Item = Result<Bytes, StoreError>> + Unpin,
) -> Result<(u64, String), StoreError> {
    let (mut hasher, mut bytes) = (Sha256Hasher::new(), 0);
    while let Some(chunk) = chunks.try_next().await? {
        hasher.update(&chunk);
        bytes += chunk.len() as u64;
    }
    Ok((bytes, hasher.finish()))
}

fn ensure_accepted(attempt: &Attempt) -> Result<(), AttemptResult> {
    if attempt.upload.state == UploadState::Accepted {
        return Ok(());
    }
    Err(AttemptResult::dead(Reason::new(ReasonCode::SettledBefore, "the upload was settled before its job ran")))
}
