//! What resources are found by, and what is counted of them.

use std::collections::BTreeSet;

/// One entry of `filterable` of an `api.handler`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filterable {
    /// The parameter of a query; of numbers with `min` or `max` before it.
    pub name: String,
    /// Field of the data, `a.b` for `b` within `a`, or within each entry of `a`.
    pub field: String,
    /// What is in the field.
    pub form: FieldForm,
}

/// `figures` of an `api.handler`: what is counted of its resources, minute by minute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figures {
    /// Field of the data with the amount.
    pub field: String,
    /// What is in it: no text.
    pub form: FieldForm,
    /// States in which a resource counts.
    pub states: BTreeSet<String>,
}

/// What the field of a [`Filterable`] holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldForm {
    /// A text.
    Text,
    /// A whole number.
    Number,
    /// An amount of money, a decimal number; asked for in minor units.
    Money,
}
