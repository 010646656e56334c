//! Every scalar of a YAML text with all the places that it stands at: those of its aliases and merge keys too, and those that a config may not
//! have. A config is read by `tree`; this is for what has to find each value as it is written.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::rc::Rc;

use saphyr::ScalarStyle;
use saphyr_parser::{Event, Parser, Span, StrInput};

use super::tree::child;

/// Mappings and lists within each other.
const MAX_DEPTH: usize = 64;
/// Values with every alias resolved.
const MAX_VALUES: usize = 100_000;
/// What brings the keys of another mapping.
const MERGE: &str = "<<";
/// Keys that tell an item of a list from the others.
const NAMES: [&str; 2] = ["name", "service"];

/// A scalar as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Written {
    pub text: String,
    /// Its bytes in the text; of a block those of its lines, without `|` and what is before it.
    pub range: Range<usize>,
    /// Where it begins, from 1.
    pub line: usize,
    pub column: usize,
    /// It is a block: `|` or `>`.
    pub block: bool,
    pub places: Vec<Standing>,
}

/// Where a scalar stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Standing {
    /// JSON pointer.
    pub pointer: String,
    /// The same with the names of list items in the place of their numbers, which stay as they are when items are moved. Nothing where an item has
    /// no name, or where the place is overridden.
    pub key: Option<String>,
}

/// The scalars of a text; nothing if it cannot be read.
pub(super) fn scalars(text: &str) -> Option<Vec<Written>> {
    if text.len() > super::tree::MAX_BYTES {
        return None;
    }
    let mut reader = Reader { scalars: Vec::new(), anchors: HashMap::new(), stack: Vec::new(), roots: Vec::new(), values: 0 };
    let bytes: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
    let mut parser = Parser::new(StrInput::new(text));
    while let Some(next) = parser.next_event() {
        let (event, span) = next.ok()?;
        reader.event(event, span, text, &bytes)?;
    }
    for root in std::mem::take(&mut reader.roots) {
        reader.place(&root, String::new(), Some(String::new()), 0)?;
    }
    Some(reader.scalars)
}

/// A scalar without its anchor and its tag, and then without what a block begins with.
fn without_properties(written: &str, properties: usize, block: bool) -> &str {
    let after_line = |text: &'_ str| text.find('\n').map_or(text.len(), |end| end + 1);
    let mut rest = written;
    for _ in 0..properties {
        rest = rest.trim_start_matches(|c: char| !c.is_whitespace()).trim_start();
        while rest.starts_with('#') {
            rest = rest[after_line(rest)..].trim_start();
        }
    }
    if properties > 0 && block { rest[after_line(rest)..].trim_start() } else { rest }
}

/// A scalar without the comment behind it, which the parser counts to it.
fn without_comment(written: &str, style: ScalarStyle) -> &str {
    let end = match style {
        ScalarStyle::Literal | ScalarStyle::Folded => None,
        ScalarStyle::Plain => {
            let comment = |(at, c): (usize, char)| (c == '#' && written[..at].ends_with(char::is_whitespace)).then_some(at);
            written.char_indices().find_map(comment)
        }
        ScalarStyle::SingleQuoted => end_of_quoted(written, '\''),
        ScalarStyle::DoubleQuoted => end_of_quoted(written, '"'),
    };
    written[..end.unwrap_or(written.len())].trim_end()
}

/// Where a text in quotes ends. A quote is escaped by a backslash in double quotes, by another one in single quotes.
fn end_of_quoted(written: &str, quote: char) -> Option<usize> {
    let mut rest = written.char_indices().skip(1).peekable();
    while let Some((at, c)) = rest.next() {
        if c == '\\' && quote == '"' {
            rest.next();
        } else if c == quote {
            let is_escaped = quote == '\'' && rest.next_if(|(_, next)| *next == quote).is_some();
            if !is_escaped {
                return Some(at + 1);
            }
        }
    }
    None
}

enum Node {
    Scalar(usize),
    List(Vec<Rc<Node>>),
    Map(Vec<Entry>),
}

struct Entry {
    key: String,
    merges: bool,
    value: Rc<Node>,
}

/// A mapping or list whose end was not read yet.
struct Open {
    anchor: usize,
    node: Node,
    /// Mappings and lists within each other that are in it.
    depth: usize,
    /// Key that waits for its value, and whether it merges.
    key: Option<(String, bool)>,
}

struct Reader {
    scalars: Vec<Written>,
    /// Each with how many mappings and lists within each other it is.
    anchors: HashMap<usize, (Rc<Node>, usize)>,
    stack: Vec<Open>,
    roots: Vec<Rc<Node>>,
    values: usize,
}

