//! An event as a Kafka record: key = its key, value = its CloudEvent, and headers for those who do not want to parse it.

use std::sync::Arc;

use jiff::Timestamp;
use rdkafka::Message as _;
use rdkafka::message::{BorrowedHeaders, BorrowedMessage, Header, Headers as _, OwnedHeaders};
use rdkafka::producer::FutureRecord;

use crate::bus::Event;

const CONTENT_TYPE: &str = "application/cloudevents+json; charset=UTF-8";
const ID: &str = "ce_id";
const TRACEPARENT: &str = "traceparent";
/// What dead letters have beyond the headers of the event they were.
const DEAD_LETTER_PREFIX: &str = "dlq_";
pub(super) const DEAD_LETTER_PARTITION: &str = "dlq_partition";
pub(super) const DEAD_LETTER_REASON: &str = "dlq_reason";
pub(super) const DEAD_LETTER_OFFSET: &str = "dlq_offset";

/// Where a record was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
}

/// A record without its broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Incoming {
    pub place: Place,
    pub key: Option<Vec<u8>>,
    pub payload: Option<Vec<u8>>,
    pub headers: Vec<(String, Vec<u8>)>,
    /// When it was written, as far as the broker knows.
    pub published: Option<Timestamp>,
}

impl Incoming {
    pub(super) fn read(message: &BorrowedMessage<'_>) -> Self {
        let headers = message.headers().map(|headers| (0..headers.count()).filter_map(|place| header(headers, place)).collect());
        Self {
            place: Place { topic: message.topic().to_owned(), partition: message.partition(), offset: message.offset() },
            key: message.key().map(<[u8]>::to_vec),
            payload: message.payload().map(<[u8]>::to_vec),
            headers: headers.unwrap_or_default(),
            published: message.timestamp().to_millis().and_then(|ms| Timestamp::from_millisecond(ms).ok()),
        }
    }

    /// A header that is text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).and_then(|(_, value)| std::str::from_utf8(value).ok())
    }

    /// The event in it, as one of `topic`, which is what its topic is called here.
    ///
    /// # Errors
    /// There is none, in words.
    pub(super) fn event(&self, topic: &str) -> Result<Event, String> {
        let payload = self.payload.as_deref().ok_or("the record has no value")?;
        let payload: Arc<str> = std::str::from_utf8(payload).map_err(|error| format!("the value is not UTF-8: {error}"))?.into();
        Ok(Event {
            id: self.event_id(&payload),
            topic: topic.to_owned(),
            key: String::from_utf8_lossy(self.key.as_deref().unwrap_or_default()).into_owned(),
            payload,
            traceparent: self.header(TRACEPARENT).map(str::to_owned),
            // A broker may deliver twice what was given to it once.
            is_new: false,
        })
    }

    /// A record that another program wrote may have no header; the same event must have the same id nevertheless, however
    /// often it was written.
    fn event_id(&self, payload: &str) -> String {
        #[derive(serde::Deserialize)]
        struct Identified {
            id: String,
        }
        if let Some(id) = self.header(ID) {
            return id.to_owned();
        }
        let Place { topic, partition, offset } = &self.place;
        serde_json::from_str::<Identified>(payload).map_or_else(|_| format!("{topic}/{partition}/{offset}"), |identified| identified.id)
    }

    /// Whether this is a dead letter of an event that its topic never took, which does not have it any more. Any other without a value never
    /// had one.
    pub(super) fn has_lost_its_event(&self) -> bool {
        self.payload.is_none() && self.header(DEAD_LETTER_REASON).is_some() && self.buried_from().is_none()
    }

    /// Where a dead letter was read before it became one: partition and offset, as text.
    pub(super) fn buried_from(&self) -> Option<(String, String)> {
        Some((self.header(DEAD_LETTER_PARTITION)?.to_owned(), self.header(DEAD_LETTER_OFFSET)?.to_owned()))
    }

    /// The headers that the event had before it became a dead letter.
    pub(super) fn original_headers(&self) -> OwnedHeaders {
        let original = self.headers.iter().filter(|(key, _)| !key.starts_with(DEAD_LETTER_PREFIX));
        original.fold(OwnedHeaders::new(), |headers, (key, value)| headers.insert(Header { key, value: Some(value) }))
    }
}

/// A header by its place; none if its name is not UTF-8, which the client takes for impossible and panics over.
fn header(headers: &BorrowedHeaders, place: usize) -> Option<(String, Vec<u8>)> {
    let header = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| headers.try_get(place))).ok()??;
    Some((header.key.to_owned(), header.value.unwrap_or_default().to_vec()))
}

/// What is sent for an event to `topic`, which is what its topic is called at the broker.
pub(super) fn outgoing<'a>(event: &'a Event, topic: &'a str) -> FutureRecord<'a, str, str> {
    FutureRecord::to(topic).key(&*event.key).payload(&*event.payload).headers(headers(event))
}

/// The headers of an event.
pub(super) fn headers(event: &Event) -> OwnedHeaders {
    let fixed = [("content-type", CONTENT_TYPE), ("ce_specversion", "1.0"), (ID, &event.id), ("ce_type", &event.topic)];
    let trace = event.traceparent.iter().map(|trace| (TRACEPARENT, trace.as_str()));
    fixed
        .into_iter()
        .chain(trace)
        .fold(OwnedHeaders::new_with_capacity(6), |headers, (key, value)| headers.insert(Header { key, value: Some(value) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn incoming(payload: Option<&[u8]>, headers: &[(&str, &str)]) -> Incoming {
        Incoming {
            place: Place { topic: "return.approved".into(), partition: 2, offset: 7 },
            key: Some(b"return-1".to_vec()),
            payload: payload.map(<[u8]>::to_vec),
            headers: headers.iter().map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec())).collect(),
            published: None,
        }
    }

    #[test]
    fn the_id_of_an_event_is_found_wherever_it_is_written() {
        let id = |payload: &str, headers| incoming(Some(payload.as_bytes()), headers).event("return.approved").unwrap().id;
        assert_eq!(id(r#"{"id":"inside"}"#, &[(ID, "outside")]), "outside");
        assert_eq!(id(r#"{"id":"inside"}"#, &[]), "inside");
        assert_eq!(id("[]", &[]), "return.approved/2/7");
    }

    #[test]
    fn what_is_no_text_is_no_event() {
        assert_eq!(incoming(None, &[]).event("return.approved").unwrap_err(), "the record has no value");
        assert!(incoming(Some(&[0xff, 0xfe]), &[]).event("return.approved").unwrap_err().contains("not UTF-8"));
    }

    #[test]
    fn a_record_without_a_value_has_lost_its_event_only_if_it_had_one() {
        assert!(incoming(None, &[("dlq_reason", "too large")]).has_lost_its_event());
        let read = [("dlq_reason", "no value"), (DEAD_LETTER_PARTITION, "0"), (DEAD_LETTER_OFFSET, "7")];
        assert!(![incoming(None, &[]), incoming(None, &read), incoming(Some(b"x"), &[])].iter().any(Incoming::has_lost_its_event));
    }

    #[test]
    fn a_dead_letter_that_is_sent_again_has_its_old_headers() {
        let letter = incoming(Some(b"{}"), &[(ID, "e-1"), ("dlq_reason", "no"), (TRACEPARENT, "00-a-b-01")]);
        let headers = letter.original_headers();
        let names: Vec<&str> = headers.as_borrowed().iter().map(|header| header.key).collect();
        assert_eq!(names, [ID, TRACEPARENT]);
    }
}
