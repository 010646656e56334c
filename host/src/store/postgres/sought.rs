//! Looking for instances whatever they are, the newest first. One thing that is asked for leads: its index is walked in the sequence of creation,
//! and the rest is looked up of each. A look ends after so many, and says where to go on: what no index tells, such as a part of an id, may be true
//! of none of millions.

use futures::TryStreamExt as _;
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{Error, Row as _};

use super::super::{Found, Hold, Sighted, Sought};
use super::columns::{micros, time, time_of};
use super::parts::{Part, Value};
use super::resources::{columns, resource_row};
use super::unit::sql;

/// Unfinished instances up to which they are few: all of them are read and put into their sequence.
const FEW: i64 = 4_000;

/// What leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lead {
    /// The instance of this very id.
    Id,
    /// Those that are held: people have done that by hand.
    Held,
    /// Those that are unfinished, where these are few.
    Unfinished,
    /// What the planner finds best of the indexes by attention, owner, state or creation alone.
    Other,
}

impl Lead {
    async fn of(moment: &mut PgConnection, sought: &Sought) -> Result<Self, Error> {
        if let Some(text) = &sought.text {
            let is_one =
                sql!("SELECT 1 FROM resources WHERE kind = $1 AND id = $2", &sought.kind, text).fetch_optional(&mut *moment).await?;
            if is_one.is_some() {
                return Ok(Self::Id);
            }
        }
        if sought.held {
            return Ok(Self::Held);
        }
        if sought.finished == Some(false) && !sought.attention && sought.owner.is_none() {
            let few = "SELECT count(*) FROM (SELECT 1 FROM resources WHERE NOT finished LIMIT $1) AS few";
            let count: i64 = sql!(few, FEW + 1).fetch_one(moment).await?.try_get(0)?;
            if count <= FEW {
                return Ok(Self::Unfinished);
            }
        }
        Ok(Self::Other)
    }
}

/// What of the entries that are walked is asked for, and what is looked up of each: what costs the least first.
fn conditions(lead: Lead, sought: &Sought) -> (Vec<Part>, Vec<Part>) {
    let (mut walked, mut looked_up) = (Vec::new(), Vec::new());
    let text = |value: &String| [Value::from(value.as_str())];
    walked.push(Part::new("r.kind = ?", text(&sought.kind)));
    if let Some((at, id)) = &sought.after {
        walked.push(Part::new("(r.created_at, r.id) < (?, ?)", [micros(*at).into(), id.as_str().into()]));
    }
    match (lead, &sought.text) {
        (Lead::Id, Some(id)) => walked.push(Part::new("r.id = ?", text(id))),
        (_, Some(part)) => looked_up.push(Part::new("position(? IN r.id) > 0", text(part))),
        (_, None) => {}
    }
    // One of those that have an index leads; what comes after it is looked up, and counts as looked at.
    let mut leads = lead == Lead::Other;
    if sought.attention {
        let conditions = if std::mem::take(&mut leads) { &mut walked } else { &mut looked_up };
        conditions.push(Part::new("r.attention IS NOT NULL", []));
    }
    for (column, value) in [("owner", &sought.owner), ("state", &sought.state)] {
        let Some(value) = value else { continue };
        let conditions = if std::mem::take(&mut leads) { &mut walked } else { &mut looked_up };
        conditions.push(Part::new(format!("r.{column} = ?"), text(value)));
    }
    match sought.finished {
        Some(false) if lead == Lead::Unfinished => walked.push(Part::new("NOT r.finished", [])),
        Some(true) => looked_up.push(Part::new("r.finished", [])),
        Some(false) => looked_up.push(Part::new("NOT r.finished", [])),
        None => {}
    }
    if sought.held && lead != Lead::Held {
        looked_up.push(Part::new("h.resource IS NOT NULL", []));
    }
    looked_up.push(Part::new("r.workflow IS NOT NULL", []));
    if let Some(workflow) = &sought.workflow {
        looked_up.push(Part::new("r.workflow = ?", text(workflow)));
    }
    if let Some(since) = sought.unchanged_since {
        looked_up.push(Part::new("r.updated_at < ?", [micros(since).into()]));
    }
    if let Some(digest) = &sought.digest {
        // With EXISTS the server may prefer to put the whole history into a table of hashes first.
        let moved_by = "(SELECT true FROM history AS m WHERE m.resource = r.pk AND starts_with(m.digest, ?) LIMIT 1)";
        looked_up.push(Part::new(moved_by, text(digest)));
    }
    (walked, looked_up)
}

