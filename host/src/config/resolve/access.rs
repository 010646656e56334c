//! Who may call each route, and whose the resources of each handler are: what was written in several places, made one.

use std::time::Duration;

use super::routes::creating;
use crate::config::context::Context;
use crate::config::finding::Findings;
use crate::config::leaf::{OwnerName, RoleList, ScopeName};
use crate::config::modules::api_handler::ApiHandler;
use crate::config::modules::auth_middleware::AuthMiddleware;
use crate::config::report::Code;
use crate::config::sections::RouteEntry;
use crate::plan::access::{Role, Roles};
use crate::plan::{Access, Endpoint, Middleware, Operation, Owner, ResourceHandler, Route, Scope, SudoAbove};

const OWNERS: &str =
    "write `owner: creator` where only who has created one may see and change it, or `owner: none` where they belong to nobody";

/// Adds its owner to each handler, then to each route who may call it.
pub(super) fn complete(context: &Context<'_>, routes: &mut [Option<Route>], resources: &mut [ResourceHandler], findings: &mut Findings) {
    for resource in resources.iter_mut() {
        resource.owner = owner(context, routes, &resource.name, findings);
    }
    let entries = context.workflows.http.iter().flat_map(|http| &http.routes);
    for (index, (entry, route)) in entries.zip(routes).enumerate() {
        let Some(route) = route else { continue };
        let pointer = format!("/workflows/http/routes/{index}");
        route.access = access(context, resources, (entry, route), &pointer, findings);
        route.scope = scope(resources, (entry, route), &pointer, findings);
        route.sudo = sudo(context, entry, route);
        route.sudo_above = sudo_above((entry, route), &pointer, findings);
    }
}

/// Whose the resources of the handler `name` are.
fn owner(context: &Context<'_>, routes: &[Option<Route>], name: &str, findings: &mut Findings) -> Owner {
    let Some(module) = context.module(name) else { return Owner::Nobody };
    let written = module.settings::<ApiHandler>().and_then(|settings| settings.owner);
    if let Some(written) = written {
        return match written {
            OwnerName::Creator => Owner::Creator,
            OwnerName::None => Owner::Nobody,
        };
    }
    let entries = context.workflows.http.iter().flat_map(|http| &http.routes);
    let of_route =
        entries.filter(|entry| entry.handler == name).any(|entry| entry.scope.is_some() || !written_roles(context, entry).is_empty());
    let of_action = module.settings::<ApiHandler>().is_some_and(|settings| settings.actions.values().any(|action| action.roles.is_some()));
    if of_route || of_action {
        let message = "it is written which roles may do what with its resources, but not whose they are";
        findings.error(module.at.pointer(), Code::MissingPart, message, OWNERS.to_owned());
    }
    let asks_for_a_token = creating(routes, name).is_some_and(|route| route.middlewares.contains(&Middleware::Auth));
    if asks_for_a_token { Owner::Creator } else { Owner::Nobody }
}

/// What a route and its middlewares say of roles, each with where it is written.
fn written_roles<'d>(context: &Context<'d>, entry: &'d RouteEntry) -> Vec<(String, &'d RoleList)> {
    let of_middleware = |name: &String| {
        let roles = context.module(name)?.settings::<AuthMiddleware>()?.roles.as_ref()?;
        Some((format!("those of '{name}'"), roles))
    };
    let own = entry.roles.iter().map(|roles| ("its own".to_owned(), roles));
    own.chain(entry.middlewares.iter().filter_map(of_middleware)).collect()
}

fn access(
    context: &Context<'_>,
    resources: &[ResourceHandler],
    (entry, route): (&RouteEntry, &Route),
    pointer: &str,
    findings: &mut Findings,
) -> Access {
    let mut written = written_roles(context, entry);
    if let Endpoint::Resource { handler, operation: Operation::Action(action) } = &route.endpoint {
        let action_entry = context.module(handler).and_then(|module| module.settings::<ApiHandler>()?.actions.get(action));
        written.extend(action_entry.and_then(|entry| entry.roles.as_ref()).map(|roles| (format!("those of the action '{action}'"), roles)));
    }
    let needs_token = route.middlewares.contains(&Middleware::Auth) || is_about_the_caller(&route.endpoint, resources);
    let asked = if needs_token { Access::SignedIn } else { Access::Anyone };
    let asked = match route.endpoint {
        Endpoint::Account(operation) => operation.roles().map_or(asked, |roles| asked.and(Access::Roles(roles))),
        _ => asked,
    };
    let access = written.iter().fold(asked, |access, (_, list)| access.and(Access::Roles(list.roles())));
    // A list without any role was reported already.
    if access == Access::Roles(Roles::default()) && written.iter().all(|(_, list)| !list.roles().is_empty()) {
        let lists: Vec<String> = written.iter().map(|(whose, list)| format!("{whose} are {}", list.roles().joined(", "))).collect();
        let message = format!("nobody may call {} {}: of its roles, {}", route.method, route.path, lists.join(", "));
        let at = if entry.roles.is_some() { "roles" } else { "path" };
        findings.error(format!("{pointer}/{at}"), Code::InvalidValue, message, "name a role that is in each of these lists".to_owned());
    }
    let names_staff = matches!(access, Access::Roles(roles) if !roles.and(Roles::STAFF).is_empty());
    if is_for_staff(&route.endpoint) && !names_staff {
        let message = format!("{} {} is for people with a role, but it is not written for which", route.method, route.path);
        let roles = if matches!(route.endpoint, Endpoint::Audit(_)) { Role::Admin } else { Role::Catalogue };
        findings.error(format!("{pointer}/path"), Code::MissingPart, message, format!("write `roles: [{}]`", roles.name()));
    }
    access
}

