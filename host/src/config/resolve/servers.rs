//! Which listener is whose: one is for the routes, the files and the probes, one for those who run the process.

use crate::config::context::Context;
use crate::config::finding::Findings;
use crate::config::module_type::ModuleType as _;
use crate::config::modules::http_server::HttpServer;
use crate::config::modules::operator_api::OperatorApi;
use crate::config::report::Code;
use crate::plan::{Plan, Server};

/// Gives each of `servers`, known by the position of its module, to what answers there.
pub(super) fn assign(context: &Context<'_>, servers: Vec<(usize, Server)>, plan: &mut Plan, findings: &mut Findings) {
    let of_operator = operators_server(context, findings);
    let of_routes = context.workflows.http.as_ref().and_then(|http| context.module(&http.server)).map(|entry| entry.at.index);
    let is_free = |index: &usize| Some(*index) != of_operator;
    let public = of_routes.filter(is_free).or_else(|| context.all::<HttpServer>().iter().map(|(at, _)| at.index).find(is_free));
    for (at, _) in context.all::<HttpServer>() {
        if is_free(&at.index) && Some(at.index) != public {
            let first = public.and_then(|index| context.modules.get(index)).map_or("", |entry| entry.at.name);
            let message = format!("a process has one http.server for its routes, and '{first}' is it");
            let help = "remove one of the two, or name it as the `server` of an operator.api".to_owned();
            findings.error(format!("{}/type", at.pointer()), Code::Duplicate, message, help);
        }
    }
    for (index, server) in servers {
        if Some(index) == public {
            plan.server = Some(server);
        } else if Some(index) == of_operator
            && let Some((at, settings)) = context.first::<OperatorApi>()
        {
            settings.check_copilot(at, &server, findings);
            plan.operator = Some(settings.listening(at, server, context));
        }
    }
    if let (Some(operator), Some(server), Some((at, _))) = (&plan.operator, &plan.server, context.first::<OperatorApi>())
        && operator.server.address == server.address
        && server.address.port() != 0
    {
        let message = format!("its server '{}' has the address of '{}' ({})", operator.server.name, server.name, server.address);
        let help = "give it an address of its own that customers do not reach, such as 127.0.0.1:9080".to_owned();
        findings.error(at.setting("server"), Code::InvalidValue, message, help);
    }
}

/// Position of the server that the `operator.api` names, if it is one of its own.
fn operators_server(context: &Context<'_>, findings: &mut Findings) -> Option<usize> {
    let (at, settings) = context.first::<OperatorApi>()?;
    let server = context.named(&settings.server, &[HttpServer::TYPE], &at.setting("server"), findings)?;
    let serves_routes = context.workflows.http.as_ref().is_some_and(|http| http.server == settings.server);
    if serves_routes {
        let message = format!("'{}' serves the routes, and customers reach it", settings.server);
        let help = "add a second http.server with an address of its own, such as 127.0.0.1:9080, and name that".to_owned();
        findings.error(at.setting("server"), Code::InvalidValue, message, help);
        return None;
    }
    Some(server.at.index)
}
