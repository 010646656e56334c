//! Units of what is stocked, who has reserved them, and the ledger of all that changed them.

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AuditEntry, IdempotencyRow, StoreError};

/// One line of a reservation: `quantity` units (1 or more) of the resource `sku`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StockLine {
    /// Id of the stocked resource.
    pub sku: String,
    /// Units.
    pub quantity: u64,
}

/// Stock of one resource; `reserved <= on_hand` always.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StockLevel {
    /// Id of the stocked resource.
    pub sku: String,
    /// Units in the warehouse, reserved ones included.
    pub on_hand: u64,
    /// Units that belong to a reservation.
    pub reserved: u64,
}

/// A line that could not be reserved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Shortage {
    /// Id of the stocked resource.
    pub sku: String,
    /// Units asked for.
    pub requested: u64,
    /// Units that were free.
    pub available: u64,
}

/// Where a reservation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReservationStatus {
    /// The units are set aside.
    Reserved,
    /// They were given back.
    Released,
    /// They have left the warehouse.
    Sold,
}

/// What a [`Commit`](super::Commit) does to the units on hand of a stocked resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stocking {
    /// Sets them unless there is a level already (seeding, and idempotent).
    First {
        /// Id of the stocked resource.
        sku: String,
        /// Units in the warehouse.
        on_hand: u64,
    },
    /// Sets them; the commit fails with [`StoreError::Short`] below what is reserved.
    Anew {
        /// Id of the stocked resource.
        sku: String,
        /// Units in the warehouse.
        on_hand: u64,
    },
}

/// What is reserved under one key, and neither sold nor given back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldReservation {
    /// The key.
    pub key: String,
    /// Units by sku.
    pub lines: BTreeMap<String, u64>,
}

impl HeldReservation {
    /// Units of all lines.
    #[must_use]
    pub fn units(&self) -> u64 {
        self.lines.values().fold(0, |sum, units| sum.saturating_add(*units))
    }
}

/// Why the ledger has a move that nobody gave a reason for.
pub(super) mod because {
    /// The first units of a sku.
    pub const FIRST: &str = "received";
    /// Its resource was written with another number.
    pub const SET: &str = "set";
    /// Its resource was removed.
    pub const REMOVED: &str = "removed";
    /// A reservation ended as sold.
    pub const SOLD: &str = "sold";
    /// A reservation was given back.
    pub const RELEASED: &str = "released";
    /// What was sold came back.
    pub const RETURNED: &str = "returned";
}

/// One line of the ledger. Of each sku the sum of `delta` is what is on hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StockMove {
    /// Grows with each move of any sku.
    pub seq: u64,
    /// Id of the stocked resource.
    pub sku: String,
    /// Units that came (more than 0) or left; 0 where only what is reserved has changed.
    pub delta: i64,
    /// Units in the warehouse after it, reserved ones included.
    pub on_hand: u64,
    /// Units that belong to a reservation after it.
    pub reserved: u64,
    /// Why: `received`, `damaged`, `counted`, `returned`, `correction`; of what the program does `received`, `sold`, `released`, `returned`, `set`, `removed`, and `opening` for what was there before there were moves.
    pub reason: String,
    /// In words of who made it.
    pub note: Option<String>,
    /// Id of the account that made it; `null` of what the program does.
    pub actor: Option<String>,
    /// The reservation, or the `Idempotency-Key`.
    pub key: Option<String>,
    /// When, as a date.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub at: Timestamp,
}

/// How a person changes the units on hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MoveBy {
    /// So many came (more than 0) or left.
    Delta(i64),
    /// So many were counted, where `expected` was what the ledger said. If it says something else by now, nothing is written.
    Counted {
        /// Units that are there.
        units: u64,
        /// Units on hand that the ledger had when they were counted.
        expected: u64,
    },
}

/// A move that a person makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMove {
    /// Id of the stocked resource; one that has no level yet has 0 units.
    pub sku: String,
    /// How.
    pub by: MoveBy,
    /// Why.
    pub reason: String,
    /// In words.
    pub note: Option<String>,
    /// Id of the account.
    pub actor: String,
    /// The request; its `resource_id` becomes the number of the move.
    pub request: Option<IdempotencyRow>,
    /// For the audit log.
    pub audit: Option<AuditEntry>,
}

