//! What of a running process is exchanged when its config changes: what answers at each address, proxies, workflows, components, and who
//! receives which events.
//!
//! Everything new is made aside, over the same store and engine, and put in its place at once. Requests and runs under way end on what they
//! began with. Whatever else a plan says takes a restart, see [`crate::plan::changes`].

use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::ready;
use parking_lot::{Mutex, RwLock};

use super::exchange::Exchange;
use super::parts::Core;
use super::proxies::Proxies;
use super::turns::Receiving;
use crate::http::{self, Current, HttpParts, Routers};
use crate::plan::Plan;
use crate::services::console::TakeOver;

/// What answers, and how another one is made.
struct Serving {
    parts: HttpParts,
    engine: Option<Exchange>,
    proxies: Proxies,
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

    /// What answers customers from now on, and those who run the process; both are exchanged later.
    pub(super) fn begin(
        &self,
        parts: HttpParts,
        core: Option<&Core>,
        (proxies, receiving): (Proxies, Option<Receiving>),
    ) -> (Current, Option<Current>) {
        let Routers { public, operator } = http::routers(parts.clone());
        let (public, operator) = (Current::from(public), operator.map(Current::from));
        let answering = (public.clone(), operator.clone());
        *self.serving.lock() =
            Some(Serving { engine: core.map(|core| Exchange::of(core, &parts.health, receiving)), parts, proxies, public, operator });
        answering
    }

    /// Nothing is exchanged any more.
    pub(super) fn end(&self) {
        *self.serving.lock() = None;
    }

    /// Makes what `plan` says aside, of which nothing takes a restart. Nothing has changed before the answer is called.
    ///
    /// # Errors
    /// It cannot be built, and why.
    pub(super) async fn prepare(self: Arc<Self>, plan: Plan) -> anyhow::Result<TakeOver> {
        let plan = Arc::new(plan);
        let found = self.serving.lock().as_ref().map(|serving| (serving.parts.clone(), serving.engine.clone(), serving.proxies.clone()));
        let Some((parts, engine, proxies)) = found else {
            return Ok(TakeOver { record: ready(Err(not_serving())).boxed(), put: Box::new(|| Err(not_serving())) });
        };
        let mut made = match &engine {
            Some(engine) => Some(engine.prepare(&plan).await?),
            None => None,
        };
        let resources = made.as_mut().and_then(|made| made.resources.take());
        let record = engine.as_ref().zip(made.as_ref()).map_or_else(|| ready(Ok(())).boxed(), |(engine, made)| engine.record(made));
        let proxied = proxies.make(&plan);
        let console = parts.console.zip(resources.clone()).map(|(console, resources)| console.over(resources));
        let parts = HttpParts { plan: Arc::clone(&plan), resources, console, proxies: proxied.routers(), ..parts };
        let routers = http::routers(parts.clone());
        let put = move || {
            let mut serving = self.serving.lock();
            let serving = serving.as_mut().ok_or_else(not_serving)?;
            // What requests ask for is there before they can ask for it.
            if let Some((engine, made)) = serving.engine.as_ref().zip(made) {
                engine.put(&self.plan(), &plan, made);
            }
            serving.proxies.put(proxied);
            serving.public.put(routers.public);
            if let (Some(current), Some(router)) = (&serving.operator, routers.operator) {
                current.put(router);
            }
            serving.parts = parts;
            *self.plan.write() = plan;
            Ok(())
        };
        Ok(TakeOver { record, put: Box::new(put) })
    }
}

fn not_serving() -> anyhow::Error {
    anyhow::anyhow!("the process does not serve now")
}
