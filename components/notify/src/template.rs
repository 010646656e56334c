//! Words for states. A template holds `{placeholders}`: `{instance}`, `{workflow}`, `{state}`, `{transition}` and `{data.<path>}`.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use step_sdk::schema;

use crate::escape::harmless;

/// Subject and body of a message.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Template {
    /// One line.
    pub subject: Cow<'static, str>,
    /// The text.
    pub body: Cow<'static, str>,
}

/// The operator's templates, by state; a state without one has the words of this component.
#[derive(Debug, Default, Deserialize)]
#[serde(transparent)]
pub struct Templates(BTreeMap<String, Template>);

/// Names of placeholders that are filled from the job; any other begins with [`DATA`].
pub const NAMES: [&str; 4] = ["instance", "workflow", "state", "transition"];

/// What a placeholder that is filled from the data begins with; a path follows.
pub const DATA: &str = "data.";

/// Subject and body where the total is 0.
const FREE: (&str, &str) = ("Nothing is to be paid for {instance}", "{instance} costs nothing, and no card was charged.");

/// Characters of a name in a line about a gap.
const NAME_LIMIT: usize = 60;

/// Names of the data that a line about a gap shows.
const SHOWN: usize = 30;

/// State, subject, body.
const WORDS: [(&str, &str, &str); 10] = [
    ("new", "We have received {instance}", "Thank you. {instance} is in, its total is {data.total}. We tell you when it goes on."),
    ("validated", "{instance} is in stock", "Everything in {instance} is in stock and set aside for you until {data.reserved_until}."),
    (
        "paid",
        "Payment received for {instance}",
        "We have charged {data.total} to your card ending in {data.last4}. Transaction {data.transaction_id}.",
    ),
    (
        "shipped",
        "{instance} is on its way",
        "{data.carrier} carries your parcel, tracking number {data.tracking_number}. Expected on {data.estimated_delivery}.",
    ),
    ("delivered", "{instance} has arrived", "{data.carrier} has delivered your parcel {data.tracking_number}. Enjoy it."),
    ("cancelled", "{instance} is cancelled", "{instance} is cancelled and will not be sent. {data.reason}"),
    ("failed", "{instance} could not be fulfilled", "We are sorry: {instance} could not be fulfilled. {data.reason}"),
    ("payment_failed", "Payment for {instance} was declined", "{data.reason} You can try again with another card."),
    (
        "ship_failed",
        "{instance} is delayed",
        "The carrier could not take your parcel yet. We try again and tell you when it is on its way.",
    ),
    ("", "{instance}: {state}", "{instance} is now: {state}."),
];

impl Templates {
    /// The words for `state` of what has this data.
    pub fn for_state(&self, state: &str, data: &Value) -> Template {
        self.0.get(state).cloned().unwrap_or_else(|| {
            let (_, subject, body) =
                *WORDS.iter().find(|(name, ..)| *name == state || name.is_empty()).unwrap_or(&("", "{state}", "{state}"));
            let is_free = state == "paid" && data.get("total").and_then(Value::as_f64) == Some(0.0);
            let (subject, body) = if is_free { FREE } else { (subject, body) };
            Template { subject: subject.into(), body: body.into() }
        })
    }
}

/// The names between braces in `text`, in its sequence.
pub fn names(text: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut rest = text;
    while let Some((name, after)) = rest.split_once('{').and_then(|(_, after)| after.split_once('}')) {
        names.push(name);
        rest = after;
    }
    names
}

/// Whether the words of this component for `state` have this placeholder too: it may lack, as a reason does where nobody gave one.
fn may_lack(state: &str, placeholder: &str) -> bool {
    WORDS
        .iter()
        .any(|(name, subject, body)| *name == state && names(subject).into_iter().chain(names(body)).any(|other| other == placeholder))
}

impl Templates {
    /// What of the operator's template for `state` nothing can be put in the place of, as lines for the log: each leaves a gap in the message.
    pub fn gaps(&self, state: &str, value: impl Fn(&str) -> Option<String>, data: &Value) -> Vec<String> {
        let Some(template) = self.0.get(state) else { return Vec::new() };
        let parts = [("subject", &template.subject), ("body", &template.body)];
        let all = parts.into_iter().flat_map(|(part, text)| names(text).into_iter().map(move |name| (part, name)));
        all.filter(|(_, name)| value(name).is_none() && !may_lack(state, name)).map(|(part, name)| gap(state, part, name, data)).collect()
    }
}

