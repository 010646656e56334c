//! Problems while they are collected: by JSON pointer, before anybody asks for lines and columns.

use std::collections::HashSet;

use super::report::{Code, Position, Severity};

/// One problem.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Finding {
    pub severity: Severity,
    pub pointer: String,
    /// It is about the key, not about its value.
    pub at_key: bool,
    pub code: Code,
    pub message: String,
    pub help: Option<String>,
}

/// All problems so far, each once.
#[derive(Debug, Default)]
pub(super) struct Findings {
    list: Vec<Finding>,
    seen: HashSet<Finding>,
}

impl Findings {
    /// Adds an error about the value at `pointer`.
    pub fn error(&mut self, pointer: impl Into<String>, code: Code, message: impl Into<String>, help: impl Into<Option<String>>) {
        self.add(Severity::Error, pointer.into(), code, message.into(), help.into());
    }

    /// Adds a warning about the value at `pointer`.
    pub fn warning(&mut self, pointer: impl Into<String>, code: Code, message: impl Into<String>, help: impl Into<Option<String>>) {
        self.add(Severity::Warning, pointer.into(), code, message.into(), help.into());
    }

    fn add(&mut self, severity: Severity, pointer: String, code: Code, message: String, help: Option<String>) {
        let finding = Finding { severity, pointer, at_key: false, code, message, help };
        if self.seen.insert(finding.clone()) {
            self.list.push(finding);
        }
    }

    /// In the sequence in which they were found.
    pub fn into_list(self) -> Vec<Finding> {
        self.list
    }
}

/// From its first character to behind its last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub start: Position,
    pub end: Position,
}

/// Its pointer may be empty: the text stands for no value. Then the span says where it is.
pub(super) type TextProblem = (Finding, Option<Span>);

/// An error in the text itself.
pub(super) fn problem(span: Span, pointer: String, code: Code, message: String, help: Option<String>) -> TextProblem {
    (Finding { severity: Severity::Error, pointer, at_key: false, code, message, help }, Some(span))
}