/// The statement that walks: creation, id, and whether all fits, of each entry; then its number.
fn statement(lead: Lead, sought: &Sought) -> Part {
    let (walked, looked_up) = conditions(lead, sought);
    // One after the other: a history is not read where the id tells.
    let whens: Vec<String> = looked_up.iter().map(|condition| format!("WHEN NOT coalesce({}, false) THEN false", condition.sql)).collect();
    let tables = match lead {
        Lead::Held => "holds AS h JOIN resources AS r ON r.pk = h.resource",
        _ => "resources AS r LEFT JOIN holds AS h ON h.resource = r.pk",
    };
    // What was looked at without need, one more, tells whether there is more.
    let limit = i64::try_from(sought.look_at.saturating_add(1)).unwrap_or(i64::MAX);
    let values = looked_up.into_iter().flat_map(|condition| condition.values).collect::<Vec<_>>();
    let walked = Part::all(walked);
    let text = format!(
        "SELECT r.created_at, r.id, CASE {} ELSE true END, r.pk FROM {tables} WHERE {} ORDER BY r.created_at DESC, r.id DESC LIMIT {limit}",
        whens.join(" "),
        walked.sql,
    );
    Part::new(text, [values, walked.values].concat())
}

fn found(row: &PgRow) -> Result<Found, Error> {
    let who: Option<String> = row.try_get(15)?;
    let hold = who.map(|who| Ok::<_, Error>(Hold { who, reason: row.try_get(16)?, at: time(row, 17)? })).transpose()?;
    Ok(Found { resource: resource_row(row)?, hold })
}

/// What a walk has come to: the numbers of those that fit, and where to go on, nothing when there is nothing more.
struct Walked {
    fitting: Vec<i64>,
    next: Option<(i64, String)>,
}

/// Walks until there are more than were asked for, or so many were looked at. As of the moment of the transaction that the connection is in.
async fn walk(moment: &mut PgConnection, sought: &Sought) -> Result<Walked, Error> {
    let statement = statement(Lead::of(moment, sought).await?, sought);
    let (mut looked_at, mut last, mut fitting) = (0, None, Vec::new());
    let mut rows = statement.statement().fetch(moment);
    while let Some(row) = rows.try_next().await? {
        let fits = row.try_get::<bool, _>(2)?;
        if looked_at == sought.look_at || (fits && fitting.len() == sought.limit) {
            return Ok(Walked { fitting, next: last });
        }
        if fits {
            fitting.push(row.try_get(3)?);
        }
        looked_at += 1;
        last = Some((row.try_get(0)?, row.try_get(1)?));
    }
    Ok(Walked { fitting, next: None })
}

/// What is asked for.
pub(super) async fn find(moment: &mut PgConnection, sought: &Sought) -> Result<Sighted, Error> {
    let Walked { fitting, next } = walk(moment, sought).await?;
    let select = concat!(
        "SELECT ",
        columns!(),
        ", h.who, h.reason, h.at FROM resources AS r LEFT JOIN holds AS h ON h.resource = r.pk WHERE r.pk = ANY ($1::bigint[])
         ORDER BY r.created_at DESC, r.id DESC"
    );
    let rows = sql!(select, fitting).fetch_all(moment).await?;
    let next = next.map(|(at, id)| Ok::<_, Error>((time_of(at)?, id))).transpose()?;
    Ok(Sighted { found: rows.iter().map(found).collect::<Result<_, _>>()?, next })
}

/// How many there are, and whether that is all of them.
pub(super) async fn count(moment: &mut PgConnection, sought: &Sought) -> Result<(u64, bool), Error> {
    let Walked { fitting, next } = walk(moment, sought).await?;
    Ok((fitting.len() as u64, next.is_none()))
}
