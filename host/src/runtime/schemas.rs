//! The schemas that a component of 0.2 declares: of the data that it reads, and of what it answers.

use jsonschema::{PatternOptions, Validator};
use serde_json::{Map, Value};

use super::Verdict;
use super::bindings::Description;
use super::text::tamed;

/// Checks of one version, for those of its schemas that it declares.
#[derive(Default)]
pub(super) struct Schemas {
    /// As declared, for whoever compares it with those of others.
    pub data: Option<Schema>,
    /// As there.
    pub answer: Option<Schema>,
}

/// A schema, and what checks by it.
pub(super) struct Schema {
    pub text: Value,
    validator: Validator,
}

impl Schema {
    fn of(name: &str, text: &str) -> Result<Self, String> {
        let help = "write it as https://json-schema.org describes, without references to other documents";
        let schema: Map<String, Value> =
            serde_json::from_str(text).map_err(|error| format!("answered with {name} that is not a JSON object ({error}): {help}"))?;
        let text = Value::Object(schema);
        let validator = jsonschema::options().with_pattern_options(PatternOptions::regex()).build(&text);
        let validator = validator.map_err(|error| {
            let (place, why) = (error.instance_path().to_string(), tamed(&error.to_string(), 200));
            let place = if place.is_empty() { String::new() } else { format!(" at {}", tamed(&place, 100)) };
            format!("answered with {name} that is not a JSON Schema{place}: {why}: {help}")
        })?;
        Ok(Self { text, validator })
    }

    /// The first place that does not fit, and why. Values may be somebody's: they are not shown.
    fn misfit(&self, value: &Value) -> Option<String> {
        let error = self.validator.iter_errors(value).next()?;
        let place = error.instance_path().to_string();
        let place = if place.is_empty() { "/".to_owned() } else { tamed(&place, 100) };
        Some(format!("{place}: {}", tamed(&error.masked_with("what is there").to_string(), 300)))
    }
}

impl Schemas {
    /// Those of a description.
    ///
    /// # Errors
    /// One of them is none, as a clause that goes on after "its `describe`".
    pub fn of(said: &Description) -> Result<Self, String> {
        let schema = |name: &str, text: &Option<String>| text.as_ref().map(|text| Schema::of(name, text)).transpose();
        Ok(Self { data: schema("a data schema", &said.data_schema)?, answer: schema("an answer schema", &said.answer_schema)? })
    }

    /// Why the component is not asked to work on this data: it says itself that it cannot read it.
    pub fn refusal_of(&self, data: &str) -> Option<String> {
        let schema = self.data.as_ref()?;
        let data: Value = serde_json::from_str(data).ok()?;
        schema.misfit(&data).map(|misfit| format!("does not read this data, by its own data schema: {misfit}"))
    }

    /// Why an answer is none that the component may give, by what it says itself.
    pub fn contradiction_of(&self, verdict: &Verdict) -> Option<String> {
        let (schema, Verdict::Accepted(results)) = (self.answer.as_ref()?, verdict) else { return None };
        // It is moved into a value and out of it, and copied: only by those who declare a schema.
        schema.misfit(&Value::Object(results.clone())).map(|misfit| format!("broke its own answer schema: {misfit}"))
    }
}
