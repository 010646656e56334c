//! A database copied as a whole into another one, whatever back end either is of: its tables as rows of plain values, in steps of some rows, and
//! then both looked through side by side.
//!
//! It knows which tables there are and what belongs together; how a back end reads and takes rows is that back end's affair.

use std::collections::VecDeque;

use serde::Serialize;
use sha2::{Digest as _, Sha256};

/// Most rows that one step has in memory.
pub(super) const STEP_ROWS: usize = 1_000;
/// Bytes of rows after which a step ends, however few they are.
pub(super) const STEP_BYTES: usize = 4 << 20;
/// Rows of a table after which it is told how far the copy has come.
const TOLD_EVERY: u64 = 100_000;

/// A value of a row, the same in every database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cell {
    Null,
    Number(i64),
    Text(String),
}

impl Cell {
    fn bytes(&self) -> usize {
        size_of::<Self>() + if let Self::Text(text) = self { text.len() } else { 0 }
    }

    /// So that no two rows have the same bytes.
    fn add_to(&self, digest: &mut Sha256) {
        match self {
            Self::Null => digest.update([0_u8]),
            Self::Number(number) => {
                digest.update([1_u8]);
                digest.update(number.to_be_bytes());
            }
            Self::Text(text) => {
                digest.update([2_u8]);
                digest.update((text.len() as u64).to_be_bytes());
                digest.update(text);
            }
        }
    }
}

/// A row, in the sequence of its table's columns.
pub(super) type Cells = Vec<Cell>;

/// About what a row takes of memory.
pub(super) fn bytes_of(row: &[Cell]) -> usize {
    row.iter().map(Cell::bytes).sum()
}

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Number,
    Text,
    /// Yes or no: 1 or 0.
    Flag,
    /// Names in their sequence: a JSON list.
    Names,
}

/// A column.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) name: &'static str,
    pub(super) form: Form,
}

/// A table, or those of its rows that are told apart from its others.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) name: &'static str,
    pub(super) columns: &'static [Column],
    /// By which rows are read one after the other, each once: these of its columns. There is an index of them.
    pub(super) key: &'static [&'static str],
    /// The column in which the database counts the rows that are added.
    pub(super) counted: Option<&'static str>,
}

macro_rules! table {
    ($name:literal by [$($key:literal),+] $(counted $counted:literal)?: $($column:ident $form:ident),+) => {
        Table {
            name: $name,
            columns: &[$(Column { name: stringify!($column), form: Form::$form }),+],
            key: &[$($key),+],
            counted: table!(@ $($counted)?),
        }
    };
    (@) => { None };
    (@ $counted:literal) => { Some($counted) };
}

/// Of the resources that are found by a text, and by a number.
pub(super) const TEXT_KEYS: &str = "resource_keys.text";
pub(super) const NUMBER_KEYS: &str = "resource_keys.number";

