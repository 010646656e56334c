//! Cases as they are written down, and the tables that stand for many of them.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use toml::{Table, Value};

use super::target::Kind;

/// A file of cases about one thing.
pub struct Group {
    /// Name of the file.
    pub name: String,
    /// What every process of a target is started with, beside what all tests set; a group that names some has a target of its own.
    pub variables: BTreeMap<String, String>,
    /// One case after the other, as they are written.
    pub in_sequence: bool,
    pub cases: Vec<Case>,
}

/// One request, or several on one connection, and what has to come back. `README.md` beside the files says what each key means.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    pub name: String,
    #[serde(default)]
    pub why: String,
    /// `GET /path`
    pub request: Option<String>,
    /// `Name: value`, or `-Name` for one of the usual ones that is left out.
    #[serde(default)]
    pub headers: Vec<String>,
    pub body: Option<String>,
    /// Whose token it carries.
    pub r#as: Option<String>,
    /// Every byte, instead of those four.
    pub send: Option<String>,
    /// Made before, each on a connection of its own; each has to succeed.
    #[serde(default)]
    pub before: Vec<Request>,
    pub expect: Expected,
    pub expect_gateway: Option<Expected>,
    /// Answers that follow on the same connection.
    #[serde(default)]
    pub then: Vec<Expected>,
    pub only: Option<Kind>,
    #[serde(default)]
    pub says: Vec<String>,
    #[serde(default)]
    pub says_not: Vec<String>,
    /// Headers of the answer, and what each contains.
    #[serde(default)]
    pub has: BTreeMap<String, String>,
    #[serde(default)]
    pub has_not: Vec<String>,
    /// Bytes that the body of the answer may have.
    pub at_most: Option<usize>,
}

/// A request that is well-formed but for what the case is about.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    pub request: String,
    #[serde(default)]
    pub headers: Vec<String>,
    pub body: Option<String>,
    pub r#as: Option<String>,
}

impl Case {
    /// The request, unless every byte of it is given.
    pub fn request(&self) -> Option<Request> {
        let request = self.request.clone()?;
        Some(Request { request, headers: self.headers.clone(), body: self.body.clone(), r#as: self.r#as.clone() })
    }
}

/// What may come back.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Expected {
    Status(u16),
    /// `4xx`, or `closed`: the connection ends without an answer.
    Word(String),
    Any(Vec<Expected>),
}

impl Expected {
    /// Whether this status, or the end without one, is expected.
    pub fn accepts(&self, status: Option<u16>) -> bool {
        match self {
            Self::Status(wanted) => status == Some(*wanted),
            Self::Word(word) => match word.as_str() {
                "closed" => status.is_none(),
                class => status.is_some_and(|status| format!("{}xx", status / 100) == class),
            },
            Self::Any(alternatives) => alternatives.iter().any(|one| one.accepts(status)),
        }
    }

    /// Words that mean nothing.
    fn misspelt(&self) -> Option<&str> {
        match self {
            Self::Status(_) => None,
            Self::Word(word) => (!["closed", "1xx", "2xx", "3xx", "4xx", "5xx"].contains(&word.as_str())).then_some(word),
            Self::Any(alternatives) => alternatives.iter().find_map(Self::misspelt),
        }
    }
}

impl std::fmt::Display for Expected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Status(status) => write!(f, "{status}"),
            Self::Word(word) => f.write_str(word),
            Self::Any(alternatives) => {
                let alternatives: Vec<String> = alternatives.iter().map(ToString::to_string).collect();
                f.write_str(&alternatives.join(" or "))
            }
        }
    }
}

/// A file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(rename = "why")]
    _why: String,
    #[serde(default)]
    variables: BTreeMap<String, String>,
    #[serde(default)]
    in_sequence: bool,
    case: Vec<Table>,
}

/// Every file of the folder, in the sequence of their names.
pub fn read(folder: &Path) -> Vec<Group> {
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    files.iter().map(|file| group(file)).collect()
}

