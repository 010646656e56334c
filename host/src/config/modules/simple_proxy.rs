//! `http.simple_proxy`: a reverse proxy.

use std::collections::{BTreeMap, BTreeSet};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use crate::config::context::{At, Context};
use crate::config::files;
use crate::config::finding::Findings;
use crate::config::leaf::HumanDuration;
use crate::config::module_type::{Draft, ModuleType};
use crate::config::report::Code;
use crate::config::tree::child;
use crate::config::values::{self, seconds};
use crate::plan::{MAX_BODY_BYTES, Proxy, Runs};

/// `http.simple_proxy`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SimpleProxy {
    /// Base URL by path prefix, or several: a list of them, or a text that holds several, separated by commas. The longest prefix wins. Requests
    /// are spread over the targets of a prefix that take any.
    pub targets: BTreeMap<String, Targets>,
    /// How long a connection to a target may take; 2s if not given.
    pub connect_timeout: Option<HumanDuration>,
    /// How long a target may take to begin its answer, from the end of the request; 30s if not given.
    pub response_timeout: Option<HumanDuration>,
    /// Largest body of a request that is passed on, in bytes; 65536 if not given, which is what the routes of this program take. A larger
    /// one is 413. Whatever its size, a body has 10 s to come.
    #[schemars(range(min = 1))]
    pub max_body_bytes: Option<u64>,
}

/// The targets of one prefix, as written.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Targets {
    /// One, or several that are separated by commas.
    Text(String),
    /// Each entry is such a text.
    List(Vec<String>),
}

impl Targets {
    /// Each with where it is written, below the key of its prefix.
    fn written(&self) -> Vec<(String, &str)> {
        match self {
            Self::Text(text) => text.split(',').map(|url| (String::new(), url.trim())).collect(),
            Self::List(texts) => {
                let entries = texts.iter().enumerate();
                entries.flat_map(|(index, text)| text.split(',').map(move |url| (format!("/{index}"), url.trim()))).collect()
            }
        }
    }
}

impl JsonSchema for Targets {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Targets".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["string", "array"], "items": {"type": "string"}, "minItems": 1,
            "x-expected": "a base URL such as http://returns:8080, or a list of them"
        })
    }
}

impl ModuleType for SimpleProxy {
    const TYPE: &'static str = "http.simple_proxy";

    fn resolve(&self, at: At<'_>, _: &Context<'_>, draft: &mut Draft, findings: &mut Findings) -> Runs {
        self.check(&at.setting("targets"), findings);
        let urls = |written: &Targets| written.written().into_iter().filter_map(|(_, url)| values::base_url(url)).collect();
        let targets = self.targets.iter().map(|(prefix, written)| (prefix.clone(), urls(written))).collect();
        draft.plan.proxies.push(Proxy {
            name: at.name.to_owned(),
            targets,
            connect_timeout: seconds(self.connect_timeout, 2),
            response_timeout: seconds(self.response_timeout, 30),
            max_body_bytes: self.max_body_bytes.unwrap_or(MAX_BODY_BYTES),
        });
        Runs::Nothing
    }
}

impl SimpleProxy {
    fn check(&self, pointer: &str, findings: &mut Findings) {
        if self.targets.is_empty() {
            let help = "write /api/returns: http://returns:8080".to_owned();
            findings.error(pointer, Code::InvalidValue, "`targets` must not be empty", help);
        }
        for (prefix, targets) in &self.targets {
            let pointer = child(pointer, prefix);
            if !files::is_route(prefix) || prefix.contains(['{', '}']) {
                let help = "a prefix begins with a slash and does not end with one, for example /api/returns".to_owned();
                findings.error(&pointer, Code::InvalidValue, format!("'{prefix}' is not a path prefix"), help);
            }
            check_urls(&pointer, targets, findings);
        }
    }
}

fn check_urls(pointer: &str, targets: &Targets, findings: &mut Findings) {
    let mut known = BTreeSet::new();
    for (place, url) in targets.written() {
        let pointer = format!("{pointer}{place}");
        match values::base_url(url) {
            None => findings.error(&pointer, Code::InvalidValue, format!("'{url}' is not a base URL"), "write http://host:port".to_owned()),
            Some(base) if !known.insert(base.clone()) => {
                let help = "name each target once; a second process needs an address of its own".to_owned();
                findings.error(&pointer, Code::InvalidValue, format!("'{url}' is there twice"), help);
            }
            Some(_) => {}
        }
        if url.starts_with("https:") {
            let help = "write http://host:port; encryption between processes is the affair of the network they share".to_owned();
            findings.error(&pointer, Code::InvalidValue, format!("'{url}' is https, and a proxy speaks http only"), help);
        }
    }
}
