//! What components keep of their own, entry by entry.

use serde::{Deserialize, Serialize};

/// What each entry counts beside the bytes of its key and value.
pub const KV_ENTRY_BYTES: u64 = 32;

/// Whose state it is: that of a component, about one instance or about none.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct KvOwner {
    /// Name of the component.
    pub component: String,
    /// Kind and id of the instance. Its state goes with it, and is kept only where the instance is.
    pub instance: Option<(String, String)>,
}

/// What becomes of an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum KvOp {
    /// It has this value.
    Set(String),
    /// It is gone.
    Delete,
    /// This is added to what is there; what is no whole number counts as 0, and a sum stops at the bounds of 64 bits.
    Add(i64),
}

/// A change of a component's state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KvRow {
    /// Whose state it is.
    pub owner: KvOwner,
    /// Key of the entry.
    pub key: String,
    /// What becomes of it.
    pub op: KvOp,
}

/// An entry of an instance's state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KvEntry {
    /// Name of the component.
    pub component: String,
    /// Its key.
    pub key: String,
    /// Its value.
    pub value: String,
}

impl KvOp {
    /// The value after it; none if there is no entry any more.
    pub(super) fn after(&self, there: Option<&str>) -> Option<String> {
        match self {
            Self::Set(value) => Some(value.clone()),
            Self::Delete => None,
            Self::Add(by) => {
                let number = there.and_then(|text| text.parse::<i64>().ok()).unwrap_or_default();
                Some(number.saturating_add(*by).to_string())
            }
        }
    }
}