/// Everything that a database keeps, but for what [`Head`] says and what is only of processes that have it open. What another one rests on comes first.
pub(super) const TABLES: &[Table] = &[
    table!("machines" by ["digest"]: digest Text, definition Text),
    table!("components" by ["component"]: component Text, digest Text),
    table!("resources" by ["pk"] counted "pk":
        pk Number, kind Text, id Text, owner Text, state Text, version Number, workflow Text, machine Text, instance Text, attention Text,
        finished Flag, created_at Number, updated_at Number, data Text, traceparent Text, touched_at Number, deadlines Text),
    table!("history" by ["resource", "seq"]:
        resource Number, seq Number, from_state Text, to_state Text, transition Text, at Number, cause Text, component Text, digest Text,
        attempt Number, reason Text, changes Text),
    table!("timers" by ["resource", "transition"]: resource Number, transition Text, version Number, due_at Number),
    table!("step_runs" by ["sequence"] counted "sequence":
        sequence Number, key Text, resource_kind Text, resource_id Text, workflow Text, kind Text, name Text, component Text, visit Number,
        attempt Number, transition Text, from_state Text, to_state Text, input Text, status Text, owner Number, fence Number, crashes Number,
        due_at Number, written_at Number, last_error Text, traceparent Text),
    table!("outbox" by ["position"]:
        position Number, written_at Number, seq Number, topic Text, key Text, event_id Text, traceparent Text, payload Text),
    table!("unpublished" by ["position"]: position Number),
    table!("inbox" by ["sequence"] counted "sequence": sequence Number, written_at Number, consumer Text, event_id Text),
    table!("waiting_events" by ["number"] counted "number":
        number Number, resource Number, kind Text, id Text, consumer Text, event_id Text, transition Text, traceparent Text, at Number),
    table!("dead_letters" by ["id"] counted "id":
        id Number, consumer Text, reason Text, at Number, position Number, seq Number, topic Text, key Text, event_id Text, traceparent Text,
        payload Text),
    table!("idempotency" by ["sequence"] counted "sequence":
        sequence Number, written_at Number, account Text, key Text, request_hash Text, resource_id Text),
    table!("holds" by ["resource"]: resource Number, kind Text, id Text, who Text, reason Text, at Number),
    table!("notes" by ["seq"] counted "seq": seq Number, kind Text, id Text, at Number, author Text, text Text),
    table!("resource_keying" by ["kind"]: kind Text, spec Text, next Number),
    table!("resource_keys.text" by ["kind", "name", "text", "created_at", "id"]: kind Text, name Text, text Text, created_at Number, id Text),
    table!("resource_keys.number" by ["kind", "name", "number", "created_at", "id"]:
        kind Text, name Text, number Number, created_at Number, id Text),
    table!("instance_state" by ["resource", "component", "key"]: resource Number, component Text, key Text, value Text),
    table!("component_state" by ["component", "key"]: component Text, key Text, value Text),
    table!("users" by ["id"]:
        id Text, name Text, email Text, email_key Text, password_hash Text, created_at Number, roles Names, disabled Flag, second_factor Text,
        epoch Number, told_epoch Number),
    table!("heard_epochs" by ["user_id"]: user_id Text, epoch Number, at Number),
    table!("password_resets" by ["digest"]: digest Text, user_id Text, expires_at Number),
    table!("audit" by ["seq"]:
        seq Number, at Number, actor Text, roles Text, sudo Flag, action Text, subject Text, version_before Number, version_after Number,
        reason Text, request_id Text, address Text, prev_hash Text, hash Text),
    table!("stock" by ["sku"]: sku Text, on_hand Number, reserved Number),
    table!("stock_moves" by ["seq"] counted "seq":
        seq Number, sku Text, delta Number, on_hand Number, reserved Number, reason Text, note Text, actor Text, key Text, at Number),
    table!("reservations" by ["key"]: key Text, status Text, ended_at Number),
    table!("reservation_lines" by ["reservation", "sku"]: reservation Text, sku Text, quantity Number),
    table!("prices" by ["resource", "version"]: resource Number, version Number, price Number, actor Text, at Number),
    table!("figures" by ["kind", "minute"]:
        kind Text, minute Number, made Number, reached Number, amount Number, gone Number, gone_amount Number),
];

impl Table {
    /// Of the table that the rows are in.
    pub(super) fn place(&self) -> &'static str {
        self.name.split('.').next().unwrap_or(self.name)
    }

    /// The key of one of its rows.
    pub(super) fn key_of<'a>(&'a self, row: &'a [Cell]) -> impl Iterator<Item = &'a Cell> {
        let place = |name: &&str| self.columns.iter().position(|column| column.name == *name);
        self.key.iter().filter_map(place).filter_map(|at| row.get(at))
    }

    /// The key of a row, for people.
    pub(super) fn shown(&self, row: &[Cell]) -> String {
        let shown = self.key_of(row).map(|cell| match cell {
            Cell::Null => "nothing".to_owned(),
            Cell::Number(number) => number.to_string(),
            Cell::Text(text) => format!("'{text}'"),
        });
        self.key.iter().zip(shown).map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>().join(", ")
    }
}

/// What a database says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) identity: String,
    /// That of the last process that had it. A copy goes on after both.
    pub(super) epoch: i64,
    /// The last position that was given out to an event that was pruned since.
    pub(super) pruned_position: i64,
    /// Whether the inbox has forgotten anything.
    pub(super) pruned_inbox: bool,
    pub(super) steady_at: i64,
    pub(super) noted_date: i64,
}

