//! Components, what they may do, and the runtime they run in.

use std::path::Path;

use super::parts::check_secret;
use super::{Context, files, pick, setting, values};
use crate::config::document::Settings;
use crate::config::finding::Findings;
use crate::config::modules::{DynamicComponent, GrantSettings};
use crate::config::report::Code;
use crate::config::tree::child;
use crate::plan::{Database, INTERNAL_HEADER};
use crate::proxies;
use crate::runtime::{self, Capabilities, ComponentSettings, Credential, Expect, Grant, GrantTarget, Limits};

/// Attempts that run at once if the config does not say: an attempt that waits for an answer costs some address space and a few pages,
/// and those that hang for their whole time-out should leave room.
const MAX_CONCURRENT_RUNS: u32 = 512;

/// Header that carries the secret which processes of an installation share.
const INTERNAL_SECRET: &str = "X-Internal-Secret";

/// Every `dynamic.component`; one that nothing runs is warned of.
pub(super) fn components(context: &Context<'_>, findings: &mut Findings) -> Vec<ComponentSettings> {
    let mut components = Vec::new();
    for (index, module, settings) in context.all(pick!(DynamicComponent)) {
        if !is_run(context, &module.name, settings.component_id.as_deref()) {
            let help = "name it in a processing.step, in a hook, or as the `component` of a messaging.handler".to_owned();
            findings.warning(format!("/modules/{index}"), Code::Unused, format!("nothing runs the component '{}'", module.name), help);
        }
        let wasm = Path::new(&settings.source).extension().is_some_and(|e| e == "wasm");
        if !wasm && !settings.source.is_empty() {
            let help =
                "compile it with cargo build --target wasm32-wasip2 (or any language's component tools) and name that file".to_owned();
            findings.error(setting(index, "source"), Code::InvalidValue, format!("'{}' is not a .wasm file", settings.source), help);
        }
        let source = files::absolute(context.base, &settings.source);
        if wasm && !source.is_file() {
            // It may come, and there may be a copy of its last good version: the process can start and wait.
            let message = format!("component file '{}' is not there", settings.source);
            let help = format!("it was looked for at {} (relative to the config file)", source.display());
            findings.warning(setting(index, "source"), Code::MissingFile, message, help);
        }
        components.push(ComponentSettings {
            name: module.name.clone(),
            source,
            description: settings.description.clone().unwrap_or_default(),
            expect: Expect {
                name: settings.expect.name.clone(),
                digest: settings.expect.digest.as_deref().and_then(|digest| digest.strip_prefix("sha256:")).map(str::to_owned),
            },
            config: settings.config.clone(),
            capabilities: capabilities(context, settings, index, findings),
            limits: limits(settings),
        });
    }
    components
}

/// Module name of the component that a step, hook or handler names; also by its `componentId`.
pub(super) fn component_named(context: &Context<'_>, name: &str, pointer: &str, findings: &mut Findings) -> Option<String> {
    let by_id =
        context.all(pick!(DynamicComponent)).into_iter().find(|(_, _, c)| c.component_id.as_deref() == Some(name) && !name.is_empty());
    match by_id {
        Some((_, module, _)) => Some(module.name.clone()),
        None => context.named(name, &["dynamic.component"], pointer, findings).map(|(_, module, _)| module.name.clone()),
    }
}

fn is_run(context: &Context<'_>, name: &str, id: Option<&str>) -> bool {
    let is = |given: &str| given == name || Some(given) == id;
    let hooks = context.document.workflows.statemachine.iter().flat_map(|s| &s.hooks);
    context.all(pick!(ProcessingStep)).iter().any(|(_, _, step)| is(&step.component_id))
        || context.all(pick!(MessagingHandler)).iter().any(|(_, _, handler)| handler.component.as_deref().is_some_and(is))
        || hooks.into_iter().any(|hook| is(&hook.handler))
}

fn capabilities(context: &Context<'_>, settings: &DynamicComponent, index: usize, findings: &mut Findings) -> Capabilities {
    let mut http: Vec<Grant> = Vec::new();
    for (i, entry) in settings.capabilities.http.iter().enumerate() {
        let pointer = setting(index, &format!("capabilities/http/{i}"));
        if !entry.service.is_empty() && http.iter().any(|g| g.service == entry.service) {
            findings.error(
                child(&pointer, "service"),
                Code::Duplicate,
                format!("the service '{}' is already granted", entry.service),
                None,
            );
        }
        http.extend(grant(context, entry, &pointer, findings));
    }
    let config = settings.capabilities.config.iter().map(|(key, value)| (key.clone(), value.0.clone())).collect();
    Capabilities { http, config }
}

