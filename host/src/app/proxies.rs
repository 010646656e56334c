//! The reverse proxies of a process: who is behind each, what looks after them, and their exchange when the config changes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;

use crate::http::{self, Backends, HealthChecks, Probe, Router};
use crate::plan::{self, Plan};
use crate::shutdown::Stop;
use crate::tasks::Tasks;
use crate::telemetry::Metrics;

/// For the answer of a backend to a probe, the look-up of its name and the connection included.
const ANSWER_LIMIT: Duration = Duration::from_secs(1);

/// One proxy as the config has it.
#[derive(Clone)]
struct Proxy {
    settings: plan::Proxy,
    backends: Arc<Backends>,
    /// Asks whether they are the right ones.
    probe: Arc<Probe>,
    router: Router,
    /// Ends what looks after them. Requests under way end as they began.
    stop: Stop,
}

/// The proxies of a config, by name.
type ByName = BTreeMap<String, Proxy>;

/// Those that requests are passed on by. Clones share them.
#[derive(Clone)]
pub(super) struct Proxies {
    now: Arc<RwLock<ByName>>,
    tasks: Tasks,
    metrics: Metrics,
    health: HealthChecks,
    /// Ends event streams.
    closing: Stop,
}

/// Proxies of another config, made aside.
pub(super) struct Made(ByName);

impl Made {
    /// What answers, by the name of the module.
    pub(super) fn routers(&self) -> BTreeMap<String, Router> {
        self.0.iter().map(|(name, proxy)| (name.clone(), proxy.router.clone())).collect()
    }
}

impl Proxies {
    /// None yet. `closing` ends event streams, which never end by themselves.
    pub(super) fn new(tasks: &Tasks, metrics: &Metrics, health: &HealthChecks, closing: &Stop) -> Self {
        let proxies =
            Self { now: Arc::default(), tasks: tasks.clone(), metrics: metrics.clone(), health: health.clone(), closing: closing.clone() };
        let shown = proxies.clone();
        metrics.on_scrape(move || {
            for proxy in shown.now.read().values() {
                let backends = &proxy.backends;
                backends.figures().iter().for_each(|(target, figures)| shown.metrics.set_target(backends.proxy(), target, figures));
            }
            std::future::ready(())
        });
        proxies
    }

    /// Makes those of a plan. One that is as it was stays what it is, with its connections; of the others what is known of their targets stays.
    pub(super) fn make(&self, plan: &Plan) -> Made {
        let now = self.now.read();
        // A check that takes too long is down, and this process is of use without a backend.
        let limit = plan.health.as_ref().map_or(ANSWER_LIMIT, |settings| ANSWER_LIMIT.min(settings.check_timeout / 2));
        let make = |settings: &plan::Proxy| {
            let before = now.get(&settings.name);
            if let Some(same) = before.filter(|before| before.settings == *settings) {
                return same.clone();
            }
            let backends = Arc::new(Backends::new(settings, before.map(|before| &*before.backends)));
            let probe = Arc::new(Probe::new(settings, &backends, limit));
            let router = http::proxy(settings, &backends, self.closing.clone());
            Proxy { settings: settings.clone(), backends, probe, router, stop: Stop::new() }
        };
        Made(plan.proxies.iter().map(|settings| (settings.name.clone(), make(settings))).collect())
    }

    /// Puts them in place: from now on they are looked after, and no others are.
    pub(super) fn put(&self, made: Made) {
        let before = std::mem::replace(&mut *self.now.write(), made.0.clone());
        let is_same = |proxy: &Proxy, others: &ByName| {
            others.get(&proxy.settings.name).is_some_and(|other| Arc::ptr_eq(&other.backends, &proxy.backends))
        };
        for proxy in before.values().filter(|proxy| !is_same(proxy, &made.0)) {
            proxy.stop.request();
            let targets =
                |proxy: &Proxy| -> BTreeSet<String> { proxy.backends.figures().iter().map(|(target, _)| (*target).to_owned()).collect() };
            let name = &proxy.settings.name;
            let kept = made.0.get(name).map(targets);
            if kept.is_none() {
                self.health.remove(name);
            }
            targets(proxy).difference(&kept.unwrap_or_default()).for_each(|target| self.metrics.remove_target(name, target));
        }
        for proxy in made.0.values().filter(|proxy| !is_same(proxy, &before)) {
            self.tasks.spawn_long("backends", Arc::clone(&proxy.probe).watch(proxy.stop.clone()));
            self.tasks.spawn_long("targets", Arc::clone(&proxy.backends).watch(proxy.stop.clone()));
            let asked = Arc::clone(&proxy.probe);
            self.health.add_costly(&proxy.settings.name, move || {
                let probe = Arc::clone(&asked);
                async move { probe.ask().await }
            });
        }
    }

    /// Nothing looks after them any more.
    pub(super) fn end(&self) {
        self.now.read().values().for_each(|proxy| proxy.stop.request());
    }
}
