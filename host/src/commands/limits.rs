//! What the system lets this process have.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Open files that a gateway needs that serves as many connections as it may: one to the customer, one to a backend, and its own.
const WANTED: u64 = 4_096;

/// Raises the limit of open files as far as this process needs and may. A shell gives 1,024, and what cannot be opened beyond is not
/// only a connection: it may be a file of the database.
pub(super) fn allow_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let Some(wanted) = raised(&limit) else { return };
    let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), ..limit });
    let now = if raised.is_ok() { wanted } else { limit.current.unwrap_or(wanted) };
    if now < WANTED {
        tracing::warn!(
            open_files = now,
            needed = WANTED,
            "this process may open too few files for all its connections: raise the hard limit (`ulimit -Hn`, LimitNOFILE)"
        );
    }
}

/// What a limit is to be raised to; none if it is enough.
fn raised(limit: &Rlimit) -> Option<u64> {
    let current = limit.current?;
    let most = limit.maximum.unwrap_or(WANTED);
    (current < WANTED).then(|| WANTED.min(most).max(current))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_raised_to_what_is_needed_and_may_be() {
        let limit = |current, maximum| raised(&Rlimit { current, maximum });
        assert_eq!(limit(Some(1_024), Some(1 << 20)), Some(WANTED));
        assert_eq!(limit(Some(1_024), None), Some(WANTED));
        assert_eq!(limit(Some(64), Some(2_000)), Some(2_000));
        assert_eq!(limit(Some(64), Some(64)), Some(64), "told that it is too few");
        assert_eq!(limit(Some(WANTED), Some(1 << 20)), None);
        assert_eq!(limit(None, None), None);
    }
}
