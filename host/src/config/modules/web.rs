//! Settings of what faces the network: server, routes, middlewares, users, web files, proxies.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::leaf::{HumanDuration, MaxAge, Secret};

/// A type without settings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NoSettings {}

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

/// `http.router`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HttpRouter {
    /// Path below which only routes answer, `/api`.
    pub prefix: Option<String>,
}

/// `http.middleware.cors`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Cors {
    /// `*`, or origins such as `https://shop.example`; `*` if not given.
    #[serde(default, deserialize_with = "crate::config::leaf::list")]
    pub allowed_origins: Option<Vec<String>>,
    /// Methods; GET, POST, PUT, DELETE and OPTIONS if not given.
    #[serde(default, deserialize_with = "crate::config::leaf::list")]
    pub allowed_methods: Option<Vec<String>>,
    /// Request headers; Content-Type and Authorization if not given.
    #[serde(default, deserialize_with = "crate::config::leaf::list")]
    pub allowed_headers: Option<Vec<String>>,
    /// Whether other origins may send cookies; never together with `*`.
    #[serde(default)]
    pub allow_credentials: bool,
    /// How long a preflight may be cached; ten minutes if not given.
    pub max_age: Option<MaxAge>,
}

/// `http.middleware.ratelimit`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RateLimit {
    /// Sustained rate of one client; 60 if not given.
    #[schemars(range(min = 1))]
    pub requests_per_minute: Option<u32>,
    /// Requests at once; as many as in a minute if not given.
    #[schemars(range(min = 1))]
    pub burst_size: Option<u32>,
    /// A second, slower limit.
    #[schemars(range(min = 1))]
    pub requests_per_hour: Option<u32>,
    /// Peers whose `X-Forwarded-For` is believed: addresses or networks such as `10.0.0.0/8`.
    #[serde(default)]
    pub trusted_proxies: Vec<String>,
}

/// `http.middleware.auth`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AuthMiddleware {
    /// Kind of token.
    #[serde(default)]
    pub auth_type: AuthType,
}

/// Kind of token.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(extend("x-expected" = "Bearer"))]
pub enum AuthType {
    /// `Authorization: Bearer <token>`.
    #[default]
    Bearer,
}

/// `auth.jwt`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AuthJwt {
    /// Key that signs tokens, 32 bytes or more.
    pub secret: Secret,
    /// Life of a token; 24h if not given.
    pub token_expiry: Option<HumanDuration>,
    /// `iss` of the tokens; `millrace` if not given.
    #[schemars(length(min = 1))]
    pub issuer: Option<String>,
    /// Users to add at start, `[{name, email, password}]`; relative to the config file.
    #[schemars(length(min = 1))]
    pub seed_file: Option<String>,
    /// Whether anybody may register; yes if not given.
    pub allow_registration: Option<bool>,
}

/// `static.fileserver`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FileServer {
    /// Folder, relative to the config file.
    #[schemars(length(min = 1))]
    pub root: String,
    /// Path prefix; `/` if not given.
    pub prefix: Option<String>,
    /// Whether navigation to an unknown path gets `index.html`; no if not given.
    #[serde(default)]
    pub spa_fallback: bool,
    /// How long a browser may keep a file that is neither `index.html` nor hashed; one hour if not given.
    pub cache_max_age: Option<MaxAge>,
    /// How many files one client may ask for; without it there is no limit.
    pub rate_limit: Option<FileRateLimit>,
}

/// `rateLimit` of a `static.fileserver`: buckets of its own, so many times as large as those of a rate limit.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FileRateLimit {
    /// An `http.middleware.ratelimit`.
    #[schemars(length(min = 1))]
    pub limiter: String,
    /// Files for each request that it allows; 20 if not given, since one page is many files.
    #[schemars(range(min = 1, max = 10_000))]
    pub times: Option<u32>,
}

/// `http.simple_proxy`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SimpleProxy {
    /// Base URL by path prefix; the longest prefix wins.
    pub targets: BTreeMap<String, String>,
    /// How long a connection to a target may take; 2s if not given.
    pub connect_timeout: Option<HumanDuration>,
    /// How long a target may take to begin its answer, from the end of the request; 30s if not given.
    pub response_timeout: Option<HumanDuration>,
    /// Largest body of a request that is passed on, in bytes; 65536 if not given, which is what the routes of this program take. A larger
    /// one is 413. Whatever its size, a body has 10 s to come.
    #[schemars(range(min = 1))]
    pub max_body_bytes: Option<u64>,
}
