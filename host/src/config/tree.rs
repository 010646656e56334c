//! A YAML file as plain values, with the position of every node and with its `${...}` expanded.
//!
//! What a config may not use is refused here: several documents, tags of one's own, keys that are not text, keys given twice,
//! values nested without end, aliases that multiply. Keys at the top that begin with `x-` are left out: they are there to be named by
//! aliases. It knows nothing of what a config means.

mod merge;
mod node;

use std::collections::{BTreeMap, HashMap};

use saphyr::{Scalar, ScalarStyle};
use saphyr_parser::{Event, Parser, ScanError, Span as YamlSpan, StrInput, Tag};
use serde_json::{Map, Number, Value};

use self::node::{Content, Entry, Node};
use super::env::Environment;
use super::expand::{ExpandError, expand};
use super::finding::{Span, TextProblem, problem};
use super::flaws;
use super::report::{Code, Position};

/// Bytes that a config may have.
pub(super) const MAX_BYTES: usize = 1 << 20;
/// Mappings and lists within each other.
const MAX_DEPTH: usize = 64;
/// How a key at the top begins that a config has for itself.
pub(super) const EXTENSION: &str = "x-";
/// Nodes with every alias resolved.
const MAX_NODES: usize = 100_000;

/// Where a node and, in a mapping, its key are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub key: Option<Span>,
    pub value: Span,
}

/// What becomes of a variable that is not set and has no default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unset {
    /// It is a problem.
    Wrong,
    /// Its place stays empty, and nothing is said about it.
    Open,
}

/// Names of variables by the pointer of the scalar that is made of them.
pub(super) type NamedVariables = BTreeMap<String, Vec<String>>;

/// A file as values.
#[derive(Default)]
pub(super) struct Tree {
    /// The values; where one could not be read, null.
    pub value: Value,
    /// Places by JSON pointer.
    pub places: HashMap<String, Place>,
    /// Plain scalars that were one expansion and became a number or a boolean: the text, in case text is wanted there.
    pub expanded_text: BTreeMap<String, String>,
    /// Variables that a scalar was made of, by its pointer: what messages call a secret by.
    pub variables: NamedVariables,
    /// Places that stay empty, because their variables are not set, each with what is wrong where these are wanted.
    pub open: BTreeMap<String, Vec<TextProblem>>,
    /// What is wrong with the text itself, and where.
    pub problems: Vec<TextProblem>,
}

/// Appends a step to a JSON pointer.
pub(super) fn child(pointer: &str, key: &str) -> String {
    format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"))
}

impl Tree {
    /// Reads one YAML document. Never fails: what is wrong is in `problems`.
    pub fn parse(text: &str, environment: &Environment, unset: Unset) -> Self {
        let mut tree = Self::default();
        if text.len() > MAX_BYTES {
            let at = text.get(..MAX_BYTES).unwrap_or_default();
            let start = Position { line: at.matches('\n').count() + 1, column: 1 };
            tree.problems.push(problem(
                Span { start, end: start },
                String::new(),
                Code::Syntax,
                format!("a config has {MAX_BYTES} bytes at most"),
                None,
            ));
            return tree;
        }
        let Some(mut node) = Builder::run(text, &mut tree.problems) else { return tree };
        let beside = take_extensions(&mut node);
        tree.value = tree.lower(&node, None, String::new(), &Variables { environment, unset });
        // Only where they are matters: what nothing names may be as wrong as it likes.
        let mut extensions = Self::default();
        for entry in beside {
            extensions.lower(&entry.value, Some(entry.span), child("", &entry.key), &Variables { environment, unset: Unset::Open });
        }
        tree.places.extend(extensions.places);
        tree
    }

