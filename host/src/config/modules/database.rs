//! `database.workflow`: the database, a file of SQLite or one on a server of PostgreSQL.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::context::{At, Context};
use crate::config::finding::Findings;
use crate::config::module_type::{Draft, ModuleType};
use crate::config::report::Code;
use crate::plan::Runs;
use crate::store::Dsn;

/// Schemes that people put before the path of an SQLite file.
const DSN_SCHEMES: [&str; 3] = ["sqlite://", "sqlite:", "file:"];

/// `database.workflow`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Database {
    /// Kind of database; `sqlite` if not given.
    #[serde(default)]
    pub driver: Driver,
    /// Of `sqlite` the database file, relative to the working directory; its folder is made. Of `postgres` where the database is:
    /// `postgres://user:password@host:5432/name`, with `?sslmode=verify-full` where the network is not trusted. It belongs in a variable, because
    /// of the password.
    #[schemars(length(min = 1))]
    pub dsn: String,
    /// Whether a database is made where none is; true if not given. A place that has one says false: then a start before its disk is mounted
    /// is refused, and makes no empty database. Only of `sqlite`: on a server somebody makes the database before.
    pub create_if_missing: Option<bool>,
    /// Connections that read; 4 if not given. One more writes.
    #[schemars(range(min = 1, max = 64))]
    pub max_open_conns: Option<u32>,
}

/// Kind of database.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(extend("x-expected" = "sqlite or postgres"))]
pub enum Driver {
    /// One file.
    #[default]
    Sqlite,
    /// A database on a server of PostgreSQL, 13 or newer.
    Postgres,
}

impl ModuleType for Database {
    const TYPE: &'static str = "database.workflow";
    const ONE_OF: &'static [&'static str] = &[Self::TYPE];

    fn resolve(&self, at: At<'_>, _: &Context<'_>, _: &mut Draft, findings: &mut Findings) -> Runs {
        if self.driver == Driver::Postgres {
            // Without the text, which may have a password.
            if let Err(reason) = self.server() {
                let help = "write postgres://user:password@host:5432/name, best as a variable such as ${DATABASE_URL}".to_owned();
                findings.error(
                    at.setting("dsn"),
                    Code::InvalidValue,
                    format!("it does not say where a database of PostgreSQL is: {reason}"),
                    help,
                );
            }
            if self.create_if_missing.is_some() {
                let help = "leave it out; the server's administrator makes the database: CREATE DATABASE".to_owned();
                findings.error(at.setting("createIfMissing"), Code::InvalidValue, "it is for a file of SQLite".to_owned(), help);
            }
            return Runs::Nothing;
        }
        if self.dsn.starts_with("postgres://") || self.dsn.starts_with("postgresql://") {
            let help = "write driver: postgres beside it".to_owned();
            findings.error(
                at.setting("dsn"),
                Code::InvalidValue,
                "it names a server of PostgreSQL, and `driver` is sqlite".to_owned(),
                help,
            );
        } else if self.file().is_none() && !self.dsn.is_empty() {
            let help = "write a path such as ./data/store.db; what is only in memory survives nothing".to_owned();
            findings.error(at.setting("dsn"), Code::InvalidValue, format!("'{}' does not name a file", self.dsn), help);
        } else if self.dsn.split_once('?').is_some_and(|(_, options)| options.contains('/')) {
            let message = format!("'{}' has a question mark within its path, and what follows one is taken for options", self.dsn);
            let help = "give the folder another name; options are such as data/store.db?cache=shared, and change nothing".to_owned();
            findings.error(at.setting("dsn"), Code::InvalidValue, message, help);
        }
        Runs::Nothing
    }
}

impl Database {
    /// Where it is on a server.
    ///
    /// # Errors
    /// What is wrong with its `dsn`, a clause.
    pub(super) fn server(&self) -> Result<Dsn, String> {
        Dsn::parse(&self.dsn)
    }

    /// The file of its `dsn`.
    pub(super) fn file(&self) -> Option<&str> {
        let dsn = DSN_SCHEMES.iter().find_map(|scheme| self.dsn.strip_prefix(scheme)).unwrap_or(&self.dsn);
        let path = dsn.split('?').next().unwrap_or_default();
        (!path.is_empty() && !path.contains(":memory:") && !path.ends_with('/')).then_some(path)
    }
}
