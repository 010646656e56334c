//! The schemas that a component of 0.2 declares: of the data that it reads, and of what it answers. And how large any schema of a component may
//! be: checking by it is work that no budget of the component counts.

use std::collections::{HashMap, HashSet};

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
        is_small(name, &text)?;
        let validator = built(&text).map_err(|error| {
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

/// Parts of a schema once its references are followed, at most: as many are looked at, and kept in memory.
const MAX_PARTS: u64 = 2_000;
/// How deep they may be in each other.
const MAX_DEPTH: usize = 64;
/// Patterns of a schema, at most.
const MAX_PATTERNS: usize = 64;
/// Bytes of memory for each of them.
const MAX_PATTERN_BYTES: usize = 64 << 10;

/// What checks by a schema, if it is small and one at all.
pub(super) fn reader(schema: &Value) -> Option<Validator> {
    is_small("a schema", schema).ok()?;
    built(schema).ok()
}

fn built(schema: &Value) -> Result<Validator, jsonschema::ValidationError<'static>> {
    let patterns = PatternOptions::regex().size_limit(MAX_PATTERN_BYTES).dfa_size_limit(MAX_PATTERN_BYTES);
    jsonschema::options().with_pattern_options(patterns).build(schema)
}

/// Whether a schema that a component declares can be checked by without harm. It has to be asked before anything else is done with it.
///
/// # Errors
/// It cannot, as a clause that goes on after "its `describe`".
pub(super) fn is_small(name: &str, schema: &Value) -> Result<(), String> {
    let mut scale = Scale { document: schema, known: HashMap::new(), open: HashSet::new(), patterns: HashSet::new() };
    let parts = scale.weigh(schema, 0).map_err(|why| format!("answered with {name} that {why}"))?.parts;
    if parts > MAX_PARTS {
        return Err(format!(
            "answered with {name} of {parts} parts once its references are followed, and at most {MAX_PARTS} are taken: make it smaller"
        ));
    }
    let patterns = scale.patterns.len();
    if patterns > MAX_PATTERNS {
        return Err(format!("answered with {name} of {patterns} patterns, and at most {MAX_PATTERNS} are taken: make it smaller"));
    }
    Ok(())
}

/// How large a part of a schema is, with all that its references lead to.
#[derive(Clone, Copy)]
struct Weight {
    /// Each counts as often as it is looked at.
    parts: u64,
    /// How deep they are in each other.
    depth: usize,
}

/// Weighs the parts of one schema; each that references lead to only once, however often that is.
struct Scale<'s> {
    document: &'s Value,
    /// By where they are.
    known: HashMap<&'s str, Weight>,
    /// What is being weighed that a reference has led to.
    open: HashSet<&'s str>,
    patterns: HashSet<&'s str>,
}

impl<'s> Scale<'s> {
    /// # Errors
    /// Why it cannot be told, as a clause that goes on after "that".
    fn weigh(&mut self, schema: &'s Value, depth: usize) -> Result<Weight, String> {
        if depth > MAX_DEPTH {
            return Err(format!("has parts in each other more than {MAX_DEPTH} deep: make it flatter"));
        }
        let mut weight = Weight { parts: 1, depth: 1 };
        let Some(words) = schema.as_object() else { return Ok(weight) };
        self.look_at(words, depth)?;
        let mut inner: Vec<&'s Value> = Vec::new();
        for (word, value) in words {
            match (word.as_str(), value) {
                // Values, and what others are told.
                ("const" | "enum" | "default" | "example" | "examples", _) => {}
                (extension, _) if extension.starts_with("x-") => {}
                (
                    "properties" | "patternProperties" | "$defs" | "definitions" | "dependentSchemas" | "dependencies",
                    Value::Object(named),
                ) => {
                    inner.extend(named.values());
                }
                (_, Value::Array(several)) => inner.extend(several.iter().filter(|one| one.is_object() || one.is_boolean())),
                (_, Value::Object(_)) => inner.push(value),
                _ => {}
            }
        }
        let target = words.get("$ref").and_then(Value::as_str).map(|to| self.follow(to, depth)).transpose()?;
        let mut add = |one: Weight| {
            weight.parts = weight.parts.saturating_add(one.parts);
            weight.depth = weight.depth.max(one.depth.saturating_add(1));
        };
        target.into_iter().for_each(&mut add);
        for one in inner {
            add(self.weigh(one, depth + 1)?);
        }
        if ["unevaluatedProperties", "unevaluatedItems"].iter().any(|word| words.contains_key(*word)) {
            // What is in it is looked at again, to tell what was.
            weight.parts = weight.parts.saturating_mul(3);
        }
        Ok(weight)
    }

    /// Refuses words that make it another document, or lead to where nobody can tell.
    fn look_at(&mut self, words: &'s Map<String, Value>, depth: usize) -> Result<(), String> {
        let is_text = |word: &str| words.get(word).is_some_and(Value::is_string);
        if let Some(word) = ["$dynamicRef", "$recursiveRef"].into_iter().find(|word| is_text(word)) {
            return Err(format!("has a `{word}`: write a `$ref`"));
        }
        let is_old = self.document.get("$schema").and_then(Value::as_str).is_some_and(|of| of.contains("draft-04"));
        let own = ["$id", "$schema", "id"].into_iter().filter(|word| *word != "id" || is_old);
        if let Some(word) = own.filter(|_| depth > 0).find(|word| is_text(word)) {
            return Err(format!("has a part with a `{word}` of its own: leave it out"));
        }
        self.patterns.extend(words.get("pattern").and_then(Value::as_str));
        let named = words.get("patternProperties").and_then(Value::as_object);
        self.patterns.extend(named.into_iter().flat_map(Map::keys).map(String::as_str));
        Ok(())
    }

