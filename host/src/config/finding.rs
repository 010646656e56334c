//! Problems while they are collected: by JSON pointer, before anybody asks for lines and columns.

use super::report::{Code, Severity};

/// One problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub severity: Severity,
    pub pointer: String,
    /// It is about the key, not about its value.
    pub at_key: bool,
    pub code: Code,
    pub message: String,
    pub help: Option<String>,
}

/// All problems so far.
#[derive(Debug, Default)]
pub(super) struct Findings(pub Vec<Finding>);

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
        if !self.0.contains(&finding) {
            self.0.push(finding);
        }
    }
}
