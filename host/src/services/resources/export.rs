//! What a search finds as CSV (RFC 4180), a page after the other.

use serde_json::Value;

use super::caller::Caller;
use super::service::{MAX_PAGE, Resources};
use super::view;
use crate::services::ServiceError;
use crate::store::{Matches, Object, Resource};

/// Columns that every export begins with.
const COLUMNS: [&str; 6] = ["id", "createdAt", "lastUpdate", "state", "owner", "attention"];

/// A piece of an export, and what comes after it.
pub struct Exporting {
    /// Whole lines.
    pub text: String,
    /// `None` at the end.
    pub rest: Option<Rest>,
}

/// What is left of an export.
pub struct Rest {
    resources: Resources,
    handler: String,
    caller: Caller,
    query: Vec<(String, String)>,
    cursor: Option<String>,
}

impl Rest {
    /// The next piece.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn next(self) -> Result<Exporting, ServiceError> {
        let mut query = self.query.clone();
        query.extend(self.cursor.iter().map(|cursor| ("cursor".to_owned(), cursor.clone())));
        let handler = self.resources.handler(&self.handler)?;
        let Matches { resources, next } = self.resources.found(handler, &self.caller, &query).await?;
        let fields = fields(handler.settings.filterable.iter().map(|filter| &filter.field), &handler.settings.searchable);
        let lines: String = resources.iter().map(|resource| line(resource, &fields)).collect();
        let cursor = next.map(|(at, id)| view::cursor_at(at, &id));
        let rest = cursor.map(|cursor| Self { cursor: Some(cursor), ..self });
        Ok(Exporting { text: lines, rest })
    }
}

impl Resources {
    /// The first piece of all that `query` asks for, after a line with the names of the columns.
    ///
    /// # Errors
    /// As [`Resources::search`].
    pub async fn export(&self, handler: &str, caller: &Caller, query: Vec<(String, String)>) -> Result<Exporting, ServiceError> {
        let settings = &self.handler(handler)?.settings;
        let fields = fields(settings.filterable.iter().map(|filter| &filter.field), &settings.searchable);
        let head: Vec<String> = COLUMNS.iter().map(|column| (*column).to_owned()).chain(fields).collect();
        let mut query: Vec<(String, String)> = query.into_iter().filter(|(name, _)| name != "limit" && name != "cursor").collect();
        query.push(("limit".to_owned(), MAX_PAGE.to_string()));
        let rest = Rest { resources: self.clone(), handler: handler.to_owned(), caller: caller.clone(), query, cursor: None };
        let Exporting { text, rest } = rest.next().await?;
        Ok(Exporting { text: format!("{}\r\n{text}", head.iter().map(|name| cell(name)).collect::<Vec<_>>().join(",")), rest })
    }
}

/// Fields that are exported, each once.
fn fields<'a>(filtered: impl Iterator<Item = &'a String>, searched: &'a [String]) -> Vec<String> {
    let mut fields: Vec<String> = Vec::new();
    for field in filtered.chain(searched) {
        if !fields.contains(field) {
            fields.push(field.clone());
        }
    }
    fields
}

fn line(resource: &Resource, fields: &[String]) -> String {
    let attention = resource.workflow.as_ref().and_then(|progress| progress.attention.as_deref()).unwrap_or_default();
    let owner = resource.owner.as_deref().unwrap_or_default();
    let (created, changed) = (resource.created_at.to_string(), resource.updated_at.to_string());
    let own = [resource.id.as_str(), &created, &changed, &resource.state, owner, attention].map(cell);
    let values = fields.iter().map(|field| value(&resource.data, field));
    let mut line = own.into_iter().chain(values).collect::<Vec<_>>().join(",");
    line.push_str("\r\n");
    line
}

/// What is in a field, as a cell. The entries of a list stand one after the other.
fn value(data: &Object, field: &str) -> String {
    let mut found = Vec::new();
    let mut path = field.split('.');
    if let Some(first) = path.next().and_then(|name| data.get(name)) {
        collect(first, &path.collect::<Vec<_>>(), &mut found);
    }
    match found.as_slice() {
        // A number begins no formula.
        [Value::Number(number)] => number.to_string(),
        several => {
            cell(&several.iter().map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned)).collect::<Vec<_>>().join(" "))
        }
    }
}

fn collect<'d>(value: &'d Value, path: &[&str], found: &mut Vec<&'d Value>) {
    match (value, path) {
        (Value::Null, _) => {}
        (Value::Array(entries), _) => entries.iter().for_each(|entry| collect(entry, path, found)),
        (value, []) => found.push(value),
        (Value::Object(object), [name, rest @ ..]) => object.get(*name).into_iter().for_each(|value| collect(value, rest, found)),
        _ => {}
    }
}

/// A text as a cell. What a program that calculates would take for a formula begins with an apostrophe.
fn cell(text: &str) -> String {
    let text = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text.to_owned() };
    if text.contains(['"', ',', '\r', '\n']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn no_cell_is_a_formula_and_every_text_is_one_cell() {
        for (text, written) in [
            ("plain", "plain"),
            ("=1+1", "'=1+1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("\t=1", "'\t=1"),
            ("a,b", "\"a,b\""),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
            ("=\"x\",1", "\"'=\"\"x\"\",1\""),
            ("two\nlines", "\"two\nlines\""),
        ] {
            assert_eq!(cell(text), written);
        }
    }

    #[test]
    fn a_value_is_found_where_its_field_leads() {
        let data = json!({"total": -1.5, "items": [{"sku": "a"}, {"sku": "=b"}, {}], "none": null, "list": [1, 2]});
        let data = data.as_object().unwrap();
        for (field, written) in [("total", "-1.5"), ("items.sku", "a =b"), ("none", ""), ("list", "1 2"), ("missing", ""), ("total.x", "")]
        {
            assert_eq!(value(data, field), written, "{field}");
        }
    }
}