/// Why a database was not copied.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// One of the two cannot be used: which, why, and a way out.
    #[error("{0}")]
    Unusable(String),
    /// The target is not empty.
    #[error("{target} is not empty: it has {found}. {way_out}")]
    NotEmpty {
        /// The database that was to be filled.
        target: String,
        /// Tables, with how many rows each has.
        found: String,
        /// What an operator can do.
        way_out: &'static str,
    },
    /// It was read or written, and that failed.
    #[error("{0}. Nothing of the copy was kept: the target is as empty as before")]
    Failed(String),
    /// The last word was given, and what came of it is not known.
    #[error("{0}. Whether the copy was kept is not known: if the target is not empty, all of it is there")]
    Unknown(String),
    /// What was read back from the target is not what the source has.
    #[error(
        "what {target} has of '{table}' is not what the source has: {difference}. Nothing of the copy was kept: the target is as empty as before"
    )]
    Differs {
        /// The database that was to be filled.
        target: String,
        /// Name of the table.
        table: &'static str,
        /// What differs first.
        difference: String,
    },
}

/// A table that was copied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CopiedTable {
    /// Its name. What resources are found by are two, of texts and of numbers.
    pub table: &'static str,
    /// How many rows it has.
    pub rows: u64,
    /// SHA-256 of all of them, in the sequence of their keys, as they were read back from the target.
    pub sha256: String,
}

/// How far a copy has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CopyStep {
    /// So many rows of a table were added.
    Added {
        /// Name of the table.
        table: &'static str,
        /// How many so far.
        rows: u64,
    },
    /// All rows of a table were read back, and are those of the source.
    Checked(CopiedTable),
}

