//! Whether what one step answers is what a later one reads, as far as their schemas say: told apart when a component is loaded, not when the
//! first instance comes to it.
//!
//! Only what is certain is refused: there is a value that the one may answer and the other does not read. A keyword that is not compared here
//! is left to the check of the data itself. A field that the one does not declare may come from anybody else.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::After;
use super::schemas::reader;
use super::slot::{Slot, Version};
use super::text::tamed;

/// Versions that are to serve together, with the components that they are of.
pub(super) type Partners = Vec<(Arc<Slot>, Arc<Version>)>;

/// Why `version` of a component does not fit those that serve the others, as a clause that goes on after the file's name.
pub(super) fn clash(slots: &BTreeMap<String, Arc<Slot>>, slot: &Slot, version: &Version) -> Option<String> {
    let others = slots.iter().filter(|(name, _)| **name != slot.settings.name);
    others.filter_map(|(_, other)| between((slot, version), (other, &*other.serving()?))).next()
}

/// The versions of other components that have to come together with `version`, since they only fit each other: each waits for another one.
/// None where it fits those that serve; no more than it takes.
///
/// # Errors
/// As of [`clash`]: there are none, or they do not fit either.
pub(super) fn partners(slots: &BTreeMap<String, Arc<Slot>>, slot: &Slot, version: &Arc<Version>) -> Result<Partners, String> {
    let Some(why) = clash(slots, slot, version) else { return Ok(Vec::new()) };
    // Who does not fit what serves another component needs what waits there. Nobody comes for any other reason, so nobody stands in the way.
    let mut partners = needed((slot, version), slots, &Partners::new(), slot).ok_or_else(|| why.clone())?;
    let mut looked_at = 0;
    while let Some((partner, theirs)) = partners.get(looked_at).cloned() {
        looked_at += 1;
        partners.extend(needed((&partner, &theirs), slots, &partners, slot).ok_or_else(|| why.clone())?);
    }
    let all: Vec<(&Slot, &Version)> = partners.iter().map(|(slot, version)| (&**slot, &**version)).chain([(slot, &**version)]).collect();
    let clashes = |(at, one): (usize, &(&Slot, &Version))| all[..at].iter().any(|other| between(*one, *other).is_some());
    if all.iter().enumerate().any(clashes) { Err(why) } else { Ok(partners) }
}

/// The versions that wait where `version` does not fit what serves, beside those that come anyway: `partners`, and one of `first`. None where
/// nothing waits.
fn needed((slot, version): (&Slot, &Version), slots: &BTreeMap<String, Arc<Slot>>, partners: &Partners, first: &Slot) -> Option<Partners> {
    let comes = |name: &String| *name == first.settings.name || partners.iter().any(|(partner, _)| partner.settings.name == *name);
    let others = slots.iter().filter(|(name, _)| !comes(name)).map(|(_, other)| other);
    let misfits = others.filter(|other| other.serving().is_some_and(|serving| between((slot, version), (other, &serving)).is_some()));
    misfits.map(|other| Some((Arc::clone(other), other.awaiting()?))).collect()
}

/// Why a version of one component does not fit one of another.
fn between((slot, version): (&Slot, &Version), (other, theirs): (&Slot, &Version)) -> Option<String> {
    let reads = behind(slot, other).find_map(|after| told(after, theirs, version, "reads what it does not get"));
    reads.or_else(|| behind(other, slot).find_map(|after| told(after, version, theirs, "answers what is not read")))
}

/// The steps of one component that come after those of another.
fn behind<'s>(later: &'s Slot, earlier: &Slot) -> impl Iterator<Item = &'s After> {
    later.settings.after.iter().filter(|after| after.component == earlier.settings.name)
}

fn told(after: &After, earlier: &Version, later: &Version, what: &str) -> Option<String> {
    let (answer, data) = (earlier.schemas.answer.as_ref()?, later.schemas.data.as_ref()?);
    let (place, why) = misfits(&answer.text, &data.text).into_iter().next()?;
    let After { earlier, step, workflow, .. } = after;
    let (place, why) = (tamed(&place, 100), tamed(&why, 300));
    Some(format!(
        "{what}: in the workflow '{workflow}' the step '{earlier}' comes before '{step}', and its `{place}` {why}: correct the answer schema \
         of the one or the data schema of the other; if both change, put both files there, and both are taken at once"
    ))
}

/// How deep objects in objects are compared.
const MAX_DEPTH: usize = 16;