impl Reader {
    fn event(&mut self, event: Event<'_>, span: Span, text: &str, bytes: &[usize]) -> Option<()> {
        match event {
            Event::Scalar(value, style, anchor, tag) => {
                let block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
                let (start, end) = (*bytes.get(span.start.index())?, *bytes.get(span.end.index())?);
                let written = text.get(start..end)?.trim_end();
                let properties = usize::from(anchor > 0) + usize::from(tag.is_some());
                let bare = without_properties(written, properties, block);
                let begin = start + written.len() - bare.len();
                let range = begin..begin + without_comment(bare, style).len();
                let merges = value == MERGE && style == ScalarStyle::Plain;
                let (line, column) = (span.start.line().max(1), span.start.col() + 1);
                self.scalars.push(Written { text: value.into_owned(), range, line, column, block, places: Vec::new() });
                self.finish(Rc::new(Node::Scalar(self.scalars.len() - 1)), 0, anchor, merges)
            }
            Event::SequenceStart(anchor, _) => self.open(anchor, Node::List(Vec::new())),
            Event::MappingStart(anchor, _) => self.open(anchor, Node::Map(Vec::new())),
            Event::SequenceEnd | Event::MappingEnd => {
                let open = self.stack.pop()?;
                self.finish(Rc::new(open.node), open.depth + 1, open.anchor, false)
            }
            Event::Alias(anchor) => {
                let (node, depth) = self.anchors.get(&anchor)?.clone();
                self.finish(node, depth, 0, false)
            }
            _ => Some(()),
        }
    }

    fn open(&mut self, anchor: usize, node: Node) -> Option<()> {
        self.stack.push(Open { anchor, node, depth: 0, key: None });
        (self.stack.len() <= MAX_DEPTH).then_some(())
    }

    fn finish(&mut self, node: Rc<Node>, depth: usize, anchor: usize, merges: bool) -> Option<()> {
        if self.stack.len() + depth > MAX_DEPTH {
            return None;
        }
        if anchor > 0 {
            self.anchors.insert(anchor, (Rc::clone(&node), depth));
        }
        let Some(open) = self.stack.last_mut() else {
            self.roots.push(node);
            return Some(());
        };
        open.depth = open.depth.max(depth);
        match (&mut open.node, open.key.take()) {
            (Node::List(items), _) => items.push(node),
            (Node::Map(entries), Some((key, merges))) => entries.push(Entry { key, merges, value: node }),
            (Node::Map(_), None) => {
                let key = match &*node {
                    Node::Scalar(index) => self.scalars.get(*index)?.text.clone(),
                    _ => "?".to_owned(),
                };
                open.key = Some((key, merges));
            }
            (Node::Scalar(_), _) => return None,
        }
        Some(())
    }

    /// Notes where everything in a node stands.
    fn place(&mut self, node: &Node, pointer: String, key: Option<String>, depth: usize) -> Option<()> {
        self.values += 1;
        if self.values > MAX_VALUES || depth > MAX_DEPTH {
            return None;
        }
        match node {
            Node::Scalar(index) => self.scalars.get_mut(*index)?.places.push(Standing { pointer, key }),
            Node::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    let key = key.as_deref().and_then(|key| Some(child(key, &self.name(item)?)));
                    self.place(item, child(&pointer, &index.to_string()), key, depth + 1)?;
                }
            }
            Node::Map(entries) => self.place_entries(entries, &pointer, key.as_deref(), &mut HashSet::new(), depth)?,
        }
        Some(())
    }

    /// `given` are the keys of the mappings that these entries are merged into.
    fn place_entries(
        &mut self,
        entries: &[Entry],
        pointer: &str,
        key: Option<&str>,
        given: &mut HashSet<String>,
        depth: usize,
    ) -> Option<()> {
        self.values += 1;
        if self.values > MAX_VALUES || depth > MAX_DEPTH {
            return None;
        }
        let (merging, own): (Vec<&Entry>, Vec<&Entry>) = entries.iter().partition(|entry| entry.merges);
        for entry in &own {
            let key = key.filter(|_| !given.contains(&entry.key)).map(|key| child(key, &entry.key));
            self.place(&entry.value, child(pointer, &entry.key), key, depth + 1)?;
        }
        given.extend(own.iter().map(|entry| entry.key.clone()));
        for entry in merging {
            let one = [Rc::clone(&entry.value)];
            let sources = if let Node::List(items) = &*entry.value { items.as_slice() } else { &one };
            for source in sources {
                match &**source {
                    Node::Map(entries) => self.place_entries(entries, pointer, key, given, depth + 1)?,
                    other => self.place(other, child(pointer, MERGE), None, depth + 1)?,
                }
            }
        }
        Some(())
    }

    /// What tells an item of a list from the others: its name and its type.
    fn name(&self, item: &Node) -> Option<String> {
        let Node::Map(entries) = item else { return None };
        let text = |key: &str| {
            let Node::Scalar(index) = &*entries.iter().find(|entry| entry.key == key)?.value else { return None };
            Some(self.scalars.get(*index)?.text.as_str())
        };
        let name = NAMES.into_iter().find_map(|key| text(key).filter(|name| !name.is_empty()))?;
        Some(format!("{name}\n{}", text("type").unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aliases_that_nest_without_end_are_not_read() {
        let chain: String = (1..50_000).map(|i| format!("- &a{i} [*a{}]\n", i - 1)).collect();
        assert!(scalars(&format!("- &a0 []\n{chain}")).is_none());
        let many: String = (1..30).map(|i| format!("- &a{i} [*a{0}, *a{0}]\n", i - 1)).collect();
        assert!(scalars(&format!("- &a0 [x, y]\n{many}")).is_none());
        assert_eq!(scalars("- &a [x]\n- *a\n").unwrap()[0].places.len(), 2);
    }
}