    /// Turns a node into a value, noting where it is.
    fn lower(&mut self, node: &Node, key: Option<Span>, pointer: String, variables: &Variables<'_>) -> Value {
        self.places.insert(pointer.clone(), Place { key, value: node.span });
        match &node.content {
            Content::Sequence(items) => {
                let items = items.iter().enumerate().map(|(i, item)| self.lower(item, None, child(&pointer, &i.to_string()), variables));
                Value::Array(items.collect())
            }
            Content::Mapping(entries) => {
                let entries =
                    entries.iter().map(|e| (e.key.clone(), self.lower(&e.value, Some(e.span), child(&pointer, &e.key), variables)));
                Value::Object(entries.collect::<Map<_, _>>())
            }
            Content::Scalar { text, style, tag } => self.scalar(text, *style, tag.as_ref(), node.span, pointer, variables),
        }
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        tag: Option<&Tag>,
        span: Span,
        pointer: String,
        variables: &Variables<'_>,
    ) -> Value {
        if !text.contains('$') {
            self.problems.extend(flaws::of_text(text, span, &pointer));
            return self.resolve(text, style, tag, span, pointer);
        }
        let expanded = expand(text, variables.environment);
        if let Ok(expanded) = &expanded {
            let flaws = flaws::of_expanded(text, expanded, variables.environment, span, &pointer);
            self.problems.extend(flaws);
            self.variables.insert(pointer.clone(), expanded.names.clone());
        }
        match expanded {
            Ok(expanded) if expanded.whole && style == ScalarStyle::Plain => match Scalar::parse_from_cow(expanded.text.as_str().into()) {
                Scalar::Null | Scalar::String(_) => Value::String(expanded.text),
                _ => {
                    let value = self.resolve(&expanded.text, style, tag, span, pointer.clone());
                    self.expanded_text.insert(pointer, expanded.text);
                    value
                }
            },
            Ok(expanded) => Value::String(expanded.text),
            Err(mut errors) => {
                if variables.unset == Unset::Open {
                    let unset = errors.extract_if(.., |error| matches!(error, ExpandError::Unset(_)));
                    let unset = unset.map(|error| expansion_problem(error, span, &pointer)).collect();
                    self.open.insert(pointer.clone(), unset);
                }
                self.problems.extend(errors.into_iter().map(|e| expansion_problem(e, span, &pointer)));
                Value::Null
            }
        }
    }

    fn resolve(&mut self, text: &str, style: ScalarStyle, tag: Option<&Tag>, span: Span, pointer: String) -> Value {
        let tag = tag.cloned().map(std::borrow::Cow::Owned);
        let number = match Scalar::parse_from_cow_and_metadata(text.into(), style, tag.as_ref()) {
            Some(Scalar::Null) => return Value::Null,
            Some(Scalar::Boolean(b)) => return Value::Bool(b),
            Some(Scalar::Integer(i)) => return Value::Number(i.into()),
            Some(Scalar::String(s)) => return Value::String(s.into_owned()),
            Some(Scalar::FloatingPoint(f)) => number(f.into_inner()),
            None => None,
        };
        number.map(Value::Number).unwrap_or_else(|| {
            let message = format!("'{text}' is not a value that a config can hold");
            self.problems.push(problem(span, pointer, Code::Syntax, message, None));
            Value::Null
        })
    }
}

/// Where expansions are looked up.
struct Variables<'e> {
    environment: &'e Environment,
    unset: Unset,
}

/// Takes the keys out of the top that are there only to be named elsewhere.
fn take_extensions(root: &mut Node) -> Vec<Entry> {
    match &mut root.content {
        Content::Mapping(entries) => {
            let (extensions, rest) = std::mem::take(entries).into_iter().partition(|entry| entry.key.starts_with(EXTENSION));
            *entries = rest;
            extensions
        }
        _ => Vec::new(),
    }
}

/// A JSON number; whole ones without a fraction, so that `10.0` is a count as well as `10`.
#[expect(clippy::cast_possible_truncation, reason = "checked to be whole and within the range that a float holds exactly")]
fn number(float: f64) -> Option<Number> {
    if float.fract() == 0.0 && float.abs() < 9e15 { Some(Number::from(float as i64)) } else { Number::from_f64(float) }
}

fn expansion_problem(error: ExpandError, span: Span, pointer: &str) -> TextProblem {
    let key = pointer.rsplit('/').next().unwrap_or_default();
    let (message, help) = match error {
        ExpandError::Unset(name) if key == "secret" => (
            format!("`{key}` needs the environment variable {name}, which is not set"),
            format!("make one with: export {name}=\"$(openssl rand -base64 48)\"; every process that shares the tokens needs the same"),
        ),
        ExpandError::Unset(name) => (
            format!("`{key}` needs the environment variable {name}, which is not set"),
            format!("set it, or give a default: ${{{name}:-...}}"),
        ),
        ExpandError::Malformed(found) => (
            format!("`{key}` has '{found}', which is not an expansion"),
            "write ${NAME} or ${NAME:-default}; $$ is a dollar sign".to_owned(),
        ),
    };
    problem(span, pointer.to_owned(), Code::Expansion, message, Some(help))
}

/// A mapping or list whose end was not read yet.
struct Open {
    node: Node,
    anchor: usize,
    /// Key that waits for its value; `None` in a list, or when a key comes next.
    key: Option<Key>,
    /// Lines of the keys so far.
    keys: HashMap<String, usize>,
    /// Keys that were refused still take their value.
    refused: bool,
}