    /// What a reference leads to.
    fn follow(&mut self, to: &'s str, depth: usize) -> Result<Weight, String> {
        let shown = tamed(to, 100);
        let Some(pointer) = to.strip_prefix('#') else {
            return Err(format!("leads to another document, '{shown}': write what it needs into it, under `$defs`"));
        };
        if let Some(known) = self.known.get(pointer) {
            let fits = depth.saturating_add(known.depth) <= MAX_DEPTH;
            return if fits { Ok(*known) } else { Err(format!("has parts in each other more than {MAX_DEPTH} deep: make it flatter")) };
        }
        let document = self.document;
        let target = document.pointer(pointer).filter(|_| !pointer.contains('%') && self.is_of_document(pointer));
        let Some(target) = target else {
            return Err(format!("has the reference '{shown}', which leads nowhere: write `#/$defs/` and a name of letters and digits"));
        };
        if pointer.is_empty() || !self.open.insert(pointer) {
            return Err(format!("leads back to itself with '{shown}': say how deep it goes, or leave open what is in there"));
        }
        let weight = self.weigh(target, depth + 1)?;
        self.open.remove(pointer);
        self.known.insert(pointer, weight);
        Ok(weight)
    }

    /// Whether all that is above a place belongs to the document itself, so that references mean the same there.
    fn is_of_document(&self, pointer: &str) -> bool {
        let above = pointer.match_indices('/').map(|(at, _)| &pointer[..at]).filter(|above| !above.is_empty());
        above.filter_map(|above| self.document.pointer(above)).all(|value| value.get("$id").is_none_or(|id| !id.is_string()))
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(schema: &Value) -> String {
        is_small("a data schema", schema).err().unwrap_or_default()
    }

    #[test]
    fn a_schema_that_grows_with_each_reference_is_refused_before_anybody_opens_it() {
        let pair = |next: usize| json!({"oneOf": [{"$ref": format!("#/$defs/s{next}")}, {"$ref": format!("#/$defs/s{next}")}]});
        let mut defs: Map<String, Value> = (0..20).map(|at| (format!("s{at}"), pair(at + 1))).collect();
        defs.insert("s20".into(), json!({"type": "string"}));
        let text = told(&json!({"$defs": defs, "$ref": "#/$defs/s0"}));
        assert!(text.starts_with("answered with a data schema of "), "{text}");
        assert!(text.ends_with(" parts once its references are followed, and at most 2000 are taken: make it smaller"), "{text}");
        let nested = (0..9).fold(json!({"type": "object"}), |inner, _| json!({"unevaluatedProperties": false, "allOf": [inner]}));
        assert!(told(&nested).contains(" parts once its references are followed"));
    }

    #[test]
    fn an_ordinary_schema_is_taken_and_read_by() {
        let address = json!({"type": "object", "properties": {"zip": {"type": "string", "pattern": "^[0-9]{5}$"}}, "required": ["zip"]});
        let schema = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": "Parcel",
            "type": "object",
            "properties": {"from": {"$ref": "#/$defs/Address"}, "to": {"$ref": "#/$defs/Address"}},
            "$defs": {"Address": address},
        });
        assert_eq!(told(&schema), "");
        let reader = reader(&schema).unwrap();
        assert!(reader.is_valid(&json!({"from": {"zip": "12345"}})) && !reader.is_valid(&json!({"to": {"zip": "1"}})));
        assert_eq!(told(&json!({})), "");
        assert_eq!(told(&json!({"properties": {"$ref": {"type": "string"}}, "default": {"$ref": "no reference", "$id": "none"}})), "");
        assert_eq!(told(&json!({"properties": {"id": {"type": "string"}, "$id": {}, "pattern": {"type": "string"}}})), "");
    }

    #[test]
    fn what_leads_to_itself_or_to_where_nobody_can_tell_is_refused() {
        let long: Map<String, Value> = (0..70).map(|at| (format!("s{at}"), json!({"$ref": format!("#/$defs/s{}", at + 1)}))).collect();
        for (schema, says) in [
            (json!({"properties": {"inner": {"$ref": "#"}}}), "leads back to itself with '#'"),
            (json!({"$defs": {"a": {"items": {"$ref": "#/$defs/b"}}, "b": {"not": {"$ref": "#/$defs/a"}}}}), "leads back to itself"),
            (json!({"$ref": "#/$defs/a", "$defs": {"a": {"properties": {"next": {"$ref": "#/$defs/a"}}}}}), "leads back to itself"),
            (json!({"$ref": "https://example.com/schema"}), "leads to another document, 'https://example.com/schema'"),
            (json!({"$ref": "#/$defs/nothing"}), "'#/$defs/nothing', which leads nowhere"),
            (json!({"items": {"$dynamicRef": "#node"}}), "has a `$dynamicRef`"),
            (json!({"items": {"$id": "https://example.com/", "$ref": "#/items"}}), "has a part with a `$id` of its own"),
            (json!({"$defs": long}), "more than 64 deep"),
        ] {
            let text = told(&schema);
            assert!(text.starts_with("answered with a data schema that ") && text.contains(says), "{schema}: {text}");
            assert!(reader(&schema).is_none());
        }
    }

    #[test]
    fn patterns_are_few_and_small() {
        let fields = |count: usize| -> Map<String, Value> { (0..count).map(|at| (format!("^f{at}$"), json!({}))).collect() };
        assert_eq!(told(&json!({"patternProperties": fields(64)})), "");
        assert!(told(&json!({"patternProperties": fields(65)})).contains("of 65 patterns, and at most 64 are taken"));
        assert!(reader(&json!({"pattern": "^(([a-z]{100}){100}){100}$"})).is_none());
    }
}
