//! Who answers which path. The router of the running process is filled here for a trial, so that whatever it would not take is told
//! at its line instead of ending the process.

use std::collections::HashMap;

use matchit::{InsertError, Router};

use crate::config::context::Context;
use crate::config::finding::Findings;
use crate::config::modules::api_handler::ApiHandler;
use crate::config::modules::file_server::FileServer;
use crate::config::modules::health::HealthChecker;
use crate::config::report::Code;
use crate::plan::{Health, Plan, Route, paths};

/// Segments that no route names, so that only what stands for everything below a path matches them.
const ANYTHING: &str = "/\u{0}/\u{0}";

/// Somebody who answers a path.
struct Claim {
    /// As the router knows it.
    template: String,
    /// How a message calls it.
    who: String,
}

/// The paths that were claimed so far.
#[derive(Default)]
struct Claims {
    router: Router<usize>,
    made: Vec<Claim>,
    /// Positions in `made` by what comes before the first placeholder: only those that begin alike can be in each other's way.
    beginning_with: HashMap<String, Vec<usize>>,
}

/// Reports every two that want one path. `routes` are by their position in the config.
pub(super) fn check(context: &Context<'_>, plan: &Plan, routes: &[Option<Route>], findings: &mut Findings) {
    let mut claims = Claims::default();
    claims.add(paths::OPENAPI, "the description of the API", "", findings);
    if plan.metrics.is_some() {
        claims.add(paths::METRICS, "the metrics", "", findings);
    }
    if let Some((at, _)) = context.all::<ApiHandler>().into_iter().find(|(_, handler)| has_secret(handler)) {
        let template = paths::below(paths::RESERVATIONS);
        let pointer = at.setting("stock/secret");
        claims.add(&template, "the reservations of stock by other processes", &pointer, findings);
        claims.add(&paths::below(paths::ACCOUNTS), "what other processes ask of accounts", &pointer, findings);
        claims.add(paths::AGREEMENT, "the comparison of settings with other processes", &pointer, findings);
    }
    if let Some(health) = &plan.health {
        claims.add_probes(context, health, findings);
    }
    claims.add_routes(routes, findings);
    claims.check_files(context, plan, findings);
}

fn has_secret(handler: &ApiHandler) -> bool {
    handler.stock.as_ref().is_some_and(|stock| stock.secret.is_some())
}

/// What comes before the first placeholder.
fn fixed(template: &str) -> &str {
    template.split('{').next().unwrap_or_default()
}

impl Claims {
    /// Claims a path, unless somebody else has it, which is reported at `pointer`.
    fn add(&mut self, path: &str, who: &str, pointer: &str, findings: &mut Findings) {
        let template = paths::template(path);
        match self.router.insert(template.clone(), self.made.len()) {
            Ok(()) => {
                self.beginning_with.entry(fixed(&template).to_owned()).or_default().push(self.made.len());
                self.made.push(Claim { template, who: who.to_owned() });
            }
            Err(InsertError::Conflict { .. }) => {
                let taken = self.in_the_way_of(&template);
                let message = match taken.filter(|claim| claim.template == template) {
                    Some(same) => format!("'{path}' is the path of {} already", same.who),
                    None => {
                        let whose = taken.map_or_else(|| "another one".to_owned(), |claim| claim.who.clone());
                        format!("'{path}' and {whose} want the same requests: neither of the two is the closer match")
                    }
                };
                findings.error(pointer, Code::Duplicate, message, "give one of the two another path".to_owned());
            }
            Err(error) => findings.error(pointer, Code::InvalidValue, format!("'{path}' is not a path of a route: {error}"), None),
        }
    }

    /// What `template` cannot stand beside. The router names it only in part.
    fn in_the_way_of(&self, template: &str) -> Option<&Claim> {
        let alike = self.beginning_with.get(fixed(template)).map(Vec::as_slice).unwrap_or_default();
        alike.iter().filter_map(|at| self.made.get(*at)).find(|claim| {
            let mut pair = Router::new();
            pair.insert(claim.template.as_str(), ()).is_ok() && pair.insert(template, ()).is_err()
        })
    }

    fn add_probes(&mut self, context: &Context<'_>, health: &Health, findings: &mut Findings) {
        let Some((at, written)) = context.first::<HealthChecker>() else { return };
        let probes = [
            (&health.health_path, &written.health_path, "healthPath"),
            (&health.ready_path, &written.ready_path, "readyPath"),
            (&health.live_path, &written.live_path, "livePath"),
        ];
        for (path, written, key) in probes {
            let pointer = if written.is_some() { at.setting(key) } else { at.pointer() };
            self.add(path, &format!("`{key}`"), &pointer, findings);
        }
    }

    /// Routes of one path and several methods share it; two of one method are reported as such elsewhere.
    fn add_routes(&mut self, routes: &[Option<Route>], findings: &mut Findings) {
        let mut ours: HashMap<String, usize> = HashMap::new();
        for (index, route) in routes.iter().enumerate() {
            let Some(route) = route else { continue };
            if ours.insert(paths::template(&route.path), index).is_none() {
                let who = format!("route number {}, {} {}", index + 1, route.method, route.path);
                self.add(&route.path, &who, &format!("/workflows/http/routes/{index}/path"), findings);
            }
        }
    }

    /// Files are what answers when nothing else does.
    fn check_files(&self, context: &Context<'_>, plan: &Plan, findings: &mut Findings) {
        for ((at, written), files) in context.all::<FileServer>().into_iter().zip(&plan.files) {
            let pointer = if written.prefix.is_some() { at.setting("prefix") } else { at.pointer() };
            let prefix = files.prefix.trim_end_matches('/');
            let exactly = if prefix.is_empty() { None } else { self.router.at(prefix).ok() };
            let below = format!("{prefix}{ANYTHING}");
            let found = self.router.at(&below).ok().or(exactly);
            if let Some(claim) = found.and_then(|found| self.made.get(*found.value)) {
                let message = format!("files under '{}' are never served: {} answers there", files.prefix, claim.who);
                findings.error(pointer, Code::Duplicate, message, "give one of the two another path".to_owned());
            }
        }
    }
}