fn group(file: &Path) -> Group {
    let shown = file.display();
    let text = std::fs::read_to_string(file).unwrap();
    let written: Written = toml::from_str(&text).unwrap_or_else(|error| panic!("{shown}: {error}"));
    let cases = written.case.into_iter().flat_map(|table| {
        let name = table.get("name").and_then(Value::as_str).unwrap_or("a case without a name").to_owned();
        rows_of(table).into_iter().map(move |row| (name.clone(), row)).collect::<Vec<_>>()
    });
    let cases = cases.map(|(name, table)| {
        let case: Case = Value::Table(table).try_into().unwrap_or_else(|error| panic!("{shown}: '{name}': {error}"));
        for expected in case.then.iter().chain([&case.expect]).chain(&case.expect_gateway) {
            assert!(expected.misspelt().is_none(), "{shown}: '{name}' expects '{expected}', which is no status, class or `closed`");
        }
        assert!(case.send.is_some() != case.request.is_some(), "{shown}: '{name}' needs either `request` or `send`");
        case
    });
    let name = file.file_stem().unwrap().to_string_lossy().into_owned();
    Group { name, variables: written.variables, in_sequence: written.in_sequence, cases: cases.collect() }
}

/// The cases that a table stands for: one for each of its `rows` and each combination of `each`.
fn rows_of(mut table: Table) -> Vec<Table> {
    let rows = match table.remove("rows") {
        Some(Value::Array(rows)) => rows,
        None => vec![Value::Table(Table::new())],
        Some(other) => panic!("`rows` is a list of tables, not {other}"),
    };
    let each = match table.remove("each") {
        Some(Value::Table(each)) => each,
        None => Table::new(),
        Some(other) => panic!("`each` names lists, and is not {other}"),
    };
    let mut made: Vec<(Table, Table)> = rows
        .into_iter()
        .map(|row| {
            let Value::Table(row) = row else { panic!("a row is a table, not {row}") };
            let (keys, values): (Table, Table) = row.into_iter().partition(|(name, _)| is_key(name));
            let mut case = table.clone();
            case.extend(keys);
            (case, values)
        })
        .collect();
    for (name, values) in each {
        let Value::Array(values) = values else { panic!("`each.{name}` is a list, not {values}") };
        made = made
            .iter()
            .flat_map(|(case, known)| {
                let name = name.clone();
                values.iter().map(move |value| {
                    let mut known = known.clone();
                    known.insert(name.clone(), value.clone());
                    (case.clone(), known)
                })
            })
            .collect();
    }
    let made = made.into_iter().map(|(case, values)| {
        // A value may name another one.
        let values = into_table(filled(Value::Table(values.clone()), &values));
        into_table(filled(Value::Table(case), &values))
    });
    made.collect()
}

/// Whether a row says something of the case itself, rather than giving a value to put in.
fn is_key(name: &str) -> bool {
    ["expect", "expect_gateway", "then", "says", "says_not", "has", "has_not", "at_most", "why", "only", "as"].contains(&name)
}

fn into_table(value: Value) -> Table {
    match value {
        Value::Table(table) => table,
        other => panic!("not a table: {other}"),
    }
}

/// Puts the values of a row in, wherever `{name}` stands.
fn filled(value: Value, values: &Table) -> Value {
    match value {
        Value::String(text) => Value::String(values.iter().fold(text, |text, (name, value)| {
            let value = value.as_str().unwrap_or_else(|| panic!("'{name}' is a text, not {value}"));
            text.replace(&format!("{{{name}}}"), value)
        })),
        Value::Array(items) => Value::Array(items.into_iter().map(|item| filled(item, values)).collect()),
        Value::Table(table) => Value::Table(table.into_iter().map(|(name, value)| (name, filled(value, values))).collect()),
        other => other,
    }
}

#[test]
fn a_table_stands_for_every_combination_and_a_row_may_expect_something_else() {
    let table: Table = toml::from_str(
        r#"
        name = "{what} at {where}"
        request = "GET {where}"
        body = '{"a": "{value}"}'
        expect = 400
        rows = [{ what = "one", value = "1{where}" }, { what = "two", value = "2", expect = [401, "closed"] }]
        each.where = ["/a", "/b"]
        "#,
    )
    .unwrap();
    let cases: Vec<Case> = rows_of(table).into_iter().map(|row| Value::Table(row).try_into().unwrap()).collect();
    let names: Vec<&str> = cases.iter().map(|case| case.name.as_str()).collect();
    assert_eq!(names, ["one at /a", "one at /b", "two at /a", "two at /b"]);
    assert_eq!(cases[1].body.as_deref(), Some(r#"{"a": "1/b"}"#));
    assert_eq!(cases[3].body.as_deref(), Some(r#"{"a": "2"}"#));
    assert!(cases[0].expect.accepts(Some(400)) && !cases[0].expect.accepts(None));
    assert!(cases[3].expect.accepts(Some(401)) && cases[3].expect.accepts(None) && !cases[3].expect.accepts(Some(400)));
}
