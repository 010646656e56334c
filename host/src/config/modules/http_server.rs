//! `http.server`: the address that a process answers at.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::rate_limit::trusted_proxies;
use super::simple_proxy::SimpleProxy;
use crate::config::context::{At, Context};
use crate::config::finding::Findings;
use crate::config::leaf::HumanDuration;
use crate::config::module_type::{Draft, ModuleType};
use crate::config::report::Code;
use crate::config::values::{self, seconds};
use crate::plan::{ConnectionLimit, HeadLimit, Runs, Server};

/// Connections of one public address: a quarter of all, which is room for an office or a network behind one address.
const CONNECTIONS_PER_ADDRESS: usize = 256;
/// Connections at once.
const CONNECTIONS: usize = 1024;
/// Event streams that one user may have open: more than somebody looks at, whatever the page.
const STREAMS_PER_USER: usize = 16;
/// What a request may say before its body.
const HEADERS: usize = 64;
const HEAD_BYTES: usize = 16 * 1024;
/// The same where a gateway may have added to it.
const HEADERS_BEHIND_GATEWAY: usize = 100;
const HEAD_BYTES_BEHIND_GATEWAY: usize = 24 * 1024;
/// How long a process may serve after it was told to stop.
const MAX_SHUTDOWN_DELAY: Duration = Duration::from_secs(300);

/// `http.server`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HttpServer {
    /// `host:port`; `:8080` means all addresses.
    #[schemars(length(min = 1))]
    pub address: String,
    /// From the first byte of a request to the last of its body; 15s if not given.
    pub read_timeout: Option<HumanDuration>,
    /// From the end of the request to the last byte of the answer; 30s if not given.
    pub write_timeout: Option<HumanDuration>,
    /// A connection without a request; 60s if not given.
    pub idle_timeout: Option<HumanDuration>,
    /// From the first byte of a request's head to its last; 5s if not given.
    pub header_timeout: Option<HumanDuration>,
    /// Connections at once; 1024 if not given. When all are in use, idle and slow ones are closed for requests on new ones, then event
    /// streams; probes and metrics are answered on 64 more.
    #[schemars(range(min = 1, max = 65535))]
    pub max_connections: Option<u32>,
    /// Connections of one address at once; of IPv6, of one /64 network. If not given, 256 of a public address, and no limit for this
    /// machine and private networks. `trustedProxies` of rate limits are exempt.
    #[schemars(range(min = 1, max = 65535))]
    pub max_connections_per_address: Option<u32>,
    /// Event streams that one user may have open at once; 16 if not given.
    #[schemars(range(min = 1, max = 1024))]
    pub max_event_streams_per_user: Option<u32>,
    /// After SIGTERM: how long requests are still served while `/readyz` answers 503 already, so that a balancer stops to send before the
    /// listener closes; none if not given, five minutes at most.
    pub shutdown_delay: Option<HumanDuration>,
}

impl ModuleType for HttpServer {
    const TYPE: &'static str = "http.server";

    fn resolve(&self, at: At<'_>, context: &Context<'_>, draft: &mut Draft, findings: &mut Findings) -> Runs {
        let address = values::listen_address(&self.address, at.setting("address"), findings);
        let shutdown_delay = self.delay(at, findings);
        let Some(address) = address else { return Runs::Nothing };
        let server = Server {
            name: at.name.to_owned(),
            address,
            read_timeout: seconds(self.read_timeout, 15),
            write_timeout: seconds(self.write_timeout, 30),
            idle_timeout: seconds(self.idle_timeout, 60),
            head: self.head(context),
            max_connections: self.max_connections.map_or(CONNECTIONS, |most| most as usize),
            connections: ConnectionLimit {
                per_address: self.max_connections_per_address.map_or(CONNECTIONS_PER_ADDRESS, |most| most as usize),
                everywhere: self.max_connections_per_address.is_some(),
                trusted_proxies: trusted_proxies(context),
            },
            streams_per_user: self.max_event_streams_per_user.map_or(STREAMS_PER_USER, |most| most as usize),
            // Known when every module is.
            probes: Vec::new(),
            probes_only: false,
            shutdown_delay,
        };
        draft.servers.push((at.index, server));
        Runs::Nothing
    }
}

impl HttpServer {
    /// What a process takes that passes requests on is what those behind it take with what it adds.
    fn head(&self, context: &Context<'_>) -> HeadLimit {
        let is_gateway = context.first::<SimpleProxy>().is_some();
        let (max_headers, max_bytes) = if is_gateway { (HEADERS, HEAD_BYTES) } else { (HEADERS_BEHIND_GATEWAY, HEAD_BYTES_BEHIND_GATEWAY) };
        HeadLimit { timeout: seconds(self.header_timeout, 5), max_headers, max_bytes }
    }

    fn delay(&self, at: At<'_>, findings: &mut Findings) -> Duration {
        let delay = seconds(self.shutdown_delay, 0);
        if delay > MAX_SHUTDOWN_DELAY {
            let message =
                format!("a process that serves for {} after it was told to stop seems not to stop", humantime::format_duration(delay));
            let help = "write at most 5m, such as 10s, or leave it out".to_owned();
            findings.error(at.setting("shutdownDelay"), Code::InvalidValue, message, help);
        }
        delay
    }
}
