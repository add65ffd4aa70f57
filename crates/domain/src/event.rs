//! Events: what happened to an upload, and when.

use crate::open_enum::open_enum;
use jiff::Timestamp;

open_enum! {
    /// The kinds of events, as the records store them and `GET /uploads/{id}` shows them.
    EventKind {
        /// The bytes are durable in staging.
        Staged = "staged",
        /// The first job is in the outbox.
        Queued = "queued",
        /// A worker began an attempt.
        Attempt = "attempt",
        /// The bytes have the recorded digest.
        Validated = "validated",
        /// The sizes are rendered.
        Rendered = "rendered",
        /// The result is in blob storage.
        Promoted = "promoted",
        /// The upload was settled as ready.
        Ready = "ready",
        /// The upload was rejected.
        Rejected = "rejected",
        /// The job ran out of attempts, or no attempt can succeed.
        Dead = "dead",
        /// An attempt failed, and the job runs again.
        Rescheduled = "rescheduled",
        /// A backend failed. The job runs again, and the attempt does not count.
        Postponed = "postponed",
        /// No worker settled the upload before its deadline.
        DeadlinePassed = "deadline passed",
        /// An operator retried the dead job.
        Retried = "retried",
        /// An operator discarded the dead job.
        Discarded = "discarded",
        /// A requested variant was made.
        VariantMade = "variant",
        /// A requested variant cannot be made.
        VariantRefused = "variant refused",
        /// The job of a requested variant took too long and was given up.
        VariantOverdue = "variant overdue",
        /// Another job about the ready upload took too long and was given up.
        JobOverdue = "job overdue",
        /// The stored bytes have the recorded digests.
        Verified = "verified",
        /// The picture was claimed.
        Claimed = "claimed",
        /// The picture was cropped.
        Cropped = "cropped",
        /// The picture was not claimed in time.
        Expired = "expired",
        /// The picture, the avatar, the rendition or the file was deleted.
        Deleted = "deleted",
        /// The deleted file was restored.
        Restored = "restored",
    }
}

/// One event in an upload's history, with its time. It cannot be serialized, because its detail may hold the text of an
/// internal error, which no client may see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    pub kind: EventKind,
    /// Details for operators; may be empty. Clients get [`public_detail`](Self::public_detail).
    pub detail: String,
}

impl Event {
    /// Builds an event from its parts.
    pub fn new(at: Timestamp, kind: EventKind, detail: impl Into<String>) -> Self {
        Self { at, kind, detail: detail.into() }
    }

    /// The details for a client; may be empty. The error of an attempt is replaced by what follows from it.
    pub fn public_detail(&self) -> &str {
        match self.kind {
            EventKind::Dead => "the processing failed, and no further attempt follows",
            EventKind::Rescheduled => "the attempt failed, and another one follows",
            EventKind::Postponed => {
                "a part of the service is not available; the attempt does not count and is repeated"
            }
            EventKind::DeadlinePassed => "it was not processed by its deadline",
            EventKind::VariantOverdue | EventKind::JobOverdue => "it was not done in time",
            _ => &self.detail,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_stored_in_these_words() {
        let words: Vec<&str> = EventKind::KNOWN.iter().map(EventKind::as_str).collect();
        let expected = "staged|queued|attempt|validated|rendered|promoted|ready|rejected|dead|rescheduled|postponed|\
            deadline passed|retried|discarded|variant|variant refused|variant overdue|\
            job overdue|verified|claimed|cropped|expired|deleted|restored";
        assert_eq!(words, expected.split('|').collect::<Vec<_>>());
        for kind in EventKind::KNOWN {
            assert_eq!(EventKind::from(kind.as_str()), *kind);
        }
    }

    #[test]
    fn clients_do_not_see_the_errors_of_attempts() {
        let error = "records: connection to 10.0.0.7:5432 refused";
        for kind in EventKind::KNOWN {
            let event = Event::new(Timestamp::UNIX_EPOCH, kind.clone(), error);
            let internal = [
                EventKind::Dead,
                EventKind::Rescheduled,
                EventKind::Postponed,
                EventKind::DeadlinePassed,
                EventKind::VariantOverdue,
                EventKind::JobOverdue,
            ]
            .contains(kind);
            assert_eq!(event.public_detail() == error, !internal, "{kind}");
        }
    }
}
