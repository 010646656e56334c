//! The file that a command is about, and what it would have where it serves.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::builder::{OsStringValueParser, TypedValueParser as _};

use crate::clock::Clock;
use crate::commands::{refused, this_program};
use crate::config::{self, Environment};
use crate::runtime::{
    CACHE_KEY, ComponentSettings, EventGrant, Grant, GrantTarget, InProcess, KvGrant, Source, Workbench, check_authorities,
};

/// The file, and as which component it is meant.
#[derive(Debug, clap::Args)]
pub struct Subject {
    /// The component.
    file: PathBuf,
    /// Config whose component the file is to be: its grants, limits, configuration and `expect` count.
    #[arg(long, short)]
    config: Option<PathBuf>,
    /// Name of the `dynamic.component` of that config; not needed if only one has a file of this name.
    #[arg(long, requires = "config")]
    component: Option<String>,
    /// Grant an HTTP service, as `capabilities.http` does. May be given again.
    #[arg(long, value_name = "SERVICE=URL", value_parser = grant)]
    grant: Vec<(String, String)>,
    /// Grant a value of `wasi:config/store`, as `capabilities.config` does. May be given again.
    #[arg(long, value_name = "KEY=VALUE", value_parser = value)]
    value: Vec<(String, String)>,
    /// Grant a state of its own, as `capabilities.kv: {}` does.
    #[arg(long)]
    kv: bool,
    /// Grant a type of business events, as `capabilities.events` does. May be given again.
    #[arg(long, value_name = "TYPE")]
    event: Vec<String>,
    /// Where compiled code is kept.
    #[command(flatten)]
    cache: Cache,
}

/// Where compiled code is kept from one command to the next.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Cache {
    /// Keep compiled code in this folder, private to you, so that the same file is compiled once.
    #[arg(id = "cache", long, env = "MILLRACE_CACHE", value_name = "FOLDER", value_parser = OsStringValueParser::new().map(PathBuf::from))]
    folder: Option<PathBuf>,
}

impl Cache {
    /// The folder; a variable that is empty names none, as for a host that serves.
    fn folder(&self) -> Option<&Path> {
        self.folder.as_deref().filter(|folder| !folder.as_os_str().is_empty())
    }
}

/// A grant as it is written: a service and where it is.
pub(super) fn grant(text: &str) -> Result<(String, String), String> {
    let (service, url) = text.split_once('=').ok_or("expected SERVICE=URL, for example stock=http://127.0.0.1:8081")?;
    let is_name = !service.is_empty() && service.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    if is_name {
        Ok((service.to_owned(), url.to_owned()))
    } else {
        Err(format!("'{service}' is no name of a service: letters, digits, '-', '.' and '_'"))
    }
}

fn value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("expected KEY=VALUE, for example region=eu")?;
    Ok((key.to_owned(), value.to_owned()))
}

impl Subject {
    /// A file without a config, with these grants.
    pub(super) fn alone(file: &Path, grant: &[(String, String)], cache: &Cache) -> Self {
        Self {
            file: file.to_owned(),
            config: None,
            component: None,
            grant: grant.to_vec(),
            value: Vec::new(),
            kv: false,
            event: Vec::new(),
            cache: cache.clone(),
        }
    }

    /// A file that is to be a component of a config.
    pub(super) fn of(file: &Path, config: &Path, component: Option<&str>, cache: &Cache) -> Self {
        Self { config: Some(config.to_owned()), component: component.map(str::to_owned), ..Self::alone(file, &[], cache) }
    }

    /// The file as people have written it.
    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// What the file is judged by. None if the config is wrong, which was told then.
    pub(super) fn settings(&self) -> anyhow::Result<Option<ComponentSettings>> {
        let settings = self.configured()?;
        Ok(settings.map(|settings| ComponentSettings { source: Source::File(self.file.clone()), ..settings }))
    }

    /// The same, and where the config has the file of the component, of one reading of it.
    pub(super) fn settings_and_place(&self) -> anyhow::Result<Option<(ComponentSettings, PathBuf)>> {
        let Some(mut settings) = self.configured()? else { return Ok(None) };
        let place = std::mem::replace(&mut settings.source, Source::File(self.file.clone()));
        Ok(Some((settings, file_of(place)?)))
    }

