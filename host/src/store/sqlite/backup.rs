//! A consistent copy while others write: one read snapshot, copied as a whole.

use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::backup::Backup;

use super::super::StoreError;
use super::lock::private;

/// Copies what `source` sees to `path`, which must not exist; a copy that failed is removed.
pub(super) fn copy(source: &Connection, path: &Path) -> Result<(), StoreError> {
    let unavailable = |reason: String| StoreError::Unavailable(format!("cannot back up to '{}': {reason}", path.display()));
    private().create_new(true).write(true).open(path).map_err(|error| unavailable(error.to_string()))?;
    let copied = copy_pages(source, path);
    copied.map_err(|error| {
        // The reason that is told is the first one.
        let _ = std::fs::remove_file(path);
        unavailable(error.to_string())
    })
}

fn copy_pages(source: &Connection, path: &Path) -> rusqlite::Result<()> {
    let mut copy = Connection::open(path)?;
    // All pages in one step: between two steps the snapshot would be let go.
    Backup::new(source, &mut copy)?.run_to_completion(i32::MAX, Duration::ZERO, None)?;
    copy.close().map_err(|(_, error)| error)
}
