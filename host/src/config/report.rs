//! What is wrong with a config, and how that is shown: one line per problem, with the source, or as JSON.
//!
//! It knows positions and words, and nothing of what the words are about.

use std::fmt::Write as _;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use miette::{
    GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteDiagnostic, MietteError, MietteSpanContents, SourceCode, SourceSpan,
    SpanContents,
};
use serde::Serialize;

/// Problems that are shown with their lines: nobody reads more.
const MAX_SHOWN: usize = 100;

/// Whether a config with the problem can run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It cannot.
    Error,
    /// It can, but hardly as meant.
    Warning,
}

/// Kind of a problem, for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// The file cannot be read.
    Unreadable,
    /// Not YAML, or YAML that a config may not use.
    Syntax,
    /// A key that was already there.
    DuplicateKey,
    /// A variable that is not set, or not written as it should be.
    Expansion,
    /// A key that nothing reads.
    UnknownKey,
    /// A key that must be there.
    MissingKey,
    /// Text where a number belongs, and the like.
    WrongType,
    /// Right type, unusable value.
    InvalidValue,
    /// A name that stands for nothing, or for something of another kind.
    UnknownName,
    /// A name, route or module that may be there only once.
    Duplicate,
    /// Modules that wait for each other.
    DependencyCycle,
    /// Something that another part needs is not configured.
    MissingPart,
    /// The state machine does not make sense.
    Machine,
    /// A file or folder that is not there.
    MissingFile,
    /// The file of a component that a start would not take.
    Component,
    /// A file of what is there from the first start, which a start would not take.
    Seed,
    /// Something that nothing uses.
    Unused,
    /// A secret that is too short, known or easily guessed.
    WeakSecret,
}

/// A place in the file, both from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Position {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// Error or warning.
    pub severity: Severity,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// One behind the last character, where known.
    pub end: Option<Position>,
    /// Module that it is in, if it is in one.
    pub module: Option<String>,
    /// JSON pointer of what is wrong.
    pub pointer: String,
    /// Kind of problem.
    pub code: Code,
    /// What is wrong, with the value.
    pub message: String,
    /// What would be accepted.
    pub help: Option<String>,
}

/// Everything that is wrong with one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The file as it was named.
    pub file: PathBuf,
    /// Its text, with secrets blotted out.
    pub source: Arc<str>,
    /// By position.
    pub problems: Vec<Problem>,
}

impl Report {
    /// Whether the config cannot run.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.problems.iter().any(|p| p.severity == Severity::Error)
    }

    /// One line per problem, and one more for what would be accepted.
    #[must_use]
    pub fn lines(&self) -> String {
        let mut text = String::new();
        for problem in &self.problems {
            let severity = if problem.severity == Severity::Error { "error" } else { "warning" };
            let _ = writeln!(text, "{}:{}:{}: {severity}: {}", self.file.display(), problem.line, problem.column, problem.sentence());
            if let Some(help) = &problem.help {
                let _ = writeln!(text, "  help: {help}");
            }
        }
        text
    }

    /// Every problem under the lines it is about, for a terminal; of very many the first ones.
    #[must_use]
    pub fn pretty(&self, colour: Colour) -> String {
        let theme = if colour == Colour::Always { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
        let handler = GraphicalReportHandler::new_themed(theme).with_context_lines(1).with_width(120);
        let source = Source::new(self.file.display().to_string(), &self.source);
        let mut text = String::new();
        for problem in self.problems.iter().take(MAX_SHOWN) {
            let report = miette::Report::new(problem.diagnostic(&source)).with_source_code(source.clone());
            // Writing to a string cannot fail, but rendering can, where a span lies outside: then the line form has it all.
            if handler.render_report(&mut text, report.as_ref()).is_err() {
                let _ = writeln!(text, "{}:{}: {}", problem.line, problem.column, problem.sentence());
            }
            text.push('\n');
        }
        if let Some(more) = self.problems.len().checked_sub(MAX_SHOWN).filter(|more| *more > 0) {
            let _ = writeln!(text, "and {more} more, which --format lines tells too\n");
        }
        text
    }

    /// `{"file", "valid", "problems": [{severity, line, column, end, module, pointer, code, message, help}]}`.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::json!({ "file": self.file.display().to_string(), "valid": !self.has_errors(), "problems": self.problems })
    }
}

/// Whether a terminal's colours are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// Yes.
    Always,
    /// No.
    Never,
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.lines())
    }
}

impl std::error::Error for Report {}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.sentence())
    }
}

impl Problem {
    fn sentence(&self) -> String {
        match &self.module {
            Some(module) => format!("module '{module}': {}", self.message),
            None => self.message.clone(),
        }
    }

    fn diagnostic(&self, source: &Source) -> MietteDiagnostic {
        let range = self.bytes(source);
        let severity = if self.severity == Severity::Error { miette::Severity::Error } else { miette::Severity::Warning };
        let mut diagnostic = MietteDiagnostic::new(self.sentence()).with_severity(severity).with_label(LabeledSpan::underline(range));
        diagnostic.help.clone_from(&self.help);
        diagnostic
    }

    /// The part of its first line that the problem is about.
    fn bytes(&self, source: &Source) -> Range<usize> {
        let start = source.byte_at(Position { line: self.line, column: self.column });
        let line_end = source.text[start..].find('\n').map_or(source.text.len(), |n| start + n);
        let end = self.end.map_or(line_end, |end| source.byte_at(end)).clamp(start, line_end);
        start..end
    }
}

/// A text that knows where its lines begin, so that showing a few of them does not take a look at all.
#[derive(Debug, Clone)]
struct Source {
    name: String,
    text: Arc<str>,
    /// Byte of the beginning of each line.
    lines: Arc<[usize]>,
}

impl Source {
    fn new(name: String, text: &Arc<str>) -> Self {
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { name, text: Arc::clone(text), lines }
    }

    /// Where line number `line`, from 0, begins; the end of the text, where there is no such line.
    fn line(&self, line: usize) -> usize {
        self.lines.get(line).copied().unwrap_or(self.text.len())
    }

    /// Byte offset of a position; the end of its line, or of the text, where there is no such column or line.
    fn byte_at(&self, position: Position) -> usize {
        let (start, next) = (self.line(position.line.saturating_sub(1)), self.line(position.line));
        let line = self.text[start..next].trim_end_matches('\n');
        start + line.char_indices().nth(position.column.saturating_sub(1)).map_or(line.len(), |(byte, _)| byte)
    }
}

impl SourceCode for Source {
    fn read_span<'a>(&'a self, span: &SourceSpan, before: usize, after: usize) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let number_of = |byte: usize| self.lines.partition_point(|start| *start <= byte).saturating_sub(1);
        let first = number_of(span.offset()).saturating_sub(before);
        let last = number_of(span.offset() + span.len()) + after;
        let (from, to) = (self.line(first), self.line(last + 1));
        let window = self.text.get(from..to).ok_or(MietteError::OutOfBounds)?;
        let shifted = SourceSpan::new(span.offset().saturating_sub(from).into(), span.len());
        let part = window.read_span(&shifted, before, after)?;
        let place = SourceSpan::new((part.span().offset() + from).into(), part.span().len());
        let line = part.line() + first;
        Ok(Box::new(MietteSpanContents::new_named(self.name.clone(), part.data(), place, line, part.column(), part.line_count())))
    }
}