/// Keywords of an answer's schema that are compared, or say nothing of values. Any other may narrow what it answers.
const COMPARED: &[&str] = &[
    "$schema",
    "$id",
    "$comment",
    "title",
    "description",
    "default",
    "examples",
    "deprecated",
    "type",
    "enum",
    "const",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "items",
    "properties",
    "required",
    "additionalProperties",
];

/// Each field of an answer that the reader does not take: its place as a JSON Pointer, and why, as a clause.
pub(super) fn misfits(answer: &Value, reads: &Value) -> Vec<(String, String)> {
    let mut found = Vec::new();
    fields(answer, reads, "", 0, &mut found);
    found
}

/// The fields of an object that both declare.
fn fields(answer: &Value, reads: &Value, place: &str, depth: usize, found: &mut Vec<(String, String)>) {
    let [Some(answered), Some(read)] = [answer, reads].map(|schema| schema.get("properties").and_then(Value::as_object)) else { return };
    for (name, reads) in read {
        let Some(answer) = answered.get(name) else { continue };
        let place = format!("{place}/{}", name.replace('~', "~0").replace('/', "~1"));
        compare(answer, reads, &place, depth + 1, found);
    }
}

fn compare(answer: &Value, reads: &Value, place: &str, depth: usize, found: &mut Vec<(String, String)>) {
    let (Some(answer_words), Some(read_words)) = (answer.as_object(), reads.as_object()) else { return };
    if depth > MAX_DEPTH {
        return;
    }
    if let Some(values) = fixed(answer_words) {
        // They are all that it answers here: each is looked at as it is.
        let Some(reader) = reader(reads) else { return };
        let refused = values.iter().find(|value| !reader.is_valid(value));
        found.extend(refused.map(|value| (place.to_owned(), format!("may be {value}, which is not read there"))));
        return;
    }
    let (given, taken) = (types(answer_words), types(read_words));
    if let (Some(given), Some(taken)) = (&given, &taken) {
        let is_taken = |one: &&str| taken.contains(one) || (*one == "integer" && taken.contains(&"number"));
        if let Some(one) = given.iter().find(|one| !is_taken(one)) {
            found.push((place.to_owned(), format!("may be of the type {one}, and {} is read", taken.join(" or "))));
            return;
        }
    }
    if answer_words.keys().any(|word| !COMPARED.contains(&word.as_str())) {
        return;
    }
    if let (Some(values), Some(given)) = (fixed(read_words), &given) {
        // Null and the two truth values are few; of all else there is another one.
        if given.iter().any(|one| !matches!(*one, "null" | "boolean")) {
            let values: Vec<String> = values.iter().map(Value::to_string).collect();
            found.push((place.to_owned(), format!("may be anything, and only {} is read", values.join(", "))));
        }
        return;
    }
    let Some(given) = given else { return };
    if let Some(why) = bounds(answer_words, read_words, &given) {
        found.push((place.to_owned(), why));
    }
    if given.contains(&"object") {
        if let Some(lacking) = lacking(answer_words, read_words) {
            found.push((format!("{place}/{lacking}"), "may be left out, and is read".to_owned()));
        }
        fields(answer, reads, place, depth, found);
    }
    if let (true, Some(answer), Some(reads)) = (given.contains(&"array"), answer.get("items"), reads.get("items")) {
        compare(answer, reads, &format!("{place}/*"), depth + 1, found);
    }
}

/// A field of an inner object, which has no other source, that is required and not always answered.
fn lacking<'r>(answer: &Map<String, Value>, reads: &'r Map<String, Value>) -> Option<&'r str> {
    let always = answer.get("required").and_then(Value::as_array);
    let mut wanted = reads.get("required")?.as_array()?.iter().filter_map(Value::as_str);
    wanted.find(|name| !always.is_some_and(|always| always.iter().any(|one| one == name)))
}

/// All values that a schema allows, if it lists them.
fn fixed(words: &Map<String, Value>) -> Option<Vec<Value>> {
    words.get("const").map(|value| vec![value.clone()]).or_else(|| words.get("enum")?.as_array().cloned())
}

/// The types that a schema allows, if it says any.
fn types(words: &Map<String, Value>) -> Option<Vec<&str>> {
    match words.get("type")? {
        Value::String(one) => Some(vec![one]),
        Value::Array(several) => Some(several.iter().filter_map(Value::as_str).collect()),
        _ => None,
    }
}

