//! Stock, reservations and the ledger, in memory.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::super::stock::{RESERVATIONS_LOOKED_AT, because, moved};
use super::super::{
    Conflict, IdempotencyRow, NewMove, ReservationStatus, Shortage, StockLevel, StockLine, StockMove, Stocking, StoreError, merge_lines,
};
use super::state::{Aged, Reservation, State, to_micros};

/// Why a move is made, and by whom.
#[derive(Default)]
struct Why {
    reason: String,
    note: Option<String>,
    actor: Option<String>,
    key: Option<String>,
}

impl Why {
    fn of(reason: &str, actor: Option<String>) -> Self {
        Self { reason: reason.to_owned(), actor, ..Self::default() }
    }
}

impl State {
    pub(super) fn apply_stocking(&mut self, stocking: Stocking, actor: Option<String>) {
        match stocking {
            Stocking::First { sku, on_hand } => {
                if !self.stock.contains_key(&sku) {
                    self.stock.insert(sku.clone(), StockLevel { sku: sku.clone(), on_hand, reserved: 0 });
                    self.write_move(&sku, on_hand.cast_signed(), Why::of(because::FIRST, actor));
                }
            }
            Stocking::Anew { sku, on_hand } => {
                let before = self.stock.get(&sku).cloned();
                let reserved = before.as_ref().map_or(0, |level| level.reserved);
                self.stock.insert(sku.clone(), StockLevel { sku: sku.clone(), on_hand, reserved });
                let delta = on_hand.cast_signed() - before.as_ref().map_or(0, |level| level.on_hand).cast_signed();
                if delta != 0 || before.is_none() {
                    self.write_move(&sku, delta, Why::of(if before.is_some() { because::SET } else { because::FIRST }, actor));
                }
            }
        }
    }

    pub(super) fn check_stock(&self, sku: &str, on_hand: u64) -> Result<(), StoreError> {
        let reserved = self.stock.get(sku).map_or(0, |level| level.reserved);
        if reserved > on_hand {
            return Err(StoreError::Short(vec![Shortage { sku: sku.to_owned(), requested: reserved, available: on_hand }]));
        }
        Ok(())
    }

    /// Of a resource that is gone; what is reserved stays until its reservations end.
    pub(super) fn forget_stock(&mut self, sku: &str, actor: Option<String>) {
        let Some(level) = self.stock.get_mut(sku) else { return };
        let delta = level.reserved.cast_signed() - level.on_hand.cast_signed();
        level.on_hand = level.reserved;
        self.write_move(sku, delta, Why::of(because::REMOVED, actor));
        if self.stock.get(sku).is_some_and(|level| level.reserved == 0) {
            self.stock.remove(sku);
        }
    }

    /// Writes that the level of a sku, as it is now, came about by `delta`.
    fn write_move(&mut self, sku: &str, delta: i64, why: Why) {
        let Some(StockLevel { on_hand, reserved, .. }) = self.stock.get(sku) else { return };
        let Why { reason, note, actor, key } = why;
        let seq = self.stock_moves.len() as u64 + 1;
        let row =
            StockMove { seq, sku: sku.to_owned(), delta, on_hand: *on_hand, reserved: *reserved, reason, note, actor, key, at: self.date };
        self.stock_moves.push(row);
    }

    pub(super) fn move_stock(&mut self, new: NewMove) -> Result<StockMove, StoreError> {
        let NewMove { sku, by, reason, note, actor, request, audit } = new;
        let asked = request.as_ref().map(|request| (request.user.clone(), request.key.clone()));
        if let Some(existing) = asked.as_ref().and_then(|asked| self.idempotency.get(asked)) {
            return Err(Conflict::Idempotency(existing.row.clone()).into());
        }
        let before = self.stock.get(&sku).cloned().unwrap_or_else(|| StockLevel { sku: sku.clone(), on_hand: 0, reserved: 0 });
        let after = moved(&before, by)?;
        let delta = after.on_hand.cast_signed() - before.on_hand.cast_signed();
        self.stock.insert(sku.clone(), after);
        let key = request.as_ref().map(|request| request.key.clone());
        self.write_move(&sku, delta, Why { reason, note, actor: Some(actor), key });
        self.note(audit);
        let made = self.stock_moves.last().cloned().ok_or_else(|| StoreError::Fatal("a move was not written".into()))?;
        if let Some(request) = request {
            let row = IdempotencyRow { resource_id: made.seq.to_string(), ..request };
            self.idempotency.insert((row.user.clone(), row.key.clone()), Aged { written_at: self.now, row });
        }
        Ok(made)
    }

