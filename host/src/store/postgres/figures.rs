//! Figures of each minute: added to in the commit that changes them.

use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{Error, Row as _};

use super::super::figures::{Figure, KEPT_MINUTES};
use super::columns::{count, int};
use super::unit::{Writing, sql};

/// Adds to the figures of a minute; a sum ends at what a number holds. The oldest go when a minute begins, by their number and not by the date:
/// one that was wrong for a while takes nothing away.
pub(super) async fn add(writing: &mut Writing, kind: &str, figure: &Figure) -> Result<(), Error> {
    let Figure { minute, made, reached, amount, gone, gone_amount } = *figure;
    let sum = "INSERT INTO figures AS f (kind, minute, made, reached, amount, gone, gone_amount) VALUES ($1, $2, $3, $4, $5, $6, $7)
               ON CONFLICT (kind, minute) DO UPDATE SET
                   made = f.made + excluded.made, reached = f.reached + excluded.reached, gone = f.gone + excluded.gone,
                   amount = greatest(least(f.amount::numeric + excluded.amount, 9223372036854775807), -9223372036854775808)::bigint,
                   gone_amount = greatest(least(f.gone_amount::numeric + excluded.gone_amount, 9223372036854775807), -9223372036854775808)::bigint
               RETURNING made = $3 AND reached = $4 AND gone = $6";
    let rows = writing.change(sql!(sum, kind, minute, int(made), int(reached), amount, int(gone), gone_amount)).await?;
    let begins = rows.first().map(|row| row.try_get::<bool, _>(0)).transpose()?.unwrap_or(false);
    if begins {
        let oldest = "DELETE FROM figures WHERE kind = $1
                      AND minute < (SELECT minute FROM figures WHERE kind = $1 ORDER BY minute DESC LIMIT 1 OFFSET $2)";
        writing.run(sql!(oldest, kind, KEPT_MINUTES)).await?;
    }
    Ok(())
}

/// The figures of these minutes, the last one excluded, in their sequence; those of which there is nothing are not there.
pub(super) async fn select(connection: &mut PgConnection, kind: &str, (from, to): (i64, i64)) -> Result<Vec<Figure>, Error> {
    let select = "SELECT minute, made, reached, amount, gone, gone_amount FROM figures WHERE kind = $1 AND minute >= $2 AND minute < $3
                  ORDER BY minute";
    let figure = |row: &PgRow| {
        Ok(Figure {
            minute: row.try_get(0)?,
            made: count(row, 1)?,
            reached: count(row, 2)?,
            amount: row.try_get(3)?,
            gone: count(row, 4)?,
            gone_amount: row.try_get(5)?,
        })
    };
    sql!(select, kind, from, to).fetch_all(connection).await?.iter().map(figure).collect()
}
