//! `http.middleware.cors`: which other origins may ask.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::context::{At, Context};
use crate::config::finding::Findings;
use crate::config::leaf::MaxAge;
use crate::config::module_type::{Draft, ModuleType};
use crate::config::report::Code;
use crate::config::values;
use crate::plan::{self, Middleware, Runs};

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

impl ModuleType for Cors {
    const TYPE: &'static str = "http.middleware.cors";

    fn resolve(&self, at: At<'_>, _: &Context<'_>, draft: &mut Draft, findings: &mut Findings) -> Runs {
        let allowed_origins: Vec<String> =
            or(self.allowed_origins.as_deref(), &["*"]).iter().map(|text| values::as_browsers_write(text)).collect();
        self.check(at, &allowed_origins, findings);
        let cors = plan::Cors {
            allowed_origins,
            allowed_methods: or(self.allowed_methods.as_deref(), &["GET", "POST", "PUT", "DELETE", "OPTIONS"]),
            allowed_headers: or(self.allowed_headers.as_deref(), &["Content-Type", "Authorization"]),
            allow_credentials: self.allow_credentials,
            max_age: self.max_age.map_or(Duration::from_secs(600), |age| age.0),
        };
        draft.middlewares.insert(at.index, Middleware::Cors(cors));
        Runs::Nothing
    }
}

impl Cors {
    fn check(&self, at: At<'_>, allowed_origins: &[String], findings: &mut Findings) {
        for (i, origin) in allowed_origins.iter().enumerate().filter(|(_, o)| !o.is_empty() && !values::origin(o)) {
            let (message, help) = if origin.contains('*') {
                (format!("'{origin}' is not an origin: there is no wildcard in one"), "list each origin, or write * alone")
            } else {
                (format!("'{origin}' is not an origin"), "write https://shop.example, without a slash at the end, or *")
            };
            let help = help.to_owned();
            findings.error(at.setting(&format!("allowedOrigins/{i}")), Code::InvalidValue, message, help);
        }
        if self.allow_credentials && allowed_origins.iter().any(|o| o == "*") {
            let message = "`allowCredentials` cannot be true while `allowedOrigins` has '*': any page could act as the user";
            findings.error(at.setting("allowCredentials"), Code::InvalidValue, message, "list the origins".to_owned());
        }
        let is_method = |text: &str| http::Method::from_bytes(text.as_bytes()).is_ok() && !text.chars().any(|c| c.is_ascii_lowercase());
        for (i, method) in self.allowed_methods.iter().flatten().enumerate().filter(|(_, m)| !m.is_empty() && !is_method(m)) {
            let help = "methods are written in capitals, for example GET".to_owned();
            let message = format!("'{method}' is not a method");
            findings.error(at.setting(&format!("allowedMethods/{i}")), Code::InvalidValue, message, help);
        }
        let is_header = |text: &str| http::HeaderName::from_bytes(text.as_bytes()).is_ok();
        for (i, header) in self.allowed_headers.iter().flatten().enumerate().filter(|(_, h)| !h.is_empty() && !is_header(h)) {
            let message = format!("'{header}' is not the name of a header");
            findings.error(at.setting(&format!("allowedHeaders/{i}")), Code::InvalidValue, message, None);
        }
    }
}

fn or(given: Option<&[String]>, default: &[&str]) -> Vec<String> {
    given.map_or_else(|| default.iter().map(|text| (*text).to_owned()).collect(), <[String]>::to_vec)
}
