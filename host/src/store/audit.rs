//! The audit log: what people with a role have done, in the commit of the deed, each row sealed with the hash of the one before.

use std::collections::BTreeSet;

use async_trait::async_trait;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::StoreError;

/// What somebody has done, or was refused, as who writes it knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditEntry {
    /// When, as a date. Kept to the microsecond.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub at: Timestamp,
    /// Who: the id of an account, or `cli:<user of the system>`.
    pub actor: String,
    /// Roles that they had then.
    pub roles: BTreeSet<String>,
    /// Whether they had just shown their password again.
    pub sudo: bool,
    /// What was done, for example `products.update`.
    pub action: String,
    /// To what: `<kind>/<id>`.
    pub subject: String,
    /// Version of the subject before; `null` where it has none or was not there.
    pub version_before: Option<u64>,
    /// Version of the subject after; `null` where it has none or is gone.
    pub version_after: Option<u64>,
    /// Why, in words of who did it.
    pub reason: Option<String>,
    /// Id of the request.
    pub request_id: Option<String>,
    /// Where the request came from.
    pub address: Option<String>,
}

/// An entry in its place. As JSON, without `hash`, it is the text that `hash` is the SHA-256 of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditRow {
    /// 1 for the first; without gaps.
    pub seq: u64,
    /// What was written.
    #[serde(flatten)]
    pub entry: AuditEntry,
    /// Hash of the row before, in hex; 64 zeros of the first.
    pub prev_hash: String,
    /// SHA-256 of this row's JSON without this field, in hex.
    pub hash: String,
}

/// Where a chain of rows ends: what the next row has to follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditChain {
    /// Number of its last row; 0 without one.
    pub seq: u64,
    /// Hash of its last row.
    pub hash: String,
}

impl Default for AuditChain {
    fn default() -> Self {
        Self { seq: 0, hash: "0".repeat(64) }
    }
}

/// The first row that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// Rows are missing before it.
    #[error("row {expected} is missing: after row {} comes row {found}", expected - 1)]
    Missing {
        /// Number that was to come.
        expected: u64,
        /// Number that came.
        found: u64,
    },
    /// It follows another row than the one that is before it.
    #[error("row {0} does not follow from the row before it")]
    Unlinked(u64),
    /// Rows are missing after it.
    #[error("the last {} rows are missing: {written} were written, and row {last} is the last", written - last)]
    Cut {
        /// Number of the last row.
        last: u64,
        /// Number that was given out last.
        written: u64,
    },
    /// Its content is not what its hash was made of.
    #[error("row {0} was changed after it was written")]
    Changed(u64),
}

impl AuditChain {
    /// Puts an entry after the last row.
    pub fn append(&mut self, mut entry: AuditEntry) -> AuditRow {
        entry.at = Timestamp::from_microsecond(entry.at.as_microsecond()).unwrap_or(entry.at);
        let (seq, prev_hash) = (self.seq + 1, std::mem::take(&mut self.hash));
        let hash = seal(seq, &entry, &prev_hash);
        *self = Self { seq, hash: hash.clone() };
        AuditRow { seq, entry, prev_hash, hash }
    }

    /// Goes on to `row`, if it is the one that follows and is as it was written.
    ///
    /// # Errors
    /// It is not, and why.
    pub fn check(&mut self, row: &AuditRow) -> Result<(), Broken> {
        if row.seq != self.seq + 1 {
            return Err(Broken::Missing { expected: self.seq + 1, found: row.seq });
        }
        if row.hash != seal(row.seq, &row.entry, &row.prev_hash) {
            return Err(Broken::Changed(row.seq));
        }
        if row.prev_hash != self.hash {
            return Err(Broken::Unlinked(row.seq));
        }
        *self = Self { seq: row.seq, hash: row.hash.clone() };
        Ok(())
    }
}

/// The hash of a row with this content.
fn seal(seq: u64, entry: &AuditEntry, prev_hash: &str) -> String {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Sealed<'a> {
        seq: u64,
        #[serde(flatten)]
        entry: &'a AuditEntry,
        prev_hash: &'a str,
    }
    // Texts, numbers and lists of texts under fixed names: there is always a JSON of them, and always the same one.
    let text = serde_json::to_vec(&Sealed { seq, entry, prev_hash }).unwrap_or_default();
    format!("{:x}", Sha256::digest(text))
}

/// Which rows to list, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditListing {
    /// Only of this actor.
    pub actor: Option<String>,
    /// Only of this action.
    pub action: Option<String>,
    /// Only about this subject.
    pub subject: Option<String>,
    /// Only before the row of this number.
    pub before: Option<u64>,
    /// At most this many.
    pub limit: usize,
}

/// For who writes of a deed that changes nothing else, and for who reads what was written. A deed that changes something brings its entry
/// along, see [`Commit::audit`](super::Commit::audit). Nothing is ever removed.
#[async_trait]
pub trait Audit: Send + Sync + 'static {
    /// Adds entries by themselves.
    async fn note(&self, entries: Vec<AuditEntry>) -> Result<(), StoreError>;
    /// Some rows, see [`AuditListing`].
    async fn audited(&self, listing: &AuditListing) -> Result<Vec<AuditRow>, StoreError>;
    /// Rows after `seq`, ascending, at most `limit`.
    async fn audited_after(&self, seq: u64, limit: usize) -> Result<Vec<AuditRow>, StoreError>;
}
