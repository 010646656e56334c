//! Files that the process may open: each connection is one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::plan::Server;

/// For databases, components, logs and so on.
const OTHERS: u64 = 1024;

/// Raises the limit of this process as far as `server` may need it. Shells and service managers begin with 1024, and leave it to each
/// program to ask for more.
pub(super) fn allow(server: &Server) {
    // A gateway has a connection to a backend for each of its own.
    let needed = server.max_connections as u64 * 2 + OTHERS;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let Some(now) = current.filter(|now| *now < needed) else { return };
    let most = maximum.map_or(needed, |most| most.min(needed)).max(now);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(most), maximum });
    let allowed = if raised.is_ok() { most } else { now };
    if allowed < needed {
        tracing::warn!(
            allowed,
            needed,
            "this process may open fewer files than its connections may need; raise the hard limit (ulimit -Hn, LimitNOFILE) or lower `maxConnections` of http.server"
        );
    }
}
