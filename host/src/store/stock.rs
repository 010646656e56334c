//! Units of what is stocked, and who has reserved them.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::StoreError;

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

/// For who sells from a stock. What is on hand is set by a [`Commit`](super::Commit), together with its resource.
#[async_trait]
pub trait Stock: Send + Sync + 'static {
    /// Levels of all stocked resources, by sku.
    async fn stock(&self) -> Result<Vec<StockLevel>, StoreError>;
    /// Level of one.
    async fn stock_of(&self, sku: &str) -> Result<Option<StockLevel>, StoreError>;
    /// What is reserved now, by key. Looks at all reservations, so it is for who asks seldom.
    async fn held(&self) -> Result<Vec<HeldReservation>, StoreError>;
    /// Reserves all lines or nothing. Idempotent by `key`: the same key and lines answer the status the reservation has
    /// now and change nothing; other lines are [`StoreError::Taken`]. An unknown sku is a shortage with 0 available.
    async fn reserve(&self, key: &str, lines: &[StockLine]) -> Result<ReservationStatus, StoreError>;
    /// Gives the units back (`Released`) or takes them from the warehouse (`Sold`), once; a reservation that has ended
    /// keeps its end, and that is what is returned. Releasing an unknown key records it as released, so that a late
    /// `reserve` finds it ended; `None` for selling an unknown key.
    async fn end_reservation(&self, key: &str, end: ReservationStatus) -> Result<Option<ReservationStatus>, StoreError>;
}

/// The lines of a reservation by sku: two lines of one sku are one of their sum.
pub(super) fn merge_lines(lines: &[StockLine]) -> BTreeMap<String, u64> {
    let mut merged = BTreeMap::new();
    for line in lines {
        let quantity: &mut u64 = merged.entry(line.sku.clone()).or_default();
        *quantity = quantity.saturating_add(line.quantity);
    }
    merged
}
