//! The sandbox that all components share.

use std::path::Path;

use crate::config::context::Context;
use crate::config::modules::engine::StateMachineEngine;
use crate::plan::Plan;
use crate::runtime;

/// Attempts that run at once if the config does not say: an attempt that waits for an answer costs some address space and a few pages,
/// and those that hang for their whole time-out should leave room.
const MAX_CONCURRENT_RUNS: u32 = 512;

/// Its settings, where there are components. What it compiles lies beside the database.
pub(super) fn runtime(context: &Context<'_>, plan: &Plan) -> Option<runtime::Settings> {
    if plan.components.is_empty() {
        return None;
    }
    let engine = context.first::<StateMachineEngine>();
    let runs = engine.and_then(|(_, engine)| engine.max_concurrent_runs).unwrap_or(MAX_CONCURRENT_RUNS);
    let folder = plan.database.as_ref().and_then(|database| database.path.parent());
    let data = folder.map_or_else(|| context.environment.working_dir.join("data"), Path::to_path_buf);
    Some(runtime::Settings {
        cache_dir: data.join("components-cache"),
        compiler: context.environment.program.clone(),
        max_concurrent_runs: usize::try_from(runs).unwrap_or(runtime::MAX_RUNS),
    })
}
