//! What an operation may answer, by status.

use serde_json::{Map, Value, json};

use super::schemas::Schemas;
use crate::http::error::{PROBLEM, Problem};

/// Responses of one operation.
#[derive(Default)]
pub(super) struct Answers(Map<String, Value>);

/// A header of an answer.
#[derive(Clone, Copy)]
pub(super) enum Header {
    /// Where what was created is.
    Location,
    /// The version of what is shown.
    ETag,
    /// Leads to the next page, if there is one.
    Link,
    /// The answer repeats that of an earlier request.
    Replayed,
    /// When to come back.
    RetryAfter,
    /// When to come back, if that is known.
    PerhapsRetryAfter,
    /// Which token is asked for.
    Authenticate,
}

impl Header {
    fn described(self) -> (&'static str, Value) {
        let text =
            |description: &str, required: bool| json!({"description": description, "required": required, "schema": {"type": "string"}});
        let seconds = |required: bool| json!({"description": "Seconds", "required": required, "schema": {"type": "integer", "minimum": 1}});
        match self {
            Self::Location => ("Location", text("Path of what was created", true)),
            Self::ETag => ("ETag", text("Identifies this version; to be sent in If-None-Match or If-Match", true)),
            Self::Link => ("Link", text("The next page, with rel=\"next\"; absent on the last page", false)),
            Self::Replayed => ("Idempotency-Replayed", text("`true` if the key was used before with the same body", false)),
            Self::RetryAfter => ("Retry-After", seconds(true)),
            Self::PerhapsRetryAfter => ("Retry-After", seconds(false)),
            Self::Authenticate => ("WWW-Authenticate", text("`Bearer`", true)),
        }
    }
}

impl Answers {
    /// Without a body.
    pub(super) fn empty(self, status: u16, description: &str) -> Self {
        self.insert(status.to_string(), json!({"description": description}))
    }

    /// With a body.
    pub(super) fn content(self, status: u16, description: &str, media: &str, schema: Value) -> Self {
        self.insert(status.to_string(), json!({"description": description, "content": {media: {"schema": schema}}}))
    }

    /// With a problem, and the headers that belong to its status.
    pub(super) fn problem(self, schemas: &mut Schemas, status: u16, description: &str) -> Self {
        let answers = self.content(status, description, PROBLEM, schemas.answer::<Problem<'_>>());
        match status {
            401 => answers.header(status, Header::Authenticate),
            429 => answers.header(status, Header::RetryAfter),
            503 => answers.header(status, Header::PerhapsRetryAfter),
            _ => answers,
        }
    }

    /// Several problems.
    pub(super) fn problems(self, schemas: &mut Schemas, problems: &[(u16, &str)]) -> Self {
        problems.iter().fold(self, |answers, (status, description)| answers.problem(schemas, *status, description))
    }

    /// Whatever another process answers.
    pub(super) fn any(self, description: &str) -> Self {
        self.insert("default".to_owned(), json!({"description": description}))
    }

    /// A header of the answer of that status.
    pub(super) fn header(mut self, status: u16, header: Header) -> Self {
        let (name, described) = header.described();
        if let Some(answer) = self.0.get_mut(&status.to_string()) {
            answer["headers"][name] = described;
        }
        self
    }

    /// What leads from an answer of that status to other operations of what it shows, by its id.
    pub(super) fn links(mut self, status: u16, operations: impl Iterator<Item = (String, String)>) -> Self {
        for (id, parameter) in operations {
            if let Some(answer) = self.0.get_mut(&status.to_string()) {
                answer["links"][&id] = json!({"operationId": id, "parameters": {parameter: "$response.body#/id"}});
            }
        }
        self
    }

    /// In the sequence of the statuses.
    pub(super) fn finish(self) -> Value {
        let mut answers: Vec<_> = self.0.into_iter().collect();
        answers.sort_by(|(one, _), (other, _)| one.cmp(other));
        Value::Object(answers.into_iter().collect())
    }

    fn insert(mut self, status: String, answer: Value) -> Self {
        self.0.entry(status).or_insert(answer);
        self
    }
}
