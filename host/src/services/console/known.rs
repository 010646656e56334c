//! What the latest requests for many instances came to.

use std::num::NonZeroUsize;

use lru::LruCache;
use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::Serialize;

/// Results that are remembered, those of the latest requests.
const REMEMBERED: usize = 256;

/// What it came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BulkResult {
    /// Instances found, a thousand at most.
    pub count: u64,
    /// There are more, which this request leaves alone.
    pub more: bool,
    /// The first of them, as `kind/id`.
    pub first: Vec<String>,
    /// For how many it was done; none in a preview.
    pub done: u64,
    /// For which it could not be done, and why.
    pub failed: Vec<Failed>,
    /// A request with this key was answered before; nothing was done again.
    pub replayed: bool,
}

/// An instance for which it could not be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Failed {
    /// Kind of the resource.
    pub kind: String,
    /// Its id.
    pub id: String,
    /// Why.
    pub detail: String,
}

/// What the latest requests came to, by their keys.
pub(super) struct Known(pub(super) Mutex<LruCache<String, BulkResult>>);

impl Default for Known {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(NonZeroUsize::new(REMEMBERED).unwrap_or(NonZeroUsize::MIN))))
    }
}
