//! What of a running process is exchanged when its config changes: what answers, at each address.
//!
//! The new routers are made aside, over the same store, engine and components, and put in their place at once. Requests under way end on
//! what they began with. Whatever else a plan says takes a restart, see [`crate::plan::changes`].

use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

use super::parts::{Core, Rebuild};
use crate::http::{self, Current, HttpParts, Routers};
use crate::plan::Plan;

/// What answers, and how another one is made.
struct Serving {
    parts: HttpParts,
    resources: Option<Rebuild>,
    public: Current,
    operator: Option<Current>,
}

/// Exchanges it.
pub(super) struct Switch {
    plan: RwLock<Arc<Plan>>,
    /// Nothing before the process serves, and after it.
    serving: Mutex<Option<Serving>>,
}

impl Switch {
    /// Of a process that begins with this plan.
    pub(super) fn new(plan: Arc<Plan>) -> Arc<Self> {
        Arc::new(Self { plan: RwLock::new(plan), serving: Mutex::default() })
    }

    /// What the process runs.
    pub(super) fn plan(&self) -> Arc<Plan> {
        Arc::clone(&self.plan.read())
    }

    /// What answers at each address from now on, until it is exchanged.
    pub(super) fn begin(&self, parts: HttpParts, core: Option<&Core>) -> Routers {
        let Routers { public, operator } = http::routers(parts.clone());
        let (public, operator) = (Current::new(public), operator.map(Current::new));
        let routers = Routers { public: public.router(), operator: operator.as_ref().map(Current::router) };
        *self.serving.lock() = Some(Serving { parts, resources: core.map(Core::rebuilding), public, operator });
        routers
    }

    /// Nothing is exchanged any more.
    pub(super) fn end(&self) {
        *self.serving.lock() = None;
    }

    /// Has requests that begin from now on answered as `plan` says, of which nothing takes a restart.
    ///
    /// # Errors
    /// It cannot be built, and what was before answers on; the process does not serve.
    pub(super) fn take(&self, plan: Plan) -> anyhow::Result<()> {
        let mut serving = self.serving.lock();
        let serving = serving.as_mut().ok_or_else(|| anyhow::anyhow!("the process does not serve now"))?;
        let plan = Arc::new(plan);
        let resources = serving.resources.as_ref().map(|rebuild| rebuild(&plan)).transpose()?;
        let parts = HttpParts { plan: Arc::clone(&plan), resources, ..serving.parts.clone() };
        let routers = http::routers(parts.clone());
        serving.public.put(routers.public);
        if let (Some(current), Some(router)) = (&serving.operator, routers.operator) {
            current.put(router);
        }
        serving.parts = parts;
        *self.plan.write() = plan;
        Ok(())
    }
}
