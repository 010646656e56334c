//! The shop as one process, beside tests of it.

use std::net::SocketAddr;
use std::path::Path;

use crate::parts::{Part, Ready};

/// The repository's config of it.
pub const CONFIG: &str = "configs/monolith.yaml";

/// The program that is the whole shop, listening there.
pub fn part<N: AsRef<std::ffi::OsStr>>(
    program: &Path,
    config: &Path,
    address: SocketAddr,
    variables: impl IntoIterator<Item = (N, String)>,
) -> Part {
    Part::new("monolith", program, Ready::Http(address, "/readyz"))
        .arguments([Path::new("run"), Path::new("--config"), config])
        .environment(variables)
        .environment([
            ("LISTEN", address.to_string()),
            ("OPERATOR_LISTEN", operators_address(address).to_string()),
            ("MILLRACE_LOG_FORMAT", "text".to_owned()),
        ])
}

/// Where those who run a part of a shop ask it: beside the address for customers, a thousand ports on.
pub fn operators_address(address: SocketAddr) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], address.port().checked_add(1000).unwrap_or(0)))
}
