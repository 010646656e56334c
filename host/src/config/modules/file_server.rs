//! `static.fileserver`: web files.

use std::path::Path;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::context::{At, Context};
use crate::config::files;
use crate::config::finding::Findings;
use crate::config::leaf::MaxAge;
use crate::config::module_type::{Draft, ModuleType};
use crate::config::modules::rate_limit::RateLimit;
use crate::config::report::Code;
use crate::config::values;
use crate::plan::{self, Runs};

/// Files that a client may ask for in the place of one request, unless the config says otherwise: one page is many files.
const FILES_FOR_A_REQUEST: u32 = 20;

/// How long a browser may keep a file that is not hashed, unless the config says otherwise.
pub(super) const MAX_AGE: Duration = Duration::from_secs(3600);

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

impl ModuleType for FileServer {
    const TYPE: &'static str = "static.fileserver";

    fn resolve(&self, at: At<'_>, context: &Context<'_>, draft: &mut Draft, findings: &mut Findings) -> Runs {
        let root = files::absolute(context.base, &self.root);
        look_for_root(&at.setting("root"), &self.root, &root, findings);
        let prefix = values::plain_path(self.prefix.as_deref(), "/", &at.setting("prefix"), findings);
        let files = &mut draft.plan.files;
        if files.iter().any(|other| other.prefix == prefix) {
            findings.error(at.setting("prefix"), Code::Duplicate, format!("files are already served under '{prefix}'"), None);
        }
        let limit = self.rate_limit.as_ref().and_then(|limit| limit.resolve(at, context, findings));
        files.push(plan::FileServer {
            name: at.name.to_owned(),
            root,
            prefix,
            spa_fallback: self.spa_fallback,
            cache_max_age: self.cache_max_age.map_or(MAX_AGE, |age| age.0),
            limit,
        });
        Runs::Nothing
    }
}

impl FileRateLimit {
    fn resolve(&self, at: At<'_>, context: &Context<'_>, findings: &mut Findings) -> Option<plan::RateLimit> {
        let limiter = context.named(&self.limiter, &[RateLimit::TYPE], &at.setting("rateLimit/limiter"), findings)?;
        let one = limiter.settings::<RateLimit>()?.limit(at.name);
        let times = self.times.unwrap_or(FILES_FOR_A_REQUEST);
        Some(plan::RateLimit {
            requests_per_minute: one.requests_per_minute.saturating_mul(times),
            burst_size: one.burst_size.saturating_mul(times),
            requests_per_hour: one.requests_per_hour.map(|most| most.saturating_mul(times)),
            ..one
        })
    }
}

/// Warns at `pointer` if the folder `root`, of which the config says `written`, is not there.
pub(super) fn look_for_root(pointer: &str, written: &str, root: &Path, findings: &mut Findings) {
    if written.is_empty() || root.is_dir() {
        return;
    }
    let help = format!("it was looked for at {} (relative to the config file); a page says so until it is there", root.display());
    findings.warning(pointer, Code::MissingFile, format!("folder '{written}' is not there"), help);
}
