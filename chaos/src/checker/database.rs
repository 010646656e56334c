//! The program's database, as far as the invariants speak of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context as _, ensure};
use rusqlite::{Connection, Row};
use serde_json::Value;

use super::events::CONSUMER;
use crate::server::{self, Server};
use crate::stack::Databases;

/// All of it.
#[derive(Debug, Default)]
pub struct Database {
    /// Orders by their id.
    pub orders: BTreeMap<String, Order>,
    /// By account and key, the order that it stands for.
    pub keys: BTreeMap<(String, String), String>,
    /// By digest, the transitions of a machine.
    pub machines: BTreeMap<String, BTreeSet<Edge>>,
    /// In the sequence in which they were written.
    pub events: Vec<Event>,
    /// Events that wait to be published.
    pub unpublished: u64,
    /// For each consumer and event, in the sequence in which it had its effect.
    pub inbox: Vec<(String, String)>,
    /// Runs of steps and handlers.
    pub runs: Vec<Run>,
    /// By product: on hand, reserved.
    pub stock: BTreeMap<String, (i64, i64)>,
    /// By product: the sum of all moves.
    pub moves: BTreeMap<String, i64>,
    /// By order: what is reserved, and how it stands.
    pub reservations: BTreeMap<String, Reservation>,
    /// By component, the digest that is to serve.
    pub components: BTreeMap<String, String>,
    /// Messages that nobody could take.
    pub dead_letters: u64,
    /// Runs that were begun more often than they were attempted.
    pub claimed_again: u64,
}

/// An order.
#[derive(Debug)]
pub struct Order {
    /// Id of the account.
    pub owner: String,
    /// Where it is.
    pub state: String,
    /// Digest of its machine.
    pub machine: String,
    /// Whether nothing follows.
    pub finished: bool,
    /// Why a person has to look at it.
    pub attention: Option<String>,
    /// The document.
    pub data: Value,
    /// What it has passed.
    pub history: Vec<Passed>,
}

/// A transition that was made.
#[derive(Debug)]
pub struct Passed {
    /// Its place.
    pub seq: u64,
    /// Which one.
    pub edge: Edge,
    /// In microseconds since 1970 by the program's clock.
    pub at: i64,
    /// What made it.
    pub cause: String,
    /// Which component has answered.
    pub component: Option<String>,
    /// Which version of it.
    pub digest: Option<String>,
}

/// A transition of a machine.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edge {
    /// Its name.
    pub name: String,
    /// Where it begins.
    pub from: String,
    /// Where it leads.
    pub to: String,
}

/// An event of an order.
#[derive(Debug)]
pub struct Event {
    /// Its topic.
    pub topic: String,
    /// The order.
    pub order: String,
    /// Place of the transition that it tells of; 0 of the creation.
    pub seq: u64,
    /// Its own id.
    pub id: String,
}

/// A run of a step or of a handler.
#[derive(Debug)]
pub struct Run {
    /// Its idempotency key.
    pub key: String,
    /// Of which order.
    pub order: String,
    /// `step`, `task` or `undo`.
    pub kind: String,
    /// Of the module.
    pub name: String,
    /// How it stands.
    pub status: String,
}

/// What is kept back for an order.
#[derive(Debug)]
pub struct Reservation {
    /// `reserved`, `sold` or `released`.
    pub status: String,
    /// By product.
    pub lines: BTreeMap<String, i64>,
}

/// What stands in the way of a rest.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Unrest {
    /// Orders that have not ended.
    pub orders: u64,
    /// Runs that have not ended.
    pub runs: u64,
    /// Events that are not published.
    pub events: u64,
    /// Events that nobody has heard of.
    pub unheard: u64,
}

impl Database {
    /// Everything of a shop, whose stock may be in a database of its own.
    pub fn read_both(files: &Databases) -> anyhow::Result<Self> {
        let mut database = Self::read(&files.orders)?;
        if files.stock != files.orders {
            let Self { stock, moves, reservations, unpublished, dead_letters, .. } = Self::read(&files.stock)?;
            (database.stock, database.moves, database.reservations) = (stock, moves, reservations);
            database.unpublished += unpublished;
            database.dead_letters += dead_letters;
        }
        Ok(database)
    }

