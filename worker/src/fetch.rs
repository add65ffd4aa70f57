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
    /// Reads all bytes of an upload into memory, verifies them and returns them.
    pub(crate) async fn fetch_and_verify(&self, attempt: &mut Attempt) -> Result<Bytes, AttemptResult> {
        ensure_accepted(attempt)?;
        let bytes = self.backends.staging.read(&attempt.upload.staged_key).await?;
        self.check_digest(attempt, bytes.len() as u64, &sha256(&bytes))?;
        Ok(bytes)
    }

    /// Verifies the bytes of an upload as a stream, without holding all of them in memory.
    pub(crate) async fn verify_stream(&self, attempt: &mut Attempt) -> Result<(), AttemptResult> {
        ensure_accepted(attempt)?;
        let chunks = self.backends.staging.stream(&attempt.upload.staged_key).await?;
        let (byte_count, digest) = digest_of(chunks).await?;
        self.check_digest(attempt, byte_count, &digest)
    }

    fn check_digest(&self, attempt: &mut Attempt, byte_count: u64, digest: &str) -> Result<(), AttemptResult> {
        let upload = &attempt.upload;
        if digest != upload.sha256 {
            let message = format!(
                "staging returned {byte_count} bytes that differ from the {} bytes of the upload; upload it again",
                upload.bytes
            );
            return Err(AttemptResult::dead(Reason::new(ReasonCode::BytesDamaged, message)));
        }
        let detail = format!("{byte_count} bytes, unchanged");
        attempt.push_event(self.backends.records.clock().now(), EventKind::Validated, detail);
        Ok(())
    }
}

/// Returns the length and the digest of an object, without holding the object in memory.
pub(crate) async fn digest_of(
    mut chunks: impl Stream<Item = Result<Bytes, StoreError>> + Unpin,
) -> Result<(u64, String), StoreError> {
    let (mut hasher, mut byte_count) = (Sha256Hasher::new(), 0);
    while let Some(chunk) = chunks.try_next().await? {
        hasher.update(&chunk);
        byte_count += chunk.len() as u64;
    }
    Ok((byte_count, hasher.finish()))
}

fn ensure_accepted(attempt: &Attempt) -> Result<(), AttemptResult> {
    if attempt.upload.state == UploadState::Accepted {
        return Ok(());
    }
    Err(AttemptResult::dead(Reason::new(ReasonCode::SettledBefore, "the upload was settled before its job ran")))
}
