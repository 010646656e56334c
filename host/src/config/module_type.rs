//! What a module type is: settings as written, and what they mean.

use std::any::Any;
use std::collections::HashMap;

use super::context::{At, Context};
use super::finding::Findings;
use crate::plan::{Middleware, Plan, Runs, Server};

/// The settings of one type of modules. A type that has no meaning does not compile.
pub(super) trait ModuleType: Any {
    /// Its name, as written.
    const TYPE: &'static str;
    /// The types of which a process has one module at most, if this is one of them; those in one list count together.
    const ONE_OF: &'static [&'static str] = &[];

    /// Adds to the plan what the module at `at` means, fills in what was not given, and reports what cannot be. Only the first of a type of
    /// which there is one is asked. What it has to do with others is looked up in `context`, or added when every module is known.
    fn resolve(&self, at: At<'_>, context: &Context<'_>, draft: &mut Draft, findings: &mut Findings) -> Runs;
}

/// A plan that is being made.
#[derive(Default)]
pub(super) struct Draft {
    /// As far as it is known.
    pub plan: Plan,
    /// Middlewares by the position of their module, for the routes that name them.
    pub middlewares: HashMap<usize, Middleware>,
    /// Listeners, each with the position of its module: who answers there is known when every module is.
    pub servers: Vec<(usize, Server)>,
}