    /// As the config has it, with what was granted beside that.
    fn configured(&self) -> anyhow::Result<Option<ComponentSettings>> {
        let mut settings = match &self.config {
            None => self.unconfigured(),
            Some(config) => {
                let plan = match config::describe(config, &Environment::without_secret_files()?) {
                    Ok(plan) => plan,
                    Err(report) => {
                        refused(&report);
                        return Ok(None);
                    }
                };
                self.of_config(config, plan.components)?
            }
        };
        if self.grant.iter().any(|(_, url)| url.starts_with("https:")) {
            check_authorities(&Environment::without_secret_files()?.variables).map_err(|why| anyhow::anyhow!(why))?;
        }
        for (service, url) in &self.grant {
            settings.capabilities.http.retain(|granted| granted.service != *service);
            let target = GrantTarget::Url(url.clone());
            settings.capabilities.http.push(Grant { service: service.clone(), target, headers: Vec::new(), credential: None });
        }
        for (key, value) in &self.value {
            settings.capabilities.config.retain(|(granted, _)| granted != key);
            settings.capabilities.config.push((key.clone(), value.clone()));
        }
        if self.kv {
            settings.capabilities.kv.get_or_insert(KvGrant::USUAL);
        }
        for event_type in &self.event {
            settings.capabilities.events.retain(|declared| declared.event_type != *event_type);
            settings.capabilities.events.push(EventGrant { event_type: event_type.clone(), topic: event_type.clone() });
        }
        Ok(Some(settings))
    }

    /// The place to judge and try it. Modules that it may call answer as `services` say.
    pub(super) fn workbench(&self, settings: ComponentSettings, services: &HashMap<String, InProcess>) -> anyhow::Result<Workbench> {
        self.check_cache()?;
        Workbench::new(this_program()?, settings, services, self.cache.folder(), Clock::system())
    }

    /// A folder with files of its author's own is closed to nobody and gets nothing put into it.
    fn check_cache(&self) -> anyhow::Result<()> {
        let Some(folder) = self.cache.folder() else { return Ok(()) };
        let is_empty = std::fs::read_dir(folder).map_or(true, |mut entries| entries.next().is_none());
        anyhow::ensure!(
            is_empty || folder.join(CACHE_KEY).is_file(),
            "the folder '{}' for --cache has other files: name a new or empty one, or one that this program has made",
            folder.display()
        );
        Ok(())
    }

    /// Without a config it is named by its file.
    fn unconfigured(&self) -> ComponentSettings {
        let name = self.file.file_stem().map_or_else(|| "component".to_owned(), |stem| stem.to_string_lossy().into_owned());
        ComponentSettings::unconfigured(name, Source::File(self.file.clone()))
    }

    fn of_config(&self, config: &Path, components: Vec<ComponentSettings>) -> anyhow::Result<ComponentSettings> {
        let names = || components.iter().map(|one| format!("'{}'", one.name)).collect::<Vec<_>>().join(", ");
        let is_meant = |one: &&ComponentSettings| match &self.component {
            Some(name) => one.name == *name,
            None => one.source.file_name().as_deref().map(OsStr::new) == self.file.file_name(),
        };
        let meant: Vec<&ComponentSettings> = components.iter().filter(is_meant).collect();
        match (meant.as_slice(), &self.component) {
            ([one], _) => Ok((*one).clone()),
            (_, _) if components.is_empty() => bail!("{} has no module of the type dynamic.component", config.display()),
            (_, Some(name)) => bail!("{} has no component '{name}'; it has {}", config.display(), names()),
            ([], None) => {
                bail!(
                    "no component of {} has a file of this name: say which it is to be by --component: {}; or add it there with `millrace add`",
                    config.display(),
                    names()
                )
            }
            (_, None) => {
                bail!("several components of {} have this file: say which it is to be by --component: {}", config.display(), names())
            }
        }
    }
}

/// The file that a component is put into.
pub(super) fn file_of(source: Source) -> anyhow::Result<PathBuf> {
    match source {
        Source::File(path) => Ok(path),
        Source::Registry(artifact) => bail!("the config has the component from {artifact}: push it there with `millrace push`"),
    }
}

/// The text of a file that a command was given.
pub(super) fn read(what: &str, path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {what} '{}'", path.display()))
}
