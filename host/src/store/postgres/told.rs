//! What a process tells the others of what it has written, and hears from them. It makes them look at once; what is not heard is looked for anyway.

use serde::{Deserialize, Serialize};
use sqlx::Error;

use super::super::group::Heard;
use super::unit::{Writing, sql};

/// Where it is told.
pub(super) const CHANNEL: &str = "millrace";
/// A server takes no more than 8000 bytes at once.
const MAX_BYTES: usize = 7_900;

#[derive(Debug, Serialize, Deserialize)]
struct Told {
    /// The epoch of who tells.
    from: i64,
    /// Kind and id of what has moved; nothing if it is too much to be told.
    moved: Option<Vec<(String, String)>>,
}

/// Tells the others at the end of a transaction what it has moved; they hear of it once it is committed.
pub(super) async fn tell(writing: &mut Writing) -> Result<(), Error> {
    if writing.moved.is_empty() {
        return Ok(());
    }
    let mut told = Told { from: writing.epoch, moved: Some(std::mem::take(&mut writing.moved)) };
    let mut text = serde_json::json!(told).to_string();
    if text.len() > MAX_BYTES {
        told.moved = None;
        text = serde_json::json!(told).to_string();
    }
    sql!("SELECT pg_notify($1, $2)", CHANNEL, text).execute(&mut writing.connection).await.map(drop)
}

/// What was told; nothing if the process with this epoch has told it itself.
pub(super) fn heard(text: &str, epoch: u64) -> Option<Heard> {
    match serde_json::from_str::<Told>(text) {
        Ok(told) if told.from.unsigned_abs() == epoch => None,
        Ok(Told { moved: Some(moved), .. }) => Some(Heard::Moved(moved)),
        // Whatever it is, somebody has told something.
        _ => Some(Heard::Anything),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_tell_is_heard_and_not_ones_own() {
        let text = serde_json::json!(Told { from: 7, moved: Some(vec![("parcels".into(), "p-1".into())]) }).to_string();
        assert_eq!(heard(&text, 8), Some(Heard::Moved(vec![("parcels".into(), "p-1".into())])));
        assert_eq!(heard(&text, 7), None);
        assert_eq!(heard(r#"{"from":7,"moved":null}"#, 8), Some(Heard::Anything));
        assert_eq!(heard("another program", 8), Some(Heard::Anything));
    }
}