/// A key without its value.
struct Key {
    text: String,
    span: Span,
    merges: bool,
}

/// Builds nodes from the parser's events.
struct Builder<'p> {
    problems: &'p mut Vec<TextProblem>,
    stack: Vec<Open>,
    anchors: HashMap<usize, (Node, Size)>,
    nodes: usize,
    root: Option<Node>,
}

/// The rest of the file cannot be read.
struct GiveUp;

impl<'p> Builder<'p> {
    fn run(text: &str, problems: &'p mut Vec<TextProblem>) -> Option<Node> {
        let mut builder = Self { problems, stack: Vec::new(), anchors: HashMap::new(), nodes: 0, root: None };
        let mut parser = Parser::new(StrInput::new(text));
        let mut documents = 0;
        while let Some(next) = parser.next_event() {
            let (event, span) = match next {
                Ok(next) => next,
                Err(error) => {
                    builder.scan_error(&error);
                    return None;
                }
            };
            let span = convert(span);
            if matches!(event, Event::DocumentStart(_)) {
                documents += 1;
                if documents > 1 {
                    builder.problem(span, Code::Syntax, "a second document begins here, but a config is one document", None);
                    break;
                }
            }
            if builder.event(event, span).is_err() {
                return None;
            }
        }
        if builder.root.is_none() {
            let start = Position { line: 1, column: 1 };
            builder.problem(Span { start, end: start }, Code::Syntax, "the file is empty", Some("a config has `modules:` at its top"));
        }
        builder.root
    }

    fn problem(&mut self, span: Span, code: Code, message: &str, help: Option<&str>) {
        self.problems.push(problem(span, String::new(), code, message.to_owned(), help.map(str::to_owned)));
    }

