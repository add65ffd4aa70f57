//! Fetches and verifies staged bytes, the first step for every fresh upload. It checks that the upload is unsettled,
//! that its bytes exist, and that they are the acknowledged bytes. If a check fails, no other attempt can succeed.

use bytes::Bytes;
use domain::{EventKind, Reason, ReasonCode, Sha256Hasher, UploadState, sha256};
use futures::TryStreamExt;
use records::Attempt;

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
        let (mut hasher, mut bytes) = (Sha256Hasher::new(), 0_u64);
        let mut pieces = self.backends.staging.stream(&attempt.upload.staged_key).await?;
        while let Some(piece) = pieces.try_next().await? {
            hasher.update(&piece);
            bytes += piece.len() as u64;
        }
        self.check_digest(attempt, bytes, &hasher.finish())
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

fn ensure_accepted(attempt: &Attempt) -> Result<(), AttemptResult> {
    if attempt.upload.state == UploadState::Accepted {
        return Ok(());
    }
    Err(AttemptResult::dead(Reason::new(ReasonCode::SettledBefore, "the upload was settled before its job ran")))
}
