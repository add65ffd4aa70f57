//! A ticket as a message, and back. The body is the ticket's JSON; the properties are for people and for answering.

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};
use uuid::Uuid;

use crate::job::Ticket;
use crate::trace::TRACEPARENT;

/// A ticket and what travels with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Letter {
    pub(super) ticket: Ticket,
    /// The process that waits for the verdict.
    pub(super) reply_to: Option<Uuid>,
}

impl Letter {
    pub(super) fn seal(&self) -> serde_json::Result<(Vec<u8>, BasicProperties)> {
        let body = serde_json::to_vec(&self.ticket)?;
        let mut headers = FieldTable::default();
        if let Some(traceparent) = &self.ticket.trace {
            headers.insert(TRACEPARENT.into(), AMQPValue::LongString(traceparent.as_str().into()));
        }
        let mut properties = BasicProperties::default()
            // Persistent. A quorum queue writes everything down, but an exchange may be bound to another kind some day.
            .with_delivery_mode(2)
            .with_content_type("application/json".into())
            .with_type(self.ticket.job.kind().into())
            .with_message_id(self.ticket.id.to_string().into())
            .with_app_id("cloakroom".into())
            .with_headers(headers);
        if let Some(instance) = self.reply_to {
            properties = properties.with_reply_to(instance.simple().to_string().into());
        }
        Ok((body, properties))
    }

    /// None where this version does not know the kind, or where it is no ticket at all.
    ///
    /// Whoever can publish into our queues can write what they like, so what is read here is parsed: a `reply_to` is
    /// the name of a process, which only ever becomes the key of a message to our own exchange, and never an address.
    pub(super) fn open(body: &[u8], properties: &BasicProperties) -> Result<Self, serde_json::Error> {
        let header = |name: &str| match properties.headers().as_ref()?.inner().get(name)? {
            AMQPValue::LongString(text) => std::str::from_utf8(text.as_bytes()).ok().map(str::to_owned),
            AMQPValue::ShortString(text) => Some(text.as_str().to_owned()),
            _ => None,
        };
        let ticket = Ticket { trace: header(TRACEPARENT), ..serde_json::from_slice(body)? };
        Ok(Self {
            ticket,
            reply_to: properties.reply_to().as_ref().and_then(|text| Uuid::try_parse(text.as_str()).ok()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Job, JobId, UploadId};

    fn letter() -> Letter {
        let job = Job::ProcessPicture { upload: UploadId::try_from(1001).unwrap() };
        Letter {
            ticket: Ticket {
                id: JobId::from_u128(7),
                job,
                trace: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
            },
            reply_to: Some(Uuid::from_u128(9)),
        }
    }

    #[test]
    fn what_is_sealed_is_opened() {
        let (body, properties) = letter().seal().unwrap();
        assert_eq!(Letter::open(&body, &properties).unwrap(), letter());
    }

    #[test]
    fn an_address_that_is_no_process_is_nobody() {
        let (body, properties) = letter().seal().unwrap();
        let forged = properties.with_reply_to("amq.rabbitmq.reply-to.g1h2AA".into());
        assert_eq!(Letter::open(&body, &forged).unwrap().reply_to, None);
    }

    #[test]
    fn what_is_newer_than_us_is_not_opened() {
        for body in [
            r#"{"id":"00000000-0000-0000-0000-000000000007","kind":"picture.process.v2","upload":1001}"#,
            r#"{"id":"00000000-0000-0000-0000-000000000007","kind":"film.process.v1","film":1}"#,
            r#"{"id":"7","kind":"picture.process.v1","upload":1001}"#,
            "",
            "\u{0}",
        ] {
            Letter::open(body.as_bytes(), &BasicProperties::default()).unwrap_err();
        }
    }
}
