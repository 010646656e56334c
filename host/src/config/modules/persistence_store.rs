//! `persistence.store`: what is kept in a database, and for how long.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::database::{Database, Driver};
use crate::config::context::{At, Context};
use crate::config::files;
use crate::config::finding::Findings;
use crate::config::leaf::Retained;
use crate::config::module_type::{Draft, ModuleType};
use crate::config::report::Code;
use crate::config::tree::child;
use crate::plan::{self, Archive, Retention, Runs};

/// `persistence.store`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PersistenceStore {
    /// A `database.workflow`.
    #[schemars(length(min = 1))]
    pub database: String,
    /// Events that may wait to be published, while the bus is away for example: with more, a new resource with a workflow is refused
    /// (503 with `Retry-After`) until some were published. 1000000 if not given, which takes some gigabytes.
    #[schemars(range(min = 1))]
    pub max_outbox_events: Option<u64>,
    /// How long the database keeps what the program itself has no more use for.
    pub retention: Option<RetentionSettings>,
}

/// `retention` of a `persistence.store`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RetentionSettings {
    /// Published events, and that they were taken; 72h if not given. What is gone cannot be published again by `millrace republish`.
    pub events: Option<Retained>,
    /// Ended attempts of finished instances; 72h if not given. What they came to is in the history, which stays.
    pub runs: Option<Retained>,
    /// Keys of `Idempotency-Key`; 24h if not given. A request that is repeated later than that is a new one.
    pub idempotency_keys: Option<Retained>,
    /// Reservations of stock, after they were sold or given back; 720h if not given, and never less than an hour. Whoever asks once more with
    /// the key of one that is forgotten, an instance that was put back from an older backup for example, reserves anew.
    pub reservations: Option<Retained>,
    /// Finished instances, after their last change; forever if not given. Older ones are written to the files of `archive` and then
    /// removed, with their history.
    pub instances: Option<Retained>,
    /// Folder of these files, relative to the working directory; it is made. Needed where `instances` is a time.
    #[schemars(length(min = 1))]
    pub archive: Option<String>,
}

impl ModuleType for PersistenceStore {
    const TYPE: &'static str = "persistence.store";
    const ONE_OF: &'static [&'static str] = &[Self::TYPE];

    fn resolve(&self, at: At<'_>, context: &Context<'_>, draft: &mut Draft, findings: &mut Findings) -> Runs {
        let named = context.named(&self.database, &[Database::TYPE], &at.setting("database"), findings);
        let Some((entry, database)) = named.and_then(|entry| Some((entry.at, entry.settings::<Database>()?))) else { return Runs::Nothing };
        let (server, file) = match database.driver {
            Driver::Sqlite => (None, database.file().map(str::to_owned)),
            // Beside a server's database a process keeps some files of its own, and of two databases each has its own, also in one folder.
            Driver::Postgres => {
                let server = database.server().ok();
                let files = server.as_ref().map(|server| format!("./data/{}-{}", entry.name, server.short()));
                (server, files.or_else(|| Some(format!("./data/{}", entry.name))))
            }
        };
        let Some(file) = file else { return Runs::Nothing };
        draft.plan.is_database_placed = context.is_given(&entry.setting("dsn"));
        draft.plan.database = Some(plan::Database {
            name: at.name.to_owned(),
            path: files::absolute(&context.environment.working_dir, &file),
            server,
            create_if_missing: database.create_if_missing.unwrap_or(true),
            max_open_conns: database.max_open_conns.unwrap_or(4),
            max_outbox_events: self.max_outbox_events.unwrap_or(1_000_000),
            retention: self.retention.clone().unwrap_or_default().resolved(&at.setting("retention"), context, findings),
        });
        Runs::Store
    }
}

impl RetentionSettings {
    fn resolved(self, pointer: &str, context: &Context<'_>, findings: &mut Findings) -> Retention {
        let kept = |given: Option<Retained>, hours: u64| given.map_or(Some(Duration::from_hours(hours)), |kept| kept.0);
        let instances = self.instances.and_then(|kept| kept.0);
        if instances.is_some() && self.archive.is_none() {
            let help = "write archive: ./data/archive, a folder that finished instances are written to before they are removed, or instances: forever";
            let message = "`instances` is a time, and there is no `archive`";
            findings.error(child(pointer, "instances"), Code::InvalidValue, message, help.to_owned());
        }
        let folder = self.archive.map(|folder| files::absolute(&context.environment.working_dir, &folder));
        Retention {
            events: kept(self.events, 72),
            runs: kept(self.runs, 72),
            idempotency_keys: kept(self.idempotency_keys, 24),
            reservations: kept(self.reservations, 720),
            instances: instances.zip(folder).map(|(after, folder)| Archive { after, folder }),
        }
    }
}
