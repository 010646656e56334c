//! What the transitions of an instance have changed in its data: what a field held after one is told by what changed it next, or by the data.

use std::collections::HashMap;

use super::dependencies::Dependencies;
use super::view::{ChangeBody, HeldBody};
use crate::services::ServiceError;
use crate::store::{FieldChange, HistoryRow, Object, Resource, Was};

/// Transitions that are looked through for what came after a page of a long history; before them nothing is told.
const MOST: usize = 500;

/// What the transitions of `history` have changed, in their sequence.
pub(super) async fn of(parts: &Dependencies, resource: &Resource, history: &[HistoryRow]) -> Result<Vec<ChangeBody>, ServiceError> {
    let Some((first, last)) = history.first().zip(history.last()) else { return Ok(Vec::new()) };
    let made = parts.operations.changes(&resource.kind, &resource.id, (first.seq, u64::MAX), MOST).await?;
    let mut told = told(&made, &resource.data, |name| parts.events.is_private(&resource.kind, name));
    told.retain(|change| change.seq <= last.seq);
    Ok(told)
}

/// `made` has the newest first, and `data` is what it came to.
fn told(made: &[(u64, Vec<FieldChange>)], data: &Object, is_private: impl Fn(&str) -> bool) -> Vec<ChangeBody> {
    let mut later: HashMap<&str, HeldBody> = HashMap::new();
    let mut told = Vec::new();
    for (seq, fields) in made {
        for FieldChange { name, was } in fields.iter().rev() {
            let is_private = is_private(name);
            let now = || data.get(name).map_or_else(absent, |value| held("value", Some(value.clone())));
            let after = later.remove(name.as_str()).unwrap_or_else(now);
            let before = match was {
                Was::Absent => absent(),
                Was::NotKept => held("left_out", None),
                Was::Value(value) => held("value", Some(value.clone())),
            };
            later.insert(name, before.clone());
            let seen = |one: HeldBody| if is_private && one.is != "absent" { held("hidden", None) } else { one };
            told.push(ChangeBody { seq: *seq, field: name.clone(), before: seen(before), after: seen(after) });
        }
    }
    told.reverse();
    told
}

fn absent() -> HeldBody {
    held("absent", None)
}

fn held(is: &'static str, value: Option<serde_json::Value>) -> HeldBody {
    HeldBody { is, value }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn what_a_field_held_after_a_transition_is_what_it_held_before_the_next() {
        let change = |name: &str, was: Was| FieldChange { name: name.into(), was };
        let made = [
            (7, vec![change("reason", Was::Value(json!("declined"))), change("card", Was::NotKept), change("id", Was::Absent)]),
            (5, vec![change("reason", Was::Value(json!("expired"))), change("card", Was::Absent)]),
            (2, vec![change("reason", Was::Absent), change("long", Was::NotKept)]),
        ];
        let data = serde_json::from_value(json!({"id": "t-1", "card": "0002", "long": "short"})).unwrap();
        let told = told(&made, &data, |name| name == "card");
        let words = |held: &HeldBody| held.value.as_ref().map_or_else(|| held.is.to_owned(), Value::to_string);
        let lines: Vec<String> =
            told.iter().map(|one| format!("{} {}: {} -> {}", one.seq, one.field, words(&one.before), words(&one.after))).collect();
        let expected = [
            r#"2 reason: absent -> "expired""#,
            r#"2 long: left_out -> "short""#,
            r#"5 reason: "expired" -> "declined""#,
            "5 card: absent -> hidden",
            r#"7 reason: "declined" -> absent"#,
            "7 card: hidden -> hidden",
            r#"7 id: absent -> "t-1""#,
        ];
        assert_eq!(lines, expected);
    }
}
