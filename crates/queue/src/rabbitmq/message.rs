//! Encodes a job message as an AMQP message and decodes it. The body is the job message's JSON; the properties are
//! for operators and for outcomes.

use domain::JobMessage;
use instrument::TRACEPARENT;
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};
use uuid::Uuid;

/// The header with the user that a job is done for.
const PRINCIPAL_HEADER: &str = "cloakroom-principal";
/// The header with the queue that a parked message was found in.
pub(super) const QUEUE_HEADER: &str = "cloakroom-queue";

/// A job message and its AMQP properties.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AmqpMessage {
    pub(super) body: JobMessage,
    /// The process that waits for the outcome, if there is one.
    pub(super) reply_to: Option<Uuid>,
}

impl AmqpMessage {
    pub(super) fn encode(&self) -> serde_json::Result<(Vec<u8>, BasicProperties)> {
        let body = serde_json::to_vec(&self.body)?;
        let mut headers = FieldTable::default();
        if let Some(traceparent) = &self.body.traceparent {
            headers.insert(TRACEPARENT.into(), AMQPValue::LongString(traceparent.as_str().into()));
        }
        if !self.body.principal.is_empty() {
            headers.insert(PRINCIPAL_HEADER.into(), AMQPValue::LongString(self.body.principal.as_str().into()));
        }
        let mut properties = BasicProperties::default()
            // Persistent. A quorum queue stores every message anyway, but a queue of another kind may be bound to the
            // exchange later.
            .with_delivery_mode(2)
            .with_content_type("application/json".into())
            .with_type(self.body.job.kind().into())
            .with_message_id(self.body.id.to_string().into())
            .with_app_id("cloakroom".into())
            .with_headers(headers);
        if let Some(instance) = self.reply_to {
            properties = properties.with_reply_to(instance.simple().to_string().into());
        }
        Ok((body, properties))
    }

    /// Decodes a message. Fails if this version does not know the kind, or if the message is no job message.
    ///
    /// Any client that can publish to these queues can write anything, so every property is parsed. A `reply_to` is
    /// the id of a process. It is used only as a routing key on our own exchange, never as an address. A principal
    /// only decides with which jobs the job shares a worker's slots; the job's row says whose job it is. The queue of
    /// the result is the queue of the job's kind, or the queue from which the message was parked. A consumer replaces
    /// it by the queue that the message was in.
    pub(super) fn decode(body: &[u8], properties: &BasicProperties) -> Result<Self, serde_json::Error> {
        let header = |name: &str| match properties.headers().as_ref()?.inner().get(name)? {
            AMQPValue::LongString(text) => std::str::from_utf8(text.as_bytes()).ok().map(str::to_owned),
            AMQPValue::ShortString(text) => Some(text.as_str().to_owned()),
            _ => None,
        };
        let mut message: JobMessage = serde_json::from_slice(body)?;
        message.traceparent = header(TRACEPARENT);
        message.principal = header(PRINCIPAL_HEADER).unwrap_or_default();
        if let Some(queue) = header(QUEUE_HEADER).and_then(|queue| queue.parse().ok()) {
            message.queue = queue;
        }
        Ok(Self {
            body: message,
            reply_to: properties.reply_to().as_ref().and_then(|text| Uuid::try_parse(text.as_str()).ok()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{Job, JobId, QueueName, UploadId};

    fn message() -> AmqpMessage {
        let job = Job::ProcessPicture { upload: UploadId::try_from(1001).unwrap() };
        let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned();
        let message = JobMessage::new(JobId::from_u128(7), job);
        AmqpMessage {
            body: JobMessage { principal: "jane".to_owned(), traceparent: Some(trace), ..message },
            reply_to: Some(Uuid::from_u128(9)),
        }
    }

    #[test]
    fn a_decoded_message_equals_the_encoded_message() {
        let (body, properties) = message().encode().unwrap();
        assert_eq!(AmqpMessage::decode(&body, &properties).unwrap(), message());
    }

    #[test]
    fn a_parked_message_goes_back_to_the_queue_that_it_was_found_in() {
        let (body, properties) = message().encode().unwrap();
        let mut headers = properties.headers().clone().unwrap_or_default();
        headers.insert(QUEUE_HEADER.into(), AMQPValue::LongString("heavy".into()));
        let parked = properties.with_headers(headers);
        assert_eq!(AmqpMessage::decode(&body, &parked).unwrap().body.queue, QueueName::Heavy);
    }

    #[test]
    fn a_reply_address_that_is_not_a_process_is_ignored() {
        let (body, properties) = message().encode().unwrap();
        let forged = properties.with_reply_to("amq.rabbitmq.reply-to.g1h2AA".into());
        assert_eq!(AmqpMessage::decode(&body, &forged).unwrap().reply_to, None);
    }

    #[test]
    fn an_unknown_or_invalid_message_is_not_decoded() {
        for body in [
            r#"{"id":"00000000-0000-0000-0000-000000000007","kind":"picture.process.v2","upload":1001}"#,
            r#"{"id":"00000000-0000-0000-0000-000000000007","kind":"film.process.v1","film":1}"#,
            r#"{"id":"7","kind":"picture.process.v1","upload":1001}"#,
            "",
            "\u{0}",
        ] {
            AmqpMessage::decode(body.as_bytes(), &BasicProperties::default()).unwrap_err();
        }
    }
}
