//! Everything that there is, as one list.

use axum::routing::{MethodRouter, delete, get, post, put};
use serde_json::Value;

use super::need::Need;
use super::{components, config, copilot, instances, live, processes, session, templates, waiting};
use crate::http::openapi::{self, Schemas};
use crate::http::state::Serving;
use crate::services::console::{
    AppliedBody, AppliedResult, AskBody, AskResult, Bulk, BulkResult, CanaryAnswer, CanaryBody, CheckBody, CompareBody, CompareResult,
    ComponentDetail, ComponentList, CountBody, Done, HistoryBody, InstanceBody, InstancePage, MendBody, MendResult, NewComponentBody,
    PlaceBody, PlacedBody, PlanBody, RecordingList, ReplayBody, ReplayResult, RollbackBody, SaveBody, SaveResult, SavedText, StopBody,
    SwapBody, SwapResult, TextBody, TrialBody, TrialResult, VersionBody, WaitingBody, Written,
};

/// One line of the list.
#[derive(Debug)]
pub(in crate::http) struct Operation {
    /// Its name in the description and in the metrics.
    pub(in crate::http) id: &'static str,
    pub(in crate::http) method: &'static str,
    /// Below the prefix.
    pub(in crate::http) path: &'static str,
    /// What it is for, in a few words.
    pub(in crate::http) summary: &'static str,
    pub(in crate::http) need: Need,
    /// What its query may say.
    pub(in crate::http) parameters: &'static [Parameter],
    /// What its body is read into.
    pub(in crate::http) body: Option<Described>,
    /// What it answers, with its media type.
    pub(in crate::http) answer: (Described, &'static str),
    pub(super) handler: fn() -> MethodRouter<Serving>,
}

/// What a body or an answer is.
type Described = fn(&mut Schemas) -> Value;

/// One thing that a query may say.
#[derive(Debug)]
pub(in crate::http) struct Parameter {
    pub(in crate::http) name: &'static str,
    pub(in crate::http) description: &'static str,
    /// `string`, `boolean` or `integer`.
    pub(in crate::http) schema: &'static str,
}

const fn text(name: &'static str, description: &'static str) -> Parameter {
    Parameter { name, description, schema: "string" }
}

const fn flag(name: &'static str, description: &'static str) -> Parameter {
    Parameter { name, description, schema: "boolean" }
}

const fn whole(name: &'static str, description: &'static str) -> Parameter {
    Parameter { name, description, schema: "integer" }
}

const CURSOR: Parameter = text("cursor", "The `nextCursor` of the page before, unchanged");
const LIMIT: Parameter = whole("limit", "Entries of the page, 1 to 200; 50 if not given");
const FILTER: [Parameter; 10] = [
    text("kind", "Kind of the resource"),
    text("workflow", "Name of the workflow"),
    text("state", "State"),
    flag("finished", "Whether it has ended"),
    flag("attention", "`true`: only those that ask for a person"),
    flag("held", "`true`: only those that are held"),
    text("owner", "Id of the user it belongs to"),
    text("digest", "Beginning of the digest of a component that has moved it, 6 hex digits or more"),
    text("text", "A part of its id"),
    text("olderThan", "How long ago it last changed at least, such as 5m"),
];
const LIST: [Parameter; 12] = {
    let [kind, workflow, state, finished, attention, held, owner, digest, text, older] = FILTER;
    [kind, workflow, state, finished, attention, held, owner, digest, text, older, CURSOR, LIMIT]
};

const JSON: &str = "application/json";

/// A `GET` that answers JSON and may be called by who may look.
const fn look(
    id: &'static str,
    path: &'static str,
    summary: &'static str,
    parameters: &'static [Parameter],
    answer: Described,
    handler: fn() -> MethodRouter<Serving>,
) -> Operation {
    Operation { id, method: "GET", path, summary, need: Need::See, parameters, body: None, answer: (answer, JSON), handler }
}

/// A deed about one instance.
const fn deed(id: &'static str, path: &'static str, summary: &'static str, handler: fn() -> MethodRouter<Serving>) -> Operation {
    Operation {
        id,
        method: "POST",
        path,
        summary,
        need: Need::Act,
        parameters: &[],
        body: Some(|schemas| schemas.request::<instances::DeedBody>()),
        answer: (|schemas| schemas.answer::<Done>(), JSON),
        handler,
    }
}

/// Something that mends what waits.
const fn mend(id: &'static str, path: &'static str, summary: &'static str, handler: fn() -> MethodRouter<Serving>) -> Operation {
    Operation {
        id,
        method: "POST",
        path,
        summary,
        need: Need::Mend,
        parameters: &[],
        body: Some(|schemas| schemas.request::<MendBody>()),
        answer: (|schemas| schemas.answer::<MendResult>(), JSON),
        handler,
    }
}

/// Another version of a component.
const fn design(
    id: &'static str,
    path: &'static str,
    summary: &'static str,
    (body, answer): (Option<Described>, Described),
    handler: fn() -> MethodRouter<Serving>,
) -> Operation {
    Operation { id, method: "POST", path, summary, need: Need::Design, parameters: &[], body, answer: (answer, JSON), handler }
}

/// Another text that is to be the config.
const fn deploy(
    id: &'static str,
    (method, path): (&'static str, &'static str),
    summary: &'static str,
    body: Described,
    handler: fn() -> MethodRouter<Serving>,
) -> Operation {
    Operation {
        id,
        method,
        path,
        summary,
        need: Need::Deploy,
        parameters: &[],
        body: Some(body),
        answer: (|schemas| schemas.answer::<SaveResult>(), JSON),
        handler,
    }
}

/// A text of a config that is judged; nothing changes by it.
const fn judge(
    id: &'static str,
    path: &'static str,
    summary: &'static str,
    answer: Described,
    handler: fn() -> MethodRouter<Serving>,
) -> Operation {
    Operation {
        id,
        method: "POST",
        path,
        summary,
        need: Need::See,
        parameters: &[],
        body: Some(|schemas| schemas.request::<TextBody>()),
        answer: (answer, JSON),
        handler,
    }
}

/// Something of the model that the copilot may ask.
const fn consult(
    id: &'static str,
    path: &'static str,
    summary: &'static str,
    body: Described,
    answer: Described,
    handler: fn() -> MethodRouter<Serving>,
) -> Operation {
    Operation { id, method: "POST", path, summary, need: Need::Consult, parameters: &[], body: Some(body), answer: (answer, JSON), handler }
}

/// All of them.
pub(in crate::http) static OPERATIONS: &[Operation] = &[
    look(
        "session",
        "/session",
        "Who asks, and what they may do here",
        &[],
        |schemas| schemas.answer::<session::SessionBody>(),
        || get(session::session),
    ),
    look("plan", "/plan", "What the process is made of", &[], |schemas| schemas.answer::<session::PlanBody>(), || get(session::plan)),
    look(
        "list_processes",
        "/processes",
        "This process and those that its config passes requests on to: how each is, its version and config, and what is asked of it",
        &[],
        |schemas| schemas.answer::<processes::ProcessesBody>(),
        || get(processes::list),
    ),
    look("description", "/openapi.json", "This document", &[], |_| openapi::any_object(), || get(session::description)),
    look(
        "read_config",
        "/config",
        "The config as its file is now; variables are not filled in and secrets are blotted out",
        &[],
        |schemas| schemas.answer::<Written>(),
        || get(config::read),
    ),
    deploy(
        "save_config",
        ("PUT", "/config"),
        "Make a text the config: judged, written as a whole, and taken over as far as that goes without a restart; needs If-Match",
        |schemas| schemas.request::<SaveBody>(),
        || put(config::save),
    ),
    look(
        "config_history",
        "/config/history",
        "The texts that the config had, the newest first, with who has saved each and why",
        &[],
        |schemas| schemas.answer::<HistoryBody>(),
        || get(config::history),
    ),
    look(
        "earlier_config",
        "/config/history/{digest}",
        "A text that the config had; secrets are blotted out",
        &[],
        |schemas| schemas.answer::<SavedText>(),
        || get(config::earlier),
    ),
    look(
        "plan_earlier_config",
        "/config/history/{digest}/plan",
        "What going back to a text that the config had would change, and whose work it would strand; its secrets count as they were",
        &[],
        |schemas| schemas.answer::<PlanBody>(),
        || get(config::plan_earlier),
    ),
    deploy(
        "roll_back_config",
        ("POST", "/config/rollback"),
        "Make a text of the history the config again",
        |schemas| schemas.request::<RollbackBody>(),
        || post(config::rollback),
    ),
    look("config_schema", "/schema", "JSON Schema of configs", &[], |_| openapi::any_object(), || get(config::schema)),
    judge(
        "check_config",
        "/config/check",
        "What is wrong with a text in the place of the config",
        |schemas| schemas.answer::<CheckBody>(),
        || post(config::check),
    ),
    judge(
        "plan_config",
        "/config/plan",
        "What a text would change, and whose work it would strand",
        |schemas| schemas.answer::<PlanBody>(),
        || post(config::plan),
    ),
    consult(
        "ask_copilot",
        "/copilot",
        "What the model of the config proposes for a text; it is told no secret, no comment and no value of a variable, and nothing is changed",
        |schemas| schemas.request::<AskBody>(),
        |schemas| schemas.answer::<AskResult>(),
        || post(copilot::ask),
    ),
    consult(
        "copilot_applied",
        "/copilot/applied",
        "Write down that a proposal of the model was applied to the text that somebody edits",
        |schemas| schemas.request::<AppliedBody>(),
        |schemas| schemas.answer::<AppliedResult>(),
        || post(copilot::applied),
    ),
    look(
        "list_instances",
        "/instances",
        "Instances, the newest first",
        &LIST,
        |schemas| schemas.answer::<InstancePage>(),
        || get(instances::list),
    ),
    look(
        "count_instances",
        "/instances/counts",
        "How many instances there are",
        &FILTER,
        |schemas| schemas.answer::<CountBody>(),
        || get(instances::count),
    ),
    look(
        "show_instance",
        "/instances/{kind}/{id}",
        "One instance: how it came to where it is, and what happens next",
        &[const { whole("historyBefore", "Only history before this number, as given by `historyNext`") }],
        |schemas| schemas.answer::<InstanceBody>(),
        || get(instances::show),
    ),
    deed("retry_instance", "/instances/{kind}/{id}/retry", "Make what waits due now", || post(instances::retry)),
    deed("fire_transition", "/instances/{kind}/{id}/fire", "Make a transition that the machine allows", || post(instances::fire)),
    deed("hold_instance", "/instances/{kind}/{id}/hold", "Pause it: nothing begins and no timer fires", || post(instances::hold)),
    deed("release_instance", "/instances/{kind}/{id}/release", "Let it go on after a pause", || post(instances::release)),
    deed("cancel_instance", "/instances/{kind}/{id}/cancel", "Do what its kind calls `cancel`", || post(instances::cancel)),
    Operation {
        id: "act_on_instances",
        method: "POST",
        path: "/instances/bulk",
        summary: "The same deed for all that a filter finds, a thousand at most; needs an Idempotency-Key unless it is a preview",
        need: Need::Act,
        parameters: &[],
        body: Some(|schemas| schemas.request::<Bulk>()),
        answer: (|schemas| schemas.answer::<BulkResult>(), JSON),
        handler: || post(instances::bulk),
    },
    look(
        "waiting",
        "/waiting",
        "What waits for something, each with why and with the command that mends it",
        &[],
        |schemas| schemas.answer::<WaitingBody>(),
        || get(waiting::show),
    ),
    look(
        "list_components",
        "/components",
        "Components: the version that serves, its runs, how long they take",
        &[],
        |schemas| schemas.answer::<ComponentList>(),
        || get(components::list),
    ),
    look(
        "show_component",
        "/components/{name}",
        "One component: its versions, limits and grants",
        &[],
        |schemas| schemas.answer::<ComponentDetail>(),
        || get(components::show),
    ),
    design(
        "upload_component",
        "/components/{name}/upload",
        "Judge a file, the body, as if it were that of the component, and keep it by its digest if it is good; 32 MiB at most",
        (None, |schemas| schemas.answer::<VersionBody>()),
        || post(components::upload),
    ),
    design(
        "introduce_component",
        "/components/{name}/new",
        "Judge a file, the body, as that of a component which the config does not have yet, with nothing granted, and keep it by its digest if it is good; 32 MiB at most",
        (None, |schemas| schemas.answer::<NewComponentBody>()),
        || post(components::introduce),
    ),
    design(
        "place_component",
        "/components/{name}/place",
        "Write an uploaded version of a component that the config does not have yet where the config can name it; no other file is written over",
        (Some(|schemas| schemas.request::<PlaceBody>()), |schemas| schemas.answer::<PlacedBody>()),
        || post(components::settle),
    ),
    look(
        "component_template",
        "/templates/{language}",
        "The files that a new component begins with, as `millrace new` makes them: in rust, javascript, typescript, python, go or c",
        &[const { text("name", "What it is called: lower-case letters, digits and single hyphens between them") }],
        |schemas| schemas.answer::<templates::TemplateBody>(),
        || get(templates::show),
    ),
    design(
        "try_component",
        "/components/{name}/trial",
        "Have a version do one job with nothing granted, on given data or on that of an instance; nothing is kept of it",
        (Some(|schemas| schemas.request::<TrialBody>()), |schemas| schemas.answer::<TrialResult>()),
        || post(components::trial),
    ),
    design(
        "compare_component",
        "/components/{name}/compare",
        "Have the version that serves and another one do the same jobs, with nothing granted, and tell where their answers differ",
        (Some(|schemas| schemas.request::<CompareBody>()), |schemas| schemas.answer::<CompareResult>()),
        || post(components::compare),
    ),
    design(
        "swap_component",
        "/components/{name}/swap",
        "Have an uploaded version serve",
        (Some(|schemas| schemas.request::<SwapBody>()), |schemas| schemas.answer::<SwapResult>()),
        || post(components::swap),
    ),
    design(
        "roll_back_component",
        "/components/{name}/rollback",
        "Have a version serve that served before",
        (Some(|schemas| schemas.request::<SwapBody>()), |schemas| schemas.answer::<SwapResult>()),
        || post(components::rollback),
    ),
    look(
        "show_canary",
        "/components/{name}/canary",
        "The last canary of a component: how its runs compare, and what became of it",
        &[],
        |schemas| schemas.answer::<CanaryAnswer>(),
        || get(components::canary),
    ),
    design(
        "begin_canary",
        "/components/{name}/canary",
        "Have a share of the new visits run on an uploaded version, until a rule takes it or throws it out",
        (Some(|schemas| schemas.request::<CanaryBody>()), |schemas| schemas.answer::<CanaryAnswer>()),
        || post(components::begin_canary),
    ),
    Operation {
        id: "stop_canary",
        method: "DELETE",
        path: "/components/{name}/canary",
        summary: "Stop a canary: the version serves that served",
        need: Need::Design,
        parameters: &[],
        body: Some(|schemas| schemas.request::<StopBody>()),
        answer: (|schemas| schemas.answer::<CanaryAnswer>(), JSON),
        handler: || delete(components::stop_canary),
    },
    look(
        "list_recordings",
        "/recordings",
        "Attempts that failed and can be made again, the newest first",
        &[const { text("component", "Only those of this component") }],
        |schemas| schemas.answer::<RecordingList>(),
        || get(components::recordings),
    ),
    design(
        "replay_component",
        "/components/{name}/replay",
        "Make an attempt that failed again, with what it found and nothing granted, and tell whether the answer is the same; nothing is kept of it",
        (Some(|schemas| schemas.request::<ReplayBody>()), |schemas| schemas.answer::<ReplayResult>()),
        || post(components::replay),
    ),
    Operation {
        id: "live",
        method: "GET",
        path: "/live",
        summary: "What the process is doing: an event `snapshot` with all of it, then each second a `delta`, a JSON merge patch, if something changed",
        need: Need::See,
        parameters: &[],
        body: None,
        answer: (|_| openapi::any_object(), "text/event-stream"),
        handler: || get(live::live),
    },
    mend("release_runs", "/waiting/runs/release", "Let runs go on that were set aside", || post(waiting::release)),
    mend("redrive_dead_letters", "/waiting/dead-letters/redrive", "Send dead letters again", || post(waiting::redrive)),
    mend("discard_dead_letters", "/waiting/dead-letters/discard", "Take dead letters from the list", || post(waiting::discard)),
];