    fn scan_error(&mut self, error: &ScanError) {
        let start = Position { line: error.marker().line().max(1), column: error.marker().col() + 1 };
        self.problem(Span { start, end: start }, Code::Syntax, &format!("not YAML: {}", error.info()), None);
    }

    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), GiveUp> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let tag = self.check_tag(tag.as_deref(), span);
                self.finish(Node { span, content: Content::Scalar { text: text.into_owned(), style, tag } }, anchor, 1)
            }
            Event::SequenceStart(anchor, tag) => {
                self.check_tag(tag.as_deref(), span);
                self.open(Content::Sequence(Vec::new()), anchor, span)
            }
            Event::MappingStart(anchor, tag) => {
                self.check_tag(tag.as_deref(), span);
                self.open(Content::Mapping(Vec::new()), anchor, span)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(span),
            Event::Alias(anchor) => self.alias(anchor, span),
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) | Event::DocumentEnd => Ok(()),
        }
    }

    fn check_tag(&mut self, tag: Option<&Tag>, span: Span) -> Option<Tag> {
        let tag = tag?;
        if tag.is_yaml_core_schema() {
            return Some(tag.clone());
        }
        self.problem(span, Code::Syntax, &format!("tag '{tag}' means nothing here"), Some("remove it"));
        None
    }

    fn open(&mut self, content: Content, anchor: usize, span: Span) -> Result<(), GiveUp> {
        self.check_depth(1, span)?;
        self.stack.push(Open { node: Node { span, content }, anchor, key: None, keys: HashMap::new(), refused: false });
        Ok(())
    }

    /// Whether something of this depth may stand here: everything after this walks the values recursively.
    fn check_depth(&mut self, depth: usize, span: Span) -> Result<(), GiveUp> {
        if self.stack.len() + depth > MAX_DEPTH {
            self.problem(span, Code::Syntax, &format!("nested more than {MAX_DEPTH} levels deep"), None);
            return Err(GiveUp);
        }
        Ok(())
    }

    fn close(&mut self, span: Span) -> Result<(), GiveUp> {
        let Some(mut open) = self.stack.pop() else { return Err(GiveUp) };
        // The end of a block is found at the next token, which may be lines below; of a flow, at its bracket.
        open.node.span.end = match last_end(&open.node.content) {
            Some(end) if span.start == span.end => end,
            _ => span.end,
        };
        if let Content::Mapping(entries) = &mut open.node.content
            && entries.iter().any(|entry| entry.merges)
        {
            let (merged, wrong) = merge::resolve(std::mem::take(entries));
            *entries = merged;
            for span in wrong {
                self.problem(
                    span,
                    Code::Syntax,
                    "`<<` takes keys from a mapping, and this is none",
                    Some("write <<: *name, where another place has &name"),
                );
            }
        }
        self.finish(open.node, open.anchor, 1)
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Result<(), GiveUp> {
        let Some((node, size)) = self.anchors.get(&anchor).cloned() else {
            self.problem(span, Code::Syntax, "an alias may not stand within what it names", None);
            return Err(GiveUp);
        };
        self.check_depth(size.depth, span)?;
        self.finish(Node { span, content: node.content }, 0, size.nodes)
    }

    /// Puts a complete node where it belongs. `size` is how many nodes it brings that were not counted yet.
    fn finish(&mut self, node: Node, anchor: usize, size: usize) -> Result<(), GiveUp> {
        self.nodes += size;
        if self.nodes > MAX_NODES {
            self.problem(node.span, Code::Syntax, &format!("more than {MAX_NODES} values, aliases counted"), None);
            return Err(GiveUp);
        }
        if anchor > 0 {
            self.anchors.insert(anchor, (node.clone(), Size::of(&node.content)));
        }
        let Some(open) = self.stack.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match (&mut open.node.content, open.key.take()) {
            (Content::Sequence(items), _) => items.push(node),
            (Content::Mapping(_), None) if !open.refused => self.key(node),
            (Content::Mapping(entries), Some(Key { text, span, merges })) => entries.push(Entry { key: text, span, value: node, merges }),
            (Content::Mapping(_), None) => open.refused = false,
            (Content::Scalar { .. }, _) => return Err(GiveUp),
        }
        Ok(())
    }

    /// Takes a key of the mapping on top.
    fn key(&mut self, node: Node) {
        let span = node.span;
        let accepted = match &node.content {
            Content::Scalar { text, style, tag } if is_text(text, *style, tag.as_ref()) => {
                let merges = text == merge::KEY && *style == ScalarStyle::Plain;
                self.unused_key(text, span).map(|text| Key { text, span, merges })
            }
            Content::Scalar { text, .. } => {
                Err((Code::Syntax, format!("key '{text}' is not text"), Some(format!("put it in quotes: \"{text}\""))))
            }
            _ => Err((Code::Syntax, "a mapping or list cannot be a key".to_owned(), None)),
        };
        match accepted {
            Ok(key) => {
                if let Some(open) = self.stack.last_mut() {
                    open.key = Some(key);
                }
            }
            Err((code, message, help)) => {
                self.problem(span, code, &message, help.as_deref());
                if let Some(open) = self.stack.last_mut() {
                    open.refused = true;
                }
            }
        }
    }

    fn unused_key(&mut self, key: &str, span: Span) -> Result<String, (Code, String, Option<String>)> {
        let Some(open) = self.stack.last_mut() else { return Ok(key.to_owned()) };
        if let Some(first) = open.keys.get(key) {
            return Err((Code::DuplicateKey, format!("key `{key}` was already given on line {first}"), None));
        }
        open.keys.insert(key.to_owned(), span.start.line);
        Ok(key.to_owned())
    }
}

fn is_text(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> bool {
    let tag = tag.cloned().map(std::borrow::Cow::Owned);
    matches!(Scalar::parse_from_cow_and_metadata(text.into(), style, tag.as_ref()), Some(Scalar::String(_)))
}

fn last_end(content: &Content) -> Option<Position> {
    match content {
        Content::Scalar { .. } => None,
        Content::Sequence(items) => items.last().map(|item| item.span.end),
        Content::Mapping(entries) => entries.last().map(|entry| entry.value.span.end),
    }
}

/// How much a node brings with it.
#[derive(Clone, Copy)]
struct Size {
    /// With itself.
    nodes: usize,
    /// Mappings and lists within each other, itself included.
    depth: usize,
}

impl Size {
    fn of(content: &Content) -> Self {
        let within: Vec<Self> = match content {
            Content::Scalar { .. } => return Self { nodes: 1, depth: 0 },
            Content::Sequence(items) => items.iter().map(|item| Self::of(&item.content)).collect(),
            Content::Mapping(entries) => entries.iter().map(|entry| Self::of(&entry.value.content)).collect(),
        };
        let nodes = within.iter().map(|size| size.nodes).sum::<usize>();
        Self { nodes: nodes + 1, depth: within.iter().map(|size| size.depth).max().unwrap_or(0) + 1 }
    }
}

fn convert(span: YamlSpan) -> Span {
    let position = |marker: saphyr::Marker| Position { line: marker.line().max(1), column: marker.col() + 1 };
    Span { start: position(span.start), end: position(span.end) }
}
