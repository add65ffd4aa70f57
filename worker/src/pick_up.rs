//! Picking up what was handed in, with which the work on every fresh upload begins: it still waits for its end, its bytes
//! are there, and they are the bytes that were acknowledged. Where that is not so, no other attempt would do better.

use bytes::Bytes;
use futures::TryStreamExt;
use upload::{Attempt, Hasher, Reason, State, sha256};

use crate::consume::Worker;
use crate::outcome::Outcome;

impl Worker {
    /// The bytes of an upload, whole: somebody is to look into them.
    pub(crate) async fn pick_up(&self, attempt: &mut Attempt) -> Result<Bytes, Outcome> {
        still_waits(attempt)?;
        let bytes = self.places.staging.read(&attempt.upload.staged_key).await?;
        self.as_sent(attempt, bytes.len() as u64, &sha256(&bytes))?;
        Ok(bytes)
    }

    /// The same where nobody is to look into them: they flow by, however many they are.
    pub(crate) async fn look_over(&self, attempt: &mut Attempt) -> Result<(), Outcome> {
        still_waits(attempt)?;
        let (mut hasher, mut bytes) = (Hasher::new(), 0_u64);
        let mut pieces = self.places.staging.stream(&attempt.upload.staged_key).await?;
        while let Some(piece) = pieces.try_next().await? {
            hasher.update(&piece);
            bytes += piece.len() as u64;
        }
        self.as_sent(attempt, bytes, &hasher.finish())
    }

    fn as_sent(&self, attempt: &mut Attempt, bytes: u64, digest: &str) -> Result<(), Outcome> {
        let sent = &attempt.upload;
        if digest != sent.sha256 {
            let why = format!("staging gave back {bytes} bytes that are not the {} that were sent", sent.bytes);
            return Err(Outcome::dead(Reason::new("bytes_damaged", why)));
        }
        attempt.note(self.places.records.clock().now(), "validated", format!("{bytes} bytes, as they were sent"));
        Ok(())
    }
}

fn still_waits(attempt: &Attempt) -> Result<(), Outcome> {
    if attempt.upload.state == State::Accepted {
        return Ok(());
    }
    Err(Outcome::dead(Reason::new("settled_before", "the upload was settled before its job ran")))
}
