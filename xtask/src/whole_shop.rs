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
        .environment([("LISTEN", address.to_string()), ("MILLRACE_LOG_FORMAT", "text".to_owned())])
}
