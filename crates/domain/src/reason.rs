//! Why an upload or a variant was rejected or failed, and the outcome of a job.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::open_enum::open_enum;

open_enum! {
    /// The codes of reasons. They are stored in the records, sent to clients and used in metrics, so a code never
    /// changes.
    ReasonCode {
        /// The format is not accepted.
        UnsupportedType = "unsupported_type",
        /// The bytes of the picture are damaged, incomplete or contradictory.
        BrokenPicture = "broken_picture",
        /// The picture has more pixels than the limit.
        TooManyPixels = "too_many_pixels",
        /// The longer side has more pixels than the limit.
        SideTooLong = "side_too_long",
        /// The animation has more frames than the limit.
        TooManyFrames = "too_many_frames",
        /// The progressive JPEG has more scans than the limit.
        TooManyScans = "too_many_scans",
        /// Decoding the picture would need more memory than the limit.
        TooMuchMemory = "too_much_memory",
        /// The colour profile is larger than the limit.
        ProfileTooLarge = "profile_too_large",
        /// Rendering was stopped before it was done.
        Stopped = "stopped",
        /// The picture engine or one of its codecs failed.
        EngineFailed = "engine_failed",
        /// The right to upload was revoked while the upload waited.
        NotPermitted = "not_permitted",
        /// The target in the file is gone.
        TargetGone = "place_gone",
        /// The picture was not claimed in time.
        Unclaimed = "unclaimed",
        /// The picture, the avatar, the rendition or the file was deleted.
        Deleted = "deleted",
        /// No worker settled the upload or made the variant before the deadline.
        DeadlinePassed = "deadline",
        /// All attempts that count ended, the last one with an error or without any result.
        AttemptsExhausted = "gave_up",
        /// The staged bytes or the original are missing.
        BytesLost = "bytes_lost",
        /// The staged bytes do not have the digest that was recorded when they arrived.
        BytesDamaged = "bytes_damaged",
        /// The upload cannot be processed as it is stored.
        Unusable = "unusable",
        /// The upload was settled before its job ran.
        SettledBefore = "settled_before",
        /// The picture of a requested variant is not ready.
        NotReady = "not_ready",
        /// The picture was cropped again after the variant was requested.
        Superseded = "superseded",
        /// The engine rendered nothing.
        NothingMade = "nothing_made",
        /// The picture has as many variants of custom sizes as it may have.
        TooManyVariants = "too_many_variants",
        /// The picture was cropped as often as it may be.
        TooManyCrops = "too_many_crops",
        /// The upload never became a picture, and its row does not say why.
        NoPicture = "unknown",
    }
}

/// Why an upload was rejected or failed: a code with a fixed meaning, and a sentence that names what was wrong, the
/// limit, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// For programs, metrics and logs.
    pub code: ReasonCode,
    /// The sentence, for people.
    #[serde(rename = "why")]
    pub message: String,
}

impl Reason {
    /// Builds a reason from its two parts.
    pub fn new(code: impl Into<ReasonCode>, message: impl fmt::Display) -> Self {
        Self { code: code.into(), message: message.to_string() }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

/// The outcome of a job, as the waiting api receives it. A worker decides it or, past the deadline, the sweeper.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "lowercase")]
pub enum Outcome {
    /// The result of the job exists.
    Ready,
    /// The upload or the variant was rejected, for a reason that the client can correct.
    Rejected(Reason),
    /// The job failed, for a reason that the client did not cause.
    Failed(Reason),
}

/// The form in the log: the verdict as it is sent, and the reason.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready => f.write_str("ready"),
            Self::Rejected(reason) => write!(f, "rejected: {reason}"),
            Self::Failed(reason) => write!(f, "failed: {reason}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_stored_and_sent_in_these_words() {
        let words: Vec<&str> = ReasonCode::KNOWN.iter().map(ReasonCode::as_str).collect();
        let expected = "unsupported_type broken_picture too_many_pixels side_too_long too_many_frames too_many_scans \
            too_much_memory profile_too_large stopped engine_failed not_permitted place_gone unclaimed deleted deadline gave_up \
            bytes_lost bytes_damaged unusable settled_before not_ready superseded nothing_made too_many_variants \
            too_many_crops unknown";
        assert_eq!(words, expected.split_whitespace().collect::<Vec<_>>());
        for code in ReasonCode::KNOWN {
            assert_eq!(ReasonCode::from(code.as_str()), *code);
        }
        let newer = ReasonCode::from("of_a_newer_version");
        assert_eq!(newer.to_string(), "of_a_newer_version");
        assert!(!ReasonCode::KNOWN.contains(&newer));
    }

    #[test]
    fn an_outcome_has_this_text() {
        let rejected = Outcome::Rejected(Reason::new(ReasonCode::BrokenPicture, "it ends early"));
        let text = r#"{"verdict":"rejected","code":"broken_picture","why":"it ends early"}"#;
        assert_eq!(serde_json::to_string(&rejected).unwrap(), text);
        assert_eq!(serde_json::from_str::<Outcome>(text).unwrap(), rejected);
    }
}
