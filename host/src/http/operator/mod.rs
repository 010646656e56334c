//! What is for those who run the process, at an address of its own: instances, what waits, components, the config.
//!
//! One list (`operations.rs`) is what there is: the router, the description and `millrace routes` are made from it.

mod components;
mod config;
mod copilot;
mod gate;
mod instances;
mod live;
mod need;
mod operations;
mod pages;
mod processes;
mod session;
mod templates;
mod waiting;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::MethodRouter;

use super::state::{AppState, Route, Serving};
use crate::plan::{self, Access, Scope};

pub(super) use need::Need;
pub(super) use operations::{OPERATIONS, Operation};
pub(super) use pages::files;
pub(super) use session::process_name;

use gate::Gate;

/// What answers below the prefix of `settings`.
pub(super) fn routes(state: &Arc<AppState>, settings: &plan::Operator) -> Router {
    let gate = Arc::new(Gate::new(Arc::clone(state), settings));
    let mut routes: BTreeMap<String, MethodRouter> = BTreeMap::new();
    for operation in OPERATIONS {
        // Who may call it, the gate says: it knows what no route of a config does, whether somebody is on this machine.
        let name = format!("{} {}{}", operation.method, settings.prefix, operation.path);
        let (handler, operation_id) = (settings.name.clone(), operation.id.to_owned());
        let route = Route {
            handler,
            operation: operation_id,
            name,
            access: Access::Anyone,
            scope: Scope::All,
            sudo: None,
            sudo_above: None,
            enrols: false,
        };
        let serving = Serving { app: Arc::clone(state), route: Arc::new(route) };
        let guarded = (operation.handler)().route_layer(from_fn_with_state((Arc::clone(&gate), operation), gate::admit));
        let methods = routes.entry(format!("{}{}", settings.prefix, operation.path)).or_default();
        *methods = std::mem::take(methods).merge(guarded.with_state(serving));
    }
    routes.into_iter().fold(Router::new(), |router, (path, methods)| router.route(&path, methods))
}

/// `routes` of customers that answer here too, where no other origin is told anything.
pub(super) fn guarded(state: &Arc<AppState>, settings: &plan::Operator, routes: Router) -> Router {
    routes.route_layer(from_fn_with_state(Arc::new(Gate::new(Arc::clone(state), settings)), gate::admit_here))
}