fn grant(context: &Context<'_>, entry: &GrantSettings, pointer: &str, findings: &mut Findings) -> Option<Grant> {
    for name in entry.headers.keys().filter(|name| http::HeaderName::from_bytes(name.as_bytes()).is_err()) {
        findings.error(child(&child(pointer, "headers"), name), Code::InvalidValue, format!("'{name}' is not the name of a header"), None);
    }
    for (name, _) in entry.headers.iter().filter(|(_, value)| value.0.is_empty()) {
        let message = format!("the header '{name}' is empty, so '{}' is asked without it", entry.service);
        let help = "set the variable that it is made of, or leave the header out".to_owned();
        findings.warning(child(&child(pointer, "headers"), name), Code::MissingPart, message, help);
    }
    for (name, value) in entry.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(INTERNAL_SECRET)) {
        check_secret(context, &value.0, &child(&child(pointer, "headers"), name), findings);
    }
    let target = match (&entry.url, &entry.handler) {
        (Some(url), None) => {
            let base = values::base_url(url);
            if base.is_none() && !url.is_empty() {
                let message = format!("'{url}' is not a base URL");
                findings.error(child(pointer, "url"), Code::InvalidValue, message, "write http://host:port/path".to_owned());
            }
            let base = base?;
            warn_of_proxy(context, &entry.service, &base, pointer, findings);
            GrantTarget::Url(base)
        }
        (None, Some(handler)) => {
            let (_, module, _) = context.named(handler, &["api.handler"], &child(pointer, "handler"), findings)?;
            GrantTarget::Handler(module.name.clone())
        }
        (given, _) => {
            let has = if given.is_some() { "both `url` and `handler`" } else { "neither `url` nor `handler`" };
            let message = format!("the service '{}' has {has}", entry.service);
            findings.error(
                pointer,
                Code::InvalidValue,
                message,
                "give one: where the service is, or which api.handler of this config it is".to_owned(),
            );
            return None;
        }
    };
    let headers =
        entry.headers.iter().filter(|(_, value)| !value.0.is_empty()).map(|(name, value)| (name.clone(), value.0.clone())).collect();
    Some(Grant { service: entry.service.clone(), target, headers, credential: credential(context, entry, pointer) })
}

/// Where a proxy seems to be meant that is not used.
fn warn_of_proxy(context: &Context<'_>, service: &str, url: &str, pointer: &str, findings: &mut Findings) {
    let Some(proxy) = proxies::used_for(&context.environment.variables, url).filter(|_| proxies::is_outside(url)) else { return };
    let message = format!("'{service}' is called directly, and not through the proxy of {proxy}: components are given no proxy");
    let help = "grant the address of a forwarder if it cannot be reached directly; name it in NO_PROXY if it can".to_owned();
    findings.warning(child(pointer, "url"), Code::Unused, message, help);
}

/// What a service knows this process by: headers of the operator's, set or not.
fn credential(context: &Context<'_>, entry: &GrantSettings, pointer: &str) -> Option<Credential> {
    let is_ours = |name: &&String| name.eq_ignore_ascii_case(INTERNAL_HEADER);
    let name = entry.headers.keys().find(is_ours).or_else(|| entry.headers.keys().next())?;
    let at = child(&child(pointer, "headers"), name);
    Some(Credential { name: context.called(&at, &format!("the header '{name}'")), internal: is_ours(&name) })
}

fn limits(settings: &DynamicComponent) -> Limits {
    let given = &settings.limits;
    let default = Limits::default();
    Limits {
        memory_bytes: given.memory_mb.map_or(default.memory_bytes, |mb| (mb as usize) << 20),
        cpu: given.cpu_ms.map_or(default.cpu, |ms| std::time::Duration::from_millis(ms.into())),
        host_calls: given.host_calls.unwrap_or(default.host_calls),
        answer_bytes: given.answer_kb.map_or(default.answer_bytes, |kb| (kb as usize) << 10),
    }
}

/// The sandbox, where there are components. What it compiles lies beside the database.
pub(super) fn runtime(context: &Context<'_>, database: Option<&Database>, components: &[ComponentSettings]) -> Option<runtime::Settings> {
    if components.is_empty() {
        return None;
    }
    let runs =
        context.first(pick!(StateMachineEngine)).and_then(|(_, _, engine)| engine.max_concurrent_runs).unwrap_or(MAX_CONCURRENT_RUNS);
    let data = database.and_then(|d| d.path.parent()).map_or_else(|| context.environment.working_dir.join("data"), Path::to_path_buf);
    Some(runtime::Settings {
        cache_dir: data.join("components-cache"),
        compiler: context.environment.program.clone(),
        max_concurrent_runs: usize::try_from(runs).unwrap_or(runtime::MAX_RUNS),
    })
}

/// Whether settings are those of a component.
pub(super) fn is_component(settings: &Settings) -> bool {
    matches!(settings, Settings::DynamicComponent(_))
}
