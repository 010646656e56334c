//! JSON Schema of a component's configuration. It is put together as text: a tree of values would be a tenth of a small component.

/// Schema (2020-12) of a configuration with `simulate`, the properties `own` and no others. `summary` is what an operator should know,
/// reserved test values included; `failing` says what a simulated failure looks like; `own` holds JSON members, without braces.
pub fn config(summary: &str, failing: &str, own: &str) -> String {
    let (summary, failing) = (text(summary), text(failing));
    let comma = if own.is_empty() { "" } else { "," };
    format!(
        r#"{{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object","description":{summary},"additionalProperties":false,
"properties":{{"simulate":{{"type":"object","additionalProperties":false,
"description":"Simulated slowness and failure, reproducible: drawn from the seed, the idempotency key and, where trying again may help, the attempt.",
"properties":{{
"seed":{{"type":"integer","minimum":0,"default":0,"description":"Another seed, other victims."}},
"successRate":{{"type":"number","minimum":0,"maximum":1,"default":1,"description":{failing}}},
"faults":{{"type":"boolean","default":true,"description":"Whether reserved values of the data stand for a service that does not answer. A shop that strangers can reach sets false: a customer could have a service fail at will."}},
"latencyMs":{{"type":"object","additionalProperties":false,"description":"How long the simulated service takes, in milliseconds.",
"properties":{{"min":{{"type":"integer","minimum":0,"default":0}},"max":{{"type":"integer","minimum":0,"default":0}}}}}}}}}}{comma}{own}}}}}"#
    )
}

/// A property that is a list of states.
pub fn states(name: &str, description: &str, default: &[&str]) -> String {
    let default: Vec<String> = default.iter().map(|state| text(state)).collect();
    format!(
        r#"{}:{{"type":"array","items":{{"type":"string","minLength":1}},"uniqueItems":true,"description":{},"default":[{}]}}"#,
        text(name),
        text(description),
        default.join(",")
    )
}

/// `value` as a JSON string.
pub fn text(value: &str) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn parsed(own: &str) -> Value {
        serde_json::from_str(&config("say \"hi\"", "fails", own)).expect("JSON")
    }

    #[test]
    fn the_text_is_json_with_and_without_properties_of_its_own() {
        assert_eq!(parsed("")["description"], "say \"hi\"");
        let schema = parsed(&states("onStates", "when", &["a", "b"]));
        assert_eq!(schema["properties"]["onStates"]["default"], json!(["a", "b"]));
        assert_eq!(schema["properties"]["simulate"]["properties"]["successRate"]["description"], "fails");
    }
}