/// One line about a placeholder without a value, with what would have one.
fn gap(state: &str, part: &str, name: &str, data: &Value) -> String {
    let present = data.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
    let there: Vec<String> = present.map(|(name, _)| harmless(name, NAME_LIMIT)).take(SHOWN).collect();
    format!(
        "the template for '{state}' leaves a gap in its {part}: there is no {{{}}}; it can have {{{}}}, and {{{DATA}<path>}} where the data has: {}",
        harmless(name, NAME_LIMIT),
        NAMES.join("}, {"),
        if there.is_empty() { "nothing".to_owned() } else { there.join(", ") }
    )
}

/// Puts values in the place of placeholders. What is no placeholder stays as it is; one without a value becomes empty.
pub fn fill(template: &str, value: impl Fn(&str) -> Option<String>) -> String {
    let mut filled = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let Some((name, after)) = after.split_once('}') else {
            filled.push('{');
            rest = after;
            continue;
        };
        filled.push_str(&value(name).unwrap_or_default());
        rest = after;
    }
    filled.push_str(rest);
    filled
}

/// The value at `path` (names separated by dots) in `data`, as a person would write it; lists and objects have none.
pub fn lookup(data: &Value, path: &str) -> Option<String> {
    match path.split('.').try_fold(data, |value, name| value.get(name))? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Properties of the configuration, as members of a JSON Schema.
pub fn config_schema() -> String {
    let text = schema::text("Placeholders: {instance}, {workflow}, {state}, {transition}, {data.<path>} such as {data.tracking_number}.");
    // A brace that nothing closes is text; between braces stands what can have a value.
    let pattern = schema::text(&format!(r"^([^{{]|\{{({}|{}[^{{}}]+)\}})*(\{{[^}}]*)?$", NAMES.join("|"), DATA.replace('.', r"\.")));
    format!(
        r#""channel":{{"enum":["email","sms"],"default":"email","description":"How the message goes out; an SMS has one part."}},
"templates":{{"type":"object","description":"Messages by state; states that are not listed have words of their own.",
"additionalProperties":{{"type":"object","additionalProperties":false,"required":["subject","body"],
"properties":{{"subject":{{"type":"string","pattern":{pattern},"description":{text}}},"body":{{"type":"string","pattern":{pattern},"description":{text}}}}}}}}}"#
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn placeholders_are_filled_and_the_rest_is_left() {
        let value = |name: &str| (name == "a").then(|| "1".to_owned());
        assert_eq!(fill("{a}-{b}-{", value), "1--{");
        assert_eq!(fill("no braces } here", value), "no braces } here");
    }

    #[test]
    fn a_value_with_braces_is_not_filled_again() {
        assert_eq!(fill("{a}", |_| Some("{a}".to_owned())), "{a}");
    }

    #[test]
    fn the_names_are_those_that_are_filled() {
        assert_eq!(names("{a} and {data.b}, {"), ["a", "data.b"]);
        assert_eq!(names("{ {a} }"), [" {a"]);
        assert_eq!(names("} none {"), Vec::<&str>::new());
    }

    #[test]
    fn the_published_pattern_names_what_the_words_of_its_own_may_have() {
        let schema: Value = serde_json::from_str(&format!("{{{}}}", config_schema())).expect("JSON");
        let of =
            |part: &str| schema["templates"]["additionalProperties"]["properties"][part]["pattern"].as_str().expect("a pattern").to_owned();
        assert_eq!(of("body"), r"^([^{]|\{(instance|workflow|state|transition|data\.[^{}]+)\})*(\{[^}]*)?$");
        assert_eq!(of("subject"), of("body"));
        let words = WORDS.iter().flat_map(|(_, subject, body)| names(subject).into_iter().chain(names(body)));
        assert!(words.into_iter().all(|name| NAMES.contains(&name) || name.starts_with(DATA)));
    }

    #[test]
    fn the_published_schema_is_json_and_lists_both_properties() {
        let schema: Value = serde_json::from_str(&format!("{{{}}}", config_schema())).expect("JSON");
        assert_eq!(schema["channel"]["default"], "email");
        assert_eq!(schema["templates"]["additionalProperties"]["required"], json!(["subject", "body"]));
    }

    #[test]
    fn paths_reach_into_objects_and_only_plain_values_come_out() {
        let data = json!({"a": {"b": "text", "n": 149.99}, "list": [1]});
        assert_eq!(lookup(&data, "a.b").as_deref(), Some("text"));
        assert_eq!(lookup(&data, "a.n").as_deref(), Some("149.99"));
        assert_eq!(lookup(&data, "a"), None);
        assert_eq!(lookup(&data, "list"), None);
        assert_eq!(lookup(&data, "a.b.c"), None);
    }
}
