//! What is durable: resources, their history, the runs and timers that move them, the outbox, users, stock.
//!
//! The seam between the services and a database, one trait for each kind of user: [`Resources`], [`Instances`], [`Messages`],
//! [`Users`], [`Stock`], [`Audit`], [`Group`] and [`Operations`]. Whoever needs a part takes that part; [`open`] gives all of them as one [`Store`].
//! There are three back ends, one on a disk, one on a server and [`memory`], and one conformance suite that all pass. A back end knows rows and guards; it
//! does not know what a transition is, who may see what, or what an event means. Everything that belongs together is one
//! [`Commit`], all of it or nothing.
//!
//! Every method may be called at any time from any task; writes are answered after they are durable. A write that was begun happens
//! or not as a whole even when the caller is dropped.

mod audit;
mod changes;
mod columns;
mod commit;
mod copying;
mod figures;
mod group;
mod holds;
mod instances;
mod keys;
mod kv;
pub mod memory;
mod messages;
mod open;
mod operations;
mod postgres;
mod prepared;
mod resources;
mod sqlite;
mod stock;
mod users;
mod writer;

pub use self::audit::{Audit, AuditChain, AuditEntry, AuditListing, AuditRow, Broken};
pub use self::changes::{FieldChange, Was, changed};
pub use self::commit::{Commit, Committed, Conflict, Guard, Settled, StoreError, Touched};
pub use self::copying::{CopiedTable, CopyError, CopyStep};
pub use self::figures::{Figure, KEPT_MINUTES};
pub use self::group::{Group, Heard, Owner, SLOTS, TakenOver};
pub use self::holds::{Found, Hold, LOOKED_AT, Sighted, Sought, WaitingEvent};
pub use self::instances::{Instances, Line, PinnedTo, RunStatus, StartedBy, StepRun, Timer};
pub use self::keys::{Counted, Form, Key, KeyValue, KeysOf, Matches, Note, Search, Wanted, end_of_id, hundredths};
pub use self::kv::{KV_ENTRY_BYTES, KvEntry, KvOp, KvOwner, KvRow};
pub use self::messages::{DeadLetter, InboxRow, Messages, OutboxRow, Redriven};
#[cfg(test)]
pub(crate) use self::open::{BadDisk, open_on_a_bad_disk};
pub use self::open::{Copied, Database, Dsn, OpenError, Place, ServerError, Store, back_up, copy, offline, open, owners, restore};
pub use self::operations::{Backlog, CommitObserver, CommitStats, OLDEST_LOOKED_AT, Operations, Prunable, Refused, Space};
pub use self::resources::{HistoryRow, IdempotencyRow, Listing, Object, PriceRow, Progress, Resource, Resources};
use self::stock::merge_lines;
pub use self::stock::{HeldReservation, MoveBy, NewMove, ReservationStatus, Shortage, Stock, StockLevel, StockLine, StockMove, Stocking};
pub use self::users::{Changed, MAX_RESETS, Reset, SecondFactor, Standing, ToldEpoch, User, UserChange, Users};
