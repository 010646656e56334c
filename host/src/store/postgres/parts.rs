//! Statements that are put together of parts, each with its values: `?` stands for the next one.

use sqlx::AssertSqlSafe;

use super::unit::Statement;

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Number(i64),
    Text(String),
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// A part of a statement, and what its question marks stand for in their sequence. No text in it has a question mark of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) sql: String,
    pub(super) values: Vec<Value>,
}

impl Part {
    pub(super) fn new(sql: impl Into<String>, values: impl IntoIterator<Item = Value>) -> Self {
        Self { sql: sql.into(), values: values.into_iter().collect() }
    }

    /// All of them.
    pub(super) fn all(parts: impl IntoIterator<Item = Self>) -> Self {
        parts
            .into_iter()
            .reduce(|all, part| Self::new(format!("{} AND {}", all.sql, part.sql), [all.values, part.values].concat()))
            .unwrap_or_default()
    }

    /// The statement that it is.
    pub(super) fn statement(self) -> Statement<'static> {
        let mut sql = String::with_capacity(self.sql.len() + self.values.len() * 2);
        for (at, piece) in self.sql.split('?').enumerate() {
            if at > 0 {
                sql.push_str(&format!("${at}"));
            }
            sql.push_str(piece);
        }
        self.values.into_iter().fold(sqlx::query(AssertSqlSafe(sql)), |statement, value| match value {
            Value::Number(number) => statement.bind(number),
            Value::Text(text) => statement.bind(text),
        })
    }
}
