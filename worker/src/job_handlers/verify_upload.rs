//! `upload.verify.v1`: reads the stored bytes of a ready upload again, because disks and stores lose and change bytes.
//! If an object is missing or has another digest than the records say, the job becomes a dead letter that names the
//! object.

use domain::{EventKind, Outcome, Reason, ReasonCode};
use records::{Attempt, SettleResult};

use crate::attempt_result::AttemptResult;
use crate::fetch::digest_of;
use crate::worker::Worker;

impl Worker {
    /// Reads the original and all variants of the attempt's upload, compares their digests with the records, and
    /// records that they are unchanged.
    pub(crate) async fn verify_upload(&self, attempt: &Attempt) -> Result<AttemptResult, AttemptResult> {
        let (records, upload) = (&self.backends.records, &attempt.upload);
        let variants = records.variants(upload.id, upload.generation).await?;
        let original = upload.original_key.as_deref().map(|key| (key, upload.sha256.as_str()));
        let objects =
            original.into_iter().chain(variants.iter().map(|variant| (variant.key.as_str(), variant.sha256.as_str())));
        let (mut object_count, mut byte_count) = (0, 0);
        for (key, sha256) in objects {
            byte_count += self.verify_object(key, sha256).await?;
            object_count += 1;
        }
        let detail = format!("{object_count} objects, {byte_count} bytes, unchanged");
        Ok(match records.finish_upload_job(attempt, EventKind::Verified, &detail).await? {
            SettleResult::Superseded => AttemptResult::Done(None),
            _ => AttemptResult::Done(Some(Outcome::Ready)),
        })
    }

    /// Reads one object, compares its digest with `sha256`, and returns its length in bytes.
    async fn verify_object(&self, key: &str, sha256: &str) -> Result<u64, AttemptResult> {
        let (byte_count, digest) = digest_of(self.backends.blobs.stream(key, None).await?).await?;
        if digest == sha256 {
            return Ok(byte_count);
        }
        let reason = Reason::new(ReasonCode::BytesDamaged, "stored bytes of this upload are damaged; ask the operator");
        Err(AttemptResult::Dead(reason, format!("the digest of {key} is not {sha256}")))
    }
}