    /// Everything, at one moment. The file may be open elsewhere.
    pub fn read(file: &Path) -> anyhow::Result<Self> {
        let connection = Connection::open(file)?;
        let whole: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
        ensure!(whole == "ok", "the database is not whole: {whole}");
        let connection = connection.unchecked_transaction()?;
        let mut database = Self { orders: orders(&connection)?, machines: machines(&connection)?, ..Self::default() };
        database.keys =
            all(&connection, "SELECT user, key, resource_id FROM idempotency", |row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?)))?;
        database.events =
            all(&connection, "SELECT topic, key, seq, event_id FROM outbox WHERE topic LIKE 'order.%' ORDER BY position", |row| {
                Ok(Event { topic: row.get(0)?, order: row.get(1)?, seq: row.get::<_, i64>(2)?.cast_unsigned(), id: row.get(3)? })
            })?;
        database.inbox = all(&connection, "SELECT consumer, event_id FROM inbox ORDER BY sequence", |row| Ok((row.get(0)?, row.get(1)?)))?;
        database.runs =
            all(&connection, "SELECT key, resource_id, kind, name, status FROM step_runs WHERE resource_kind = 'orders'", |row| {
                Ok(Run { key: row.get(0)?, order: row.get(1)?, kind: row.get(2)?, name: row.get(3)?, status: row.get(4)? })
            })?;
        database.stock = all(&connection, "SELECT sku, on_hand, reserved FROM stock", |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?))))?;
        database.moves = all(&connection, "SELECT sku, sum(delta) FROM stock_moves GROUP BY sku", |row| Ok((row.get(0)?, row.get(1)?)))?;
        database.components = all(&connection, "SELECT component, digest FROM components", |row| Ok((row.get(0)?, row.get(1)?)))?;
        database.reservations = reservations(&connection)?;
        database.unpublished = count(&connection, "SELECT count(*) FROM unpublished")?;
        database.claimed_again = count(&connection, "SELECT count(*) FROM step_runs WHERE fence > attempt")?;
        database.dead_letters = count(&connection, "SELECT count(*) FROM dead_letters")?;
        Ok(database)
    }

    /// The order of an id.
    pub fn order(&self, id: &str) -> Option<&Order> {
        self.orders.get(id)
    }
}

impl Unrest {
    /// What stands in the way now.
    pub async fn of(databases: &Databases) -> anyhow::Result<Self> {
        match &databases.server {
            Some(server) => Self::on(server).await,
            None => Self::in_files(databases),
        }
    }

    async fn on(server: &Server) -> anyhow::Result<Self> {
        let mut orders = server.connect(server::ORDERS).await?;
        let mut stock = server.connect(server::USERS_PRODUCTS).await?;
        let unpublished = "SELECT count(*) FROM unpublished";
        Ok(Self {
            orders: Server::count(&mut orders, "SELECT count(*) FROM resources WHERE NOT finished").await?,
            runs: Server::count(&mut orders, "SELECT count(*) FROM step_runs WHERE status <> 'done'").await?,
            events: Server::count(&mut orders, unpublished).await? + Server::count(&mut stock, unpublished).await?,
            unheard: Server::count(&mut orders, &unheard()).await?,
        })
    }

    fn in_files(files: &Databases) -> anyhow::Result<Self> {
        let open = |file: &Path| -> anyhow::Result<Connection> {
            let connection = Connection::open(file)?;
            connection.busy_timeout(std::time::Duration::from_secs(5))?;
            Ok(connection)
        };
        let orders = open(&files.orders)?;
        let mut unrest = Self {
            orders: count(&orders, "SELECT count(*) FROM resources WHERE finished = 0")?,
            runs: count(&orders, "SELECT count(*) FROM step_runs WHERE status <> 'done'")?,
            events: count(&orders, "SELECT count(*) FROM unpublished")?,
            unheard: 0,
        };
        if files.stock != files.orders {
            unrest.events += count(&open(&files.stock)?, "SELECT count(*) FROM unpublished")?;
            // What Kafka has may take a while to come back.
            unrest.unheard = count(&orders, &unheard())?;
        }
        Ok(unrest)
    }