/// How long ago the password was asked for again, at most: the shortest of what is written, and of what the operation itself asks for.
fn sudo(context: &Context<'_>, entry: &RouteEntry, route: &Route) -> Option<Duration> {
    let own = if let Endpoint::Account(operation) = route.endpoint { operation.sudo() } else { None };
    let of_middleware = |name: &String| context.module(name)?.settings::<AuthMiddleware>()?.sudo.map(|given| given.0);
    own.into_iter().chain(entry.middlewares.iter().filter_map(of_middleware)).min()
}

/// For how much the password has to be shown again.
fn sudo_above((entry, route): (&RouteEntry, &Route), pointer: &str, findings: &mut Findings) -> Option<SudoAbove> {
    let written = entry.sudo_above.as_ref()?;
    let creates = matches!(&route.endpoint, Endpoint::Resource { operation: Operation::Create, .. });
    if !creates || route.access == Access::Anyone {
        let message = format!("{} {} creates nothing for somebody with a token", route.method, route.path);
        let help = "`sudoAbove` is for routes that create a resource and need a token".to_owned();
        findings.error(format!("{pointer}/sudoAbove"), Code::InvalidValue, message, help);
        return None;
    }
    let above = i64::try_from(written.above).unwrap_or(i64::MAX);
    Some(SudoAbove { field: written.field.clone(), above, within: written.within.0 })
}

/// Whether an answer depends on who asks, whatever the middlewares are.
fn is_about_the_caller(endpoint: &Endpoint, resources: &[ResourceHandler]) -> bool {
    match endpoint {
        Endpoint::Account(operation) => !operation.is_open(),
        Endpoint::Resource { handler, .. } => belong_to_somebody(resources, handler),
        Endpoint::Audit(_) => true,
        Endpoint::Proxy(_) => false,
    }
}

/// What no customer may ask for, whatever a config says.
fn is_for_staff(endpoint: &Endpoint) -> bool {
    matches!(endpoint, Endpoint::Audit(_) | Endpoint::Resource { operation: Operation::Shop(_), .. })
}

/// Whether some of the resources of a handler are not for customers.
fn are_products(resources: &[ResourceHandler], handler: &str) -> bool {
    resources.iter().any(|resource| resource.name == handler && resource.status_field.is_some())
}

fn belong_to_somebody(resources: &[ResourceHandler], handler: &str) -> bool {
    resources.iter().any(|resource| resource.name == handler && resource.owner == Owner::Creator)
}

fn scope(resources: &[ResourceHandler], (entry, route): (&RouteEntry, &Route), pointer: &str, findings: &mut Findings) -> Scope {
    let owned = matches!(&route.endpoint, Endpoint::Resource { handler, .. } if belong_to_somebody(resources, handler));
    if entry.scope != Some(ScopeName::All) {
        if owned && entry.scope.is_none() {
            warn_of_own_only(route, pointer, findings);
        }
        return Scope::Own;
    }
    let at = format!("{pointer}/scope");
    let hidden = matches!(&route.endpoint, Endpoint::Resource { handler, .. } if are_products(resources, handler));
    if !owned && !hidden {
        let message = format!("`scope: all` is about resources that belong to somebody, and those of '{}' do not", entry.handler);
        findings.error(at, Code::InvalidValue, message, "leave it out, or give the api.handler `owner: creator`".to_owned());
        return Scope::Own;
    }
    let names_staff = matches!(route.access, Access::Roles(roles) if !roles.and(Roles::STAFF).is_empty());
    if !names_staff && !matches!(route.access, Access::Roles(roles) if roles.is_empty()) {
        let message = "`scope: all` opens the resources of everybody, but no role is named that may see them; a customer never may";
        findings.error(at, Code::MissingPart, message, format!("list under `roles` who may; accepted: {}", Roles::STAFF.joined(", ")));
    }
    Scope::All
}

/// Who is let in for a role that no customer has is hardly meant to see only what they have made themselves.
fn warn_of_own_only(route: &Route, pointer: &str, findings: &mut Findings) {
    let Access::Roles(roles) = route.access else { return };
    let makes_one = matches!(route.endpoint, Endpoint::Resource { operation: Operation::Create, .. });
    if makes_one || roles.is_empty() || !roles.and(Roles::CUSTOMER).is_empty() {
        return;
    }
    let (method, path) = (&route.method, &route.path);
    let message =
        format!("only {} may call {method} {path}, and reach there what they have created themselves and nothing else", roles.joined(", "));
    let help = "write `scope: all` for the resources of everybody, or `scope: own` if this is meant".to_owned();
    findings.warning(format!("{pointer}/path"), Code::MissingKey, message, help);
}