/// Bounds that the reader has and the answer has not, or wider ones.
fn bounds(answer: &Map<String, Value>, reads: &Map<String, Value>, given: &[&str]) -> Option<String> {
    const BOUNDS: [(&str, &str, bool); 6] = [
        ("number", "minimum", true),
        ("number", "maximum", false),
        ("string", "minLength", true),
        ("string", "maxLength", false),
        ("array", "minItems", true),
        ("array", "maxItems", false),
    ];
    let number = |words: &Map<String, Value>, word: &str| words.get(word).and_then(Value::as_f64);
    BOUNDS.into_iter().find_map(|(of, word, is_least)| {
        let applies = given.contains(&of) || (of == "number" && given.contains(&"integer"));
        let wanted = number(reads, word).filter(|_| applies)?;
        let exclusive = if is_least { "exclusiveMinimum" } else { "exclusiveMaximum" };
        let own = number(answer, word).or_else(|| number(answer, exclusive).filter(|_| of == "number"));
        let is_within = own.is_some_and(|own| if is_least { own >= wanted } else { own <= wanted });
        let has = own.map_or_else(|| "none".to_owned(), |own| own.to_string());
        // A length is never below 0.
        let fits = is_within || (is_least && wanted <= 0.0 && of != "number");
        (!fits).then(|| format!("has the {word} {has}, and {wanted} is read"))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(answer: &Value, reads: &Value) -> Vec<String> {
        let within = |field: &Value| json!({"type": "object", "properties": {"score": field}});
        misfits(&within(answer), &within(reads)).into_iter().map(|(place, why)| format!("{place} {why}")).collect()
    }

    #[test]
    fn what_fits_or_cannot_be_told_is_taken() {
        for (answer, reads) in [
            (json!({"type": "integer"}), json!({"type": "number"})),
            (json!({"type": "string"}), json!({"type": ["string", "null"]})),
            (json!({"enum": ["low", "high"]}), json!({"enum": ["low", "middle", "high"]})),
            (json!({"const": 5}), json!({"type": "integer", "minimum": 5})),
            (json!({"type": "number", "minimum": 0, "maximum": 1}), json!({"type": "number", "minimum": 0, "maximum": 10})),
            (json!({"type": "string", "pattern": "^(a|b)$"}), json!({"enum": ["a", "b"]})),
            (json!({}), json!({"type": "string"})),
            (json!({"type": "string"}), json!({"type": "string", "format": "date"})),
            (json!({"type": "string"}), json!({"minLength": 0})),
            (json!({"type": "array", "items": {"type": "string"}}), json!({"type": "array", "items": {}})),
            (json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}), json!({"required": ["a"]})),
        ] {
            assert_eq!(of(&answer, &reads), Vec::<String>::new(), "{answer} for {reads}");
        }
        let declared = json!({"properties": {"a": {"type": "string"}}});
        assert!(misfits(&declared, &json!({"properties": {"b": {"type": "number"}}, "required": ["b"]})).is_empty(), "others may give it");
    }

    #[test]
    fn what_cannot_fit_is_told_with_its_place() {
        for (answer, reads, told) in [
            (json!({"type": "string"}), json!({"type": "number"}), "/score may be of the type string, and number is read"),
            (json!({"type": ["string", "null"]}), json!({"type": "string"}), "/score may be of the type null, and string is read"),
            (json!({"type": "number"}), json!({"type": "integer"}), "/score may be of the type number, and integer is read"),
            (json!({"enum": ["low", "none"]}), json!({"enum": ["low"]}), "/score may be \"none\", which is not read there"),
            (json!({"type": "string"}), json!({"enum": ["a", "b"]}), "/score may be anything, and only \"a\", \"b\" is read"),
            (json!({"type": "integer"}), json!({"minimum": 1}), "/score has the minimum none, and 1 is read"),
            (json!({"type": "string", "maxLength": 9}), json!({"maxLength": 8}), "/score has the maxLength 9, and 8 is read"),
            (
                json!({"type": "array", "items": {"type": "string"}}),
                json!({"items": {"type": "object"}}),
                "/score/* may be of the type string, and object is read",
            ),
            (
                json!({"type": "object", "properties": {"a/b": {"type": "string"}}}),
                json!({"properties": {"a/b": {"type": "boolean"}}}),
                "/score/a~1b may be of the type string, and boolean is read",
            ),
            (json!({"type": "object"}), json!({"required": ["a"]}), "/score/a may be left out, and is read"),
        ] {
            assert_eq!(of(&answer, &reads), [told], "{answer} for {reads}");
        }
    }
}