    /// Whether nothing does.
    pub fn is_over(&self) -> bool {
        *self == Self::default()
    }
}

/// Counts the events of orders that nobody has heard of.
fn unheard() -> String {
    format!(
        "SELECT count(*) FROM outbox WHERE topic LIKE 'order.%'
         AND event_id NOT IN (SELECT event_id FROM inbox WHERE consumer = '{CONSUMER}')"
    )
}

fn count(connection: &Connection, sql: &str) -> anyhow::Result<u64> {
    Ok(connection.query_row(sql, [], |row| row.get::<_, i64>(0))?.cast_unsigned())
}

fn all<T, C: FromIterator<T>>(connection: &Connection, sql: &str, read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>) -> anyhow::Result<C> {
    let mut statement = connection.prepare(sql).with_context(|| sql.to_owned())?;
    let rows = statement.query_map([], read)?;
    rows.collect::<rusqlite::Result<C>>().with_context(|| sql.to_owned())
}

fn orders(connection: &Connection) -> anyhow::Result<BTreeMap<String, Order>> {
    let mut histories: BTreeMap<i64, Vec<Passed>> = BTreeMap::new();
    let sql = "SELECT resource, seq, transition, from_state, to_state, at, cause, component, coalesce(history.digest, digests.digest)
               FROM history LEFT JOIN digests ON digests.pk = digest_pk ORDER BY resource, seq";
    let rows: Vec<(i64, Passed)> = all(connection, sql, |row| {
        let edge = Edge { name: row.get(2)?, from: row.get(3)?, to: row.get(4)? };
        let (seq, at, cause) = (row.get::<_, i64>(1)?.cast_unsigned(), row.get(5)?, row.get(6)?);
        Ok((row.get(0)?, Passed { seq, edge, at, cause, component: row.get(7)?, digest: row.get(8)? }))
    })?;
    for (resource, passed) in rows {
        histories.entry(resource).or_default().push(passed);
    }
    let sql = "SELECT pk, id, coalesce(owner, ''), state, coalesce(machine, ''), coalesce(finished, 0), attention, data
               FROM resources WHERE kind = 'orders'";
    all(connection, sql, |row| {
        let data = serde_json::from_str(&row.get::<_, String>(7)?).unwrap_or_default();
        let history = histories.remove(&row.get(0)?).unwrap_or_default();
        let (owner, state, machine) = (row.get(2)?, row.get(3)?, row.get(4)?);
        Ok((row.get(1)?, Order { owner, state, machine, finished: row.get(5)?, attention: row.get(6)?, data, history }))
    })
}

/// Transitions by the digest of their machine.
fn machines(connection: &Connection) -> anyhow::Result<BTreeMap<String, BTreeSet<Edge>>> {
    let definitions: Vec<(String, String)> =
        all(connection, "SELECT digest, definition FROM machines", |row| Ok((row.get(0)?, row.get(1)?)))?;
    definitions
        .into_iter()
        .map(|(digest, definition)| {
            let definition: Value = serde_json::from_str(&definition)?;
            let transitions = definition["transitions"].as_object().context("a machine without transitions")?;
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let edge = |(name, edge): (&String, &Value)| Edge { name: name.clone(), from: text(&edge["from"]), to: text(&edge["to"]) };
            Ok((digest, transitions.iter().map(edge).collect()))
        })
        .collect()
}

fn reservations(connection: &Connection) -> anyhow::Result<BTreeMap<String, Reservation>> {
    let mut lines: BTreeMap<String, BTreeMap<String, i64>> = BTreeMap::new();
    let rows: Vec<(String, String, i64)> =
        all(connection, "SELECT reservation, sku, quantity FROM reservation_lines", |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    for (reservation, sku, quantity) in rows {
        *lines.entry(reservation).or_default().entry(sku).or_default() += quantity;
    }
    all(connection, "SELECT key, status FROM reservations", |row| {
        let key: String = row.get(0)?;
        let lines = lines.remove(&key).unwrap_or_default();
        Ok((key, Reservation { status: row.get(1)?, lines }))
    })
}