    pub(super) fn stock_moves(&self, sku: &str, before: u64, limit: usize) -> Vec<StockMove> {
        let newest_first = self.stock_moves.iter().rev().filter(|row| row.sku == sku && row.seq < before);
        newest_first.take(limit).cloned().collect()
    }

    pub(super) fn reserved_by(&self, sku: &str, limit: usize) -> Vec<String> {
        let mut keys: Vec<&String> = self.reservations.keys().collect();
        keys.sort_unstable_by(|one, other| other.cmp(one));
        let holds = |key: &&String| {
            let reservation = self.reservations.get(*key);
            reservation.is_some_and(|one| one.status == ReservationStatus::Reserved && one.lines.contains_key(sku))
        };
        keys.into_iter().take(RESERVATIONS_LOOKED_AT).filter(holds).take(limit).cloned().collect()
    }

    pub(super) fn stock(&self) -> Vec<StockLevel> {
        self.stock.values().cloned().collect()
    }

    pub(super) fn stock_of(&self, sku: &str) -> Option<StockLevel> {
        self.stock.get(sku).cloned()
    }

    pub(super) fn reserve(&mut self, key: &str, lines: &[StockLine]) -> Result<ReservationStatus, StoreError> {
        let lines = merge_lines(lines);
        if let Some(known) = self.reservations.get(key) {
            // A release that came first knew no lines: whatever is asked for now has ended.
            let released_first = known.lines.is_empty() && known.status == ReservationStatus::Released;
            return if released_first || known.lines == lines { Ok(known.status) } else { Err(StoreError::Taken("reservation")) };
        }
        let short: Vec<Shortage> = lines.iter().filter_map(|(sku, quantity)| self.shortage(sku, *quantity)).collect();
        if !short.is_empty() {
            return Err(StoreError::Short(short));
        }
        for (sku, quantity) in &lines {
            if let Some(level) = self.stock.get_mut(sku) {
                level.reserved += quantity;
            }
        }
        self.reservations.insert(key.to_owned(), Reservation { status: ReservationStatus::Reserved, lines, ended: None });
        Ok(ReservationStatus::Reserved)
    }

    fn shortage(&self, sku: &str, requested: u64) -> Option<Shortage> {
        let level = self.stock.get(sku);
        let available = level.map_or(0, |level| level.on_hand - level.reserved);
        let short = level.is_none() || requested > available;
        short.then(|| Shortage { sku: sku.to_owned(), requested, available })
    }

    /// Forgets the reservation of this key, if it has ended.
    pub(super) fn forget_reservation(&mut self, key: &str) {
        if self.reservations.get(key).is_some_and(|reservation| reservation.status != ReservationStatus::Reserved) {
            self.reservations.remove(key);
        }
    }

    pub(super) fn end_reservation(&mut self, key: &str, end: ReservationStatus) -> Option<ReservationStatus> {
        let Some(reservation) = self.reservations.get_mut(key) else {
            if end == ReservationStatus::Released {
                self.reservations.insert(key.to_owned(), Reservation { status: end, lines: BTreeMap::new(), ended: Some(self.now) });
                return Some(end);
            }
            return None;
        };
        if reservation.status != ReservationStatus::Reserved || end == ReservationStatus::Reserved {
            return Some(reservation.status);
        }
        (reservation.status, reservation.ended) = (end, Some(self.now));
        let (sold, reason) = if end == ReservationStatus::Sold { (1, because::SOLD) } else { (0, because::RELEASED) };
        for (sku, quantity) in reservation.lines.clone() {
            if let Some(level) = self.stock.get_mut(&sku) {
                level.reserved -= quantity;
                level.on_hand -= sold * quantity;
            }
            let why = Why { key: Some(key.to_owned()), ..Why::of(reason, None) };
            self.write_move(&sku, -(sold * quantity).cast_signed(), why);
        }
        Some(end)
    }

    pub(super) fn put_back(&mut self, key: &str, lines: &[StockLine]) -> bool {
        let is_of_key = |row: &StockMove| row.reason == because::RETURNED && row.actor.is_none() && row.key.as_deref() == Some(key);
        if self.stock_moves.iter().any(is_of_key) {
            return false;
        }
        for (sku, quantity) in merge_lines(lines) {
            self.stock.entry(sku.clone()).or_insert_with(|| StockLevel { sku: sku.clone(), on_hand: 0, reserved: 0 }).on_hand += quantity;
            self.write_move(&sku, quantity.cast_signed(), Why { key: Some(key.to_owned()), ..Why::of(because::RETURNED, None) });
        }
        true
    }

    /// Says what date it is.
    pub(super) fn date(&mut self, now: Timestamp) {
        self.date = to_micros(now);
    }
}
