//! How much there was of resources in each minute or hour, from counters: nobody reads the resources for it.

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;

use super::search::time;
use super::service::Resources;
use crate::services::ServiceError;
use crate::store::{Figure, KEPT_MINUTES};
use crate::text;

/// Buckets of an answer, at most: the minutes of the longest day.
const MOST: i64 = 1_500;
/// Characters of a value that a message shows.
const MAX_SHOWN: usize = 40;

/// What was counted.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Figures")]
pub struct FiguresBody {
    /// Where it begins: at a whole minute.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub from: Timestamp,
    /// Where it ends: what comes after it is not counted.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub to: Timestamp,
    /// How long a bucket is.
    pub bucket_seconds: i64,
    /// All of it together.
    pub total: FigureBody,
    /// Each bucket, also where there was nothing; the last one may be shorter.
    pub items: Vec<FigureBody>,
}

/// What was counted from a time on.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Figure")]
pub struct FigureBody {
    /// Where it begins.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub at: Timestamp,
    /// How many were made.
    pub created: u64,
    /// How many have entered a state that counts.
    pub reached: u64,
    /// Their amounts: of money in minor units.
    pub amount: i64,
    /// How many have left these states again.
    pub left: u64,
    /// Their amounts.
    pub left_amount: i64,
}

/// A stretch of time in minutes since 1970, and the minutes of a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stretch {
    from: i64,
    to: i64,
    bucket: i64,
}

impl Stretch {
    fn of(query: &[(String, String)], now: Timestamp) -> Result<Self, ServiceError> {
        let (mut from, mut to, mut bucket) = (None, None, 1);
        for (name, value) in query {
            match name.as_str() {
                "from" => from = Some(time(name, value, false)?),
                "to" => to = Some(time(name, value, true)?),
                "bucket" => {
                    bucket = match value.as_str() {
                        "minute" => 1,
                        "hour" => 60,
                        other => {
                            let shown = text::quoted(other, MAX_SHOWN);
                            return Err(ServiceError::field(name, format!("expected minute or hour, got '{shown}'")));
                        }
                    }
                }
                _ => return Err(ServiceError::field(name, "there is no such parameter; accepted are from, to, bucket")),
            }
        }
        let this_minute = minute(now);
        // The minute that is going on is a part of it.
        let to = to.map_or(this_minute, |to| minute(to.saturating_sub(SignedDuration::from_nanos(1)).unwrap_or(to)).min(this_minute)) + 1;
        let from = from.map_or_else(|| (to - 60).max(this_minute - KEPT_MINUTES), minute);
        if from < this_minute - KEPT_MINUTES {
            return Err(ServiceError::field("from", "is more than eight days ago: figures are kept for so long"));
        }
        if from >= to {
            return Err(ServiceError::field("from", "expected a time that is before `to` and now"));
        }
        if (to - from) / bucket > MOST {
            let detail = format!("expected {MOST} buckets at most, and there are {} of a minute; ask by the hour", to - from);
            return Err(ServiceError::field("bucket", detail));
        }
        Ok(Self { from, to, bucket })
    }
}

fn minute(at: Timestamp) -> i64 {
    at.as_second().div_euclid(60)
}

fn body(figure: &Figure) -> FigureBody {
    let Figure { minute, made, reached, amount, gone, gone_amount } = *figure;
    let at = Timestamp::from_second(minute.saturating_mul(60)).unwrap_or_default();
    FigureBody { at, created: made, reached, amount, left: gone, left_amount: gone_amount }
}

impl Resources {
    /// What was counted of the resources of everybody.
    ///
    /// # Errors
    /// A parameter that there is not, or one whose value is none.
    pub async fn figures(&self, handler: &str, query: &[(String, String)]) -> Result<FiguresBody, ServiceError> {
        let kind = &self.handler(handler)?.settings.kind;
        let Stretch { from, to, bucket } = Stretch::of(query, self.clock().now())?;
        let empty = |minute: i64| Figure { minute, ..Figure::default() };
        let mut total = empty(from);
        let starts = (from..to).step_by(usize::try_from(bucket).unwrap_or(1));
        let mut items: Vec<Figure> = starts.map(empty).collect();
        for figure in self.store().figures(kind, (from, to)).await? {
            total = total.with(&figure);
            let at = usize::try_from((figure.minute - from) / bucket).unwrap_or_default();
            if let Some(item) = items.get_mut(at) {
                *item = item.with(&figure);
            }
        }
        Ok(FiguresBody {
            from: body(&empty(from)).at,
            to: body(&empty(to)).at,
            bucket_seconds: bucket * 60,
            total: body(&total),
            items: items.iter().map(body).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stretch(query: &[(&str, &str)]) -> Result<(i64, i64, i64), String> {
        let now = "2026-11-28T12:30:30Z".parse::<Timestamp>().unwrap();
        let query: Vec<_> = query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let offset = |at: i64| at - minute(now);
        Stretch::of(&query, now).map(|one| (offset(one.from), offset(one.to), one.bucket)).map_err(|error| error.to_string())
    }

    #[test]
    fn a_stretch_ends_with_the_minute_that_goes_on_and_is_bounded() {
        assert_eq!(stretch(&[]), Ok((-59, 1, 1)));
        assert_eq!(stretch(&[("from", "2026-11-28"), ("bucket", "hour")]), Ok((-750, 1, 60)));
        assert_eq!(stretch(&[("from", "2026-11-27"), ("to", "2026-11-27"), ("bucket", "minute")]), Ok((-2_190, -750, 1)));
        assert_eq!(stretch(&[("to", "2026-11-28T11:30:00Z")]), Ok((-120, -60, 1)));
        for (query, says) in [
            (&[("from", "2026-11-19")][..], "more than eight days ago"),
            (&[("from", "2026-11-29")], "before `to` and now"),
            (&[("from", "2026-11-26")], "1500 buckets at most"),
            (&[("bucket", "day")], "expected minute or hour, got 'day'"),
            (&[("colour", "red")], "accepted are from, to, bucket"),
        ] {
            assert!(stretch(query).unwrap_err().contains(says), "{query:?}: {:?}", stretch(query));
        }
    }
}