/// A database whose rows are read. Nobody writes to it meanwhile.
pub(super) trait Reads {
    /// What it says of itself.
    fn head(&mut self) -> Result<Head, CopyError>;
    /// How many rows a table has.
    fn count(&mut self, table: &'static Table) -> Result<u64, CopyError>;
    /// The rows after the one with the key of `after`, by their keys: as many as fit into a step, at least one if there is one.
    fn step(&mut self, table: &'static Table, after: Option<&[Cell]>) -> Result<Vec<Cells>, CopyError>;
    /// The last number that was given to a row of a table which counts them, whether that row is still there or not.
    fn last_number(&mut self, table: &'static Table) -> Result<i64, CopyError>;
}

/// A database that is copied.
pub(super) trait Leaves: Reads {
    /// Lets go of it; `is_copied` if there is another one now that has all of it.
    fn leave(self: Box<Self>, is_copied: bool);
}

/// A database that takes rows, all of them at once when it is finished.
pub(super) trait Takes: Reads {
    /// Adds rows.
    fn add(&mut self, table: &'static Table, rows: &[Cells]) -> Result<(), CopyError>;
    /// Has the next row of a table be given a number after this.
    fn count_on(&mut self, table: &'static Table, last: i64) -> Result<(), CopyError>;
    /// Has it say this of itself.
    fn set_head(&mut self, head: &Head) -> Result<(), CopyError>;
    /// Has all of it be there, durably. A target that is dropped before has nothing.
    fn finish(self: Box<Self>) -> Result<(), CopyError>;
}

/// Copies everything and compares it. What was added counts only when `to` is finished after that.
pub(super) fn copy(
    from: &mut dyn Reads,
    to: &mut dyn Takes,
    target: &str,
    tell: &mut dyn FnMut(CopyStep),
) -> Result<Vec<CopiedTable>, CopyError> {
    for table in TABLES {
        add_all(from, to, table, tell)?;
        if table.counted.is_some() {
            let last = from.last_number(table)?;
            to.count_on(table, last)?;
        }
    }
    let (source, before) = (from.head()?, to.head()?);
    let head = Head { epoch: source.epoch.max(before.epoch), ..source };
    to.set_head(&head)?;
    let differs = |table, difference| CopyError::Differs { target: target.to_owned(), table, difference };
    let found = to.head()?;
    if found != head {
        return Err(differs("process", format!("{found:?} instead of {head:?}")));
    }
    let compare = |table: &'static Table| {
        let copied = compare(from, to, table)?.map_err(|difference| differs(table.name, difference))?;
        tell(CopyStep::Checked(copied.clone()));
        Ok(copied)
    };
    TABLES.iter().map(compare).collect()
}

fn add_all(from: &mut dyn Reads, to: &mut dyn Takes, table: &'static Table, tell: &mut dyn FnMut(CopyStep)) -> Result<(), CopyError> {
    let (mut added, mut told) = (0, 0);
    let mut last: Option<Cells> = None;
    loop {
        let mut rows = from.step(table, last.as_deref())?;
        if rows.is_empty() {
            return Ok(());
        }
        to.add(table, &rows)?;
        added += rows.len() as u64;
        if added - told >= TOLD_EVERY {
            told = added;
            tell(CopyStep::Added { table: table.name, rows: added });
        }
        last = rows.pop();
    }
}

/// The rows of a table, one after the other, with a step of them in memory.
#[derive(Default)]
struct Walk {
    step: VecDeque<Cells>,
    last: Option<Cells>,
}

impl Walk {
    fn next<R: Reads + ?Sized>(&mut self, of: &mut R, table: &'static Table) -> Result<Option<Cells>, CopyError> {
        if self.step.is_empty() {
            self.step = of.step(table, self.last.as_deref())?.into();
            self.last = self.step.back().cloned();
        }
        Ok(self.step.pop_front())
    }
}

/// Looks through a table in both; what differs first, in words, if anything does.
fn compare(from: &mut dyn Reads, to: &mut dyn Takes, table: &'static Table) -> Result<Result<CopiedTable, String>, CopyError> {
    let (mut source, mut target) = (Walk::default(), Walk::default());
    let (mut rows, mut digest) = (0, Sha256::new());
    loop {
        match (source.next(from, table)?, target.next(to, table)?) {
            (None, None) => break,
            (Some(wanted), Some(found)) if wanted == found => {
                rows += 1;
                found.iter().for_each(|cell| cell.add_to(&mut digest));
            }
            (Some(wanted), Some(found)) if table.key_of(&wanted).eq(table.key_of(&found)) => {
                let differ = table.columns.iter().zip(wanted.iter().zip(&found)).filter(|(_, (wanted, found))| wanted != found);
                let names: Vec<&str> = differ.map(|(column, _)| column.name).collect();
                return Ok(Err(format!("the row of {} differs in {}", table.shown(&found), names.join(", "))));
            }
            (Some(wanted), _) => return Ok(Err(format!("the row of {} is missing", table.shown(&wanted)))),
            (None, Some(found)) => return Ok(Err(format!("there is a row of {}, which the source does not have", table.shown(&found)))),
        }
    }
    // A row that is in no step, of either, would have been missed so far.
    let (wanted, found) = (from.count(table)?, to.count(table)?);
    if (wanted, found) != (rows, rows) {
        return Ok(Err(format!("the source has {wanted} rows and the target {found}, and {rows} were compared")));
    }
    let sha256 = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Ok(CopiedTable { table: table.name, rows, sha256 }))
}

/// What of a target is not empty, in words; nothing if it is.
pub(super) fn found_in(mut count: impl FnMut(&'static Table) -> Result<u64, CopyError>) -> Result<Option<String>, CopyError> {
    let mut found = Vec::new();
    for table in TABLES {
        match count(table)? {
            0 => {}
            1 => found.push(format!("1 row in '{}'", table.name)),
            rows => found.push(format!("{rows} rows in '{}'", table.name)),
        }
    }
    Ok((!found.is_empty()).then(|| found.join(", ")))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    type Rows = HashMap<&'static str, Vec<Cells>>;

    /// A database in memory, read in steps of two rows.
    struct Memory {
        rows: Rows,
        last: HashMap<&'static str, i64>,
        head: Head,
        /// What becomes of its rows when all of them are there.
        becomes: fn(&mut Rows),
    }

    impl Memory {
        fn of(&self, table: &Table) -> &[Cells] {
            self.rows.get(table.name).map(Vec::as_slice).unwrap_or_default()
        }
    }

    impl Reads for Memory {
        fn head(&mut self) -> Result<Head, CopyError> {
            Ok(self.head.clone())
        }

        fn count(&mut self, table: &'static Table) -> Result<u64, CopyError> {
            Ok(self.of(table).len() as u64)
        }

        fn step(&mut self, table: &'static Table, after: Option<&[Cell]>) -> Result<Vec<Cells>, CopyError> {
            let rows = self.of(table);
            let place = |after: &[Cell]| rows.iter().position(|row| table.key_of(row).eq(table.key_of(after))).unwrap();
            let begin = after.map_or(0, |after| place(after) + 1);
            Ok(rows.iter().skip(begin).take(2).cloned().collect())
        }

        fn last_number(&mut self, table: &'static Table) -> Result<i64, CopyError> {
            Ok(self.last.get(table.name).copied().unwrap_or_default())
        }
    }

    impl Takes for Memory {
        fn add(&mut self, table: &'static Table, rows: &[Cells]) -> Result<(), CopyError> {
            self.rows.entry(table.name).or_default().extend_from_slice(rows);
            Ok(())
        }

        fn count_on(&mut self, table: &'static Table, last: i64) -> Result<(), CopyError> {
            self.last.insert(table.name, last);
            Ok(())
        }

        fn set_head(&mut self, head: &Head) -> Result<(), CopyError> {
            self.head = head.clone();
            (self.becomes)(&mut self.rows);
            Ok(())
        }

        fn finish(self: Box<Self>) -> Result<(), CopyError> {
            Ok(())
        }
    }

    fn empty(identity: &str, epoch: i64, becomes: fn(&mut Rows)) -> Memory {
        let identity = identity.to_owned();
        let head = Head { identity, epoch, pruned_position: epoch, pruned_inbox: true, steady_at: epoch, noted_date: epoch };
        Memory { rows: Rows::new(), last: HashMap::new(), head, becomes }
    }

    /// Five rows in each table.
    fn source() -> Memory {
        let mut source = empty("source", 3, |_| {});
        for table in TABLES {
            source.rows.insert(table.name, (1..=5).map(|number| row(table, number)).collect());
            if table.counted.is_some() {
                source.last.insert(table.name, 9);
            }
        }
        source
    }

    fn row(table: &Table, number: i64) -> Cells {
        let cell = |column: &Column| match column.form {
            Form::Number => Cell::Number(number),
            Form::Flag => Cell::Number(number % 2),
            Form::Text => Cell::Text(format!("{} {number}", column.name)),
            Form::Names => Cell::Text(format!("[\"{number}\"]")),
        };
        table.columns.iter().map(cell).collect()
    }

    #[test]
    fn a_copy_has_all_of_its_source_and_goes_on_after_both() {
        let (mut from, mut to, mut checked) = (source(), empty("target", 7, |_| {}), Vec::new());
        let copied = copy(&mut from, &mut to, "the target", &mut |step| {
            if let CopyStep::Checked(table) = step {
                checked.push(table);
            }
        });
        let copied = copied.unwrap();
        assert_eq!(copied, checked);
        let names: Vec<&str> = copied.iter().map(|table| table.table).collect();
        assert_eq!(names, TABLES.iter().map(|table| table.name).collect::<Vec<_>>());
        assert!(copied.iter().all(|table| table.rows == 5), "{copied:?}");
        assert_eq!(to.rows, from.rows);
        assert_eq!(to.last, from.last);
        assert_eq!(to.head, Head { epoch: 7, ..from.head });
    }

    fn notes(rows: &mut Rows) -> &mut Vec<Cells> {
        rows.get_mut("notes").unwrap()
    }

    /// What a copy ends with whose target has its notes like this.
    fn differs(becomes: fn(&mut Rows)) -> String {
        match copy(&mut source(), &mut empty("target", 7, becomes), "the target", &mut |_| {}) {
            Err(error @ CopyError::Differs { table: "notes", .. }) => error.to_string(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_a_target_has_otherwise_is_told_with_its_table_and_row() {
        let lost = differs(|rows| drop(notes(rows).remove(2)));
        assert!(lost.starts_with("what the target has of 'notes' is not what the source has: the row of seq 3 is missing"), "{lost}");
        let changed = differs(|rows| notes(rows)[3][5] = Cell::Null);
        assert!(changed.contains(": the row of seq 4 differs in text."), "{changed}");
        let added = differs(|rows| {
            let mut more = notes(rows)[4].clone();
            more[0] = Cell::Number(6);
            notes(rows).push(more);
        });
        assert!(added.contains(": there is a row of seq 6, which the source does not have."), "{added}");
    }
}