/// What `by` makes of a level.
///
/// # Errors
/// [`StoreError::Short`] if fewer would be on hand than are reserved; [`Conflict::Counted`](super::Conflict::Counted).
pub(super) fn moved(level: &StockLevel, by: MoveBy) -> Result<StockLevel, StoreError> {
    let on_hand = match by {
        MoveBy::Delta(delta) => level.on_hand.checked_add_signed(delta),
        MoveBy::Counted { expected, .. } if expected != level.on_hand => {
            return Err(super::Conflict::Counted { sku: level.sku.clone(), on_hand: level.on_hand, reserved: level.reserved }.into());
        }
        MoveBy::Counted { units, .. } => Some(units),
    };
    match on_hand.filter(|on_hand| *on_hand >= level.reserved && i64::try_from(*on_hand).is_ok()) {
        Some(on_hand) => Ok(StockLevel { on_hand, ..level.clone() }),
        None => {
            let (sku, requested, available) = (level.sku.clone(), level.reserved, level.on_hand);
            Err(StoreError::Short(vec![Shortage { sku, requested, available }]))
        }
    }
}

/// For who sells from a stock, and for who looks after it. What is on hand is first set by a [`Commit`](super::Commit), together with its
/// resource. Everything that changes it writes a move of the ledger in the same transaction.
#[async_trait]
pub trait Stock: Send + Sync + 'static {
    /// Levels of all stocked resources, by sku.
    async fn stock(&self) -> Result<Vec<StockLevel>, StoreError>;
    /// Level of one.
    async fn stock_of(&self, sku: &str) -> Result<Option<StockLevel>, StoreError>;
    /// What is reserved now, by key. Looks at all reservations, so it is for who asks seldom.
    async fn reservations(&self) -> Result<Vec<HeldReservation>, StoreError>;
    /// Reserves all lines or nothing. Idempotent by `key`: the same key and lines answer the status the reservation has
    /// now and change nothing; other lines are [`StoreError::Taken`]. An unknown sku is a shortage with 0 available.
    async fn reserve(&self, key: &str, lines: &[StockLine]) -> Result<ReservationStatus, StoreError>;
    /// Gives the units back (`Released`) or takes them from the warehouse (`Sold`), once; a reservation that has ended
    /// keeps its end, and that is what is returned. Releasing an unknown key records it as released, so that a late
    /// `reserve` finds it ended; `None` for selling an unknown key.
    async fn end_reservation(&self, key: &str, end: ReservationStatus) -> Result<Option<ReservationStatus>, StoreError>;
    /// Puts units that were sold on hand again, all lines once for each `key`; false when that was done before. A sku without a level gets
    /// one.
    async fn put_back(&self, key: &str, lines: &[StockLine]) -> Result<bool, StoreError>;
    /// Makes a move by hand. [`StoreError::Short`] if fewer would be on hand than are reserved (`requested`); nothing is written then.
    async fn move_stock(&self, new: NewMove) -> Result<StockMove, StoreError>;
    /// Moves of a sku before that number, newest first, at most `limit`.
    async fn stock_moves(&self, sku: &str, before: u64, limit: usize) -> Result<Vec<StockMove>, StoreError>;
    /// Keys of the newest reservations that hold units of a sku, at most `limit`; of all reservations only the newest are looked at.
    async fn reserved_by(&self, sku: &str, limit: usize) -> Result<Vec<String>, StoreError>;
}

/// Reservations that [`Stock::reserved_by`] looks at, so that asking costs little however many there are.
pub(super) const RESERVATIONS_LOOKED_AT: usize = 10_000;

/// The lines of a reservation by sku: two lines of one sku are one of their sum.
pub(super) fn merge_lines(lines: &[StockLine]) -> BTreeMap<String, u64> {
    let mut merged = BTreeMap::new();
    for line in lines {
        let quantity: &mut u64 = merged.entry(line.sku.clone()).or_default();
        *quantity = quantity.saturating_add(line.quantity);
    }
    merged
}
