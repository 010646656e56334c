//! A YAML file as nodes, each with its place.

use saphyr::ScalarStyle;
use saphyr_parser::Tag;

use crate::config::finding::Span;

/// A node as written.
#[derive(Clone)]
pub(super) struct Node {
    pub span: Span,
    pub content: Content,
}

/// What it is.
#[derive(Clone)]
pub(super) enum Content {
    Scalar { text: String, style: ScalarStyle, tag: Option<Tag> },
    Sequence(Vec<Node>),
    Mapping(Vec<Entry>),
}

/// An entry of a mapping.
#[derive(Clone)]
pub(super) struct Entry {
    pub key: String,
    pub span: Span,
    pub value: Node,
    /// It is `<<`, unquoted.
    pub merges: bool,
}
