//! Other components while the process runs: those of another plan are loaded aside and put in the place of those that there are.
//!
//! A component whose settings are the same is kept as it is. Runs under way end on what they began with.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use futures::FutureExt as _;
use futures::future::{BoxFuture, try_join_all};

use super::components::{Runtime, Slots, Unlinked, slot};
use super::fitting::clash;
use super::loader::Found;
use super::slot::Slot;
use super::{ComponentSettings, SwapEvent};

/// The components of another plan, ready to serve.
pub struct Arranged {
    named: BTreeMap<String, Arc<Slot>>,
    /// Those that are new, or have other settings.
    changed: Vec<Arc<Slot>>,
    began: Instant,
}

impl Runtime {
    /// Loads the components of another plan aside. Each of them has a version that can serve.
    ///
    /// # Errors
    /// A component cannot be loaded, and why; then nothing has changed.
    pub async fn arrange(&self, components: &[ComponentSettings]) -> anyhow::Result<Arranged> {
        let (began, now) = (Instant::now(), self.slots.load_full());
        let (mut named, mut changed, mut problems) = (BTreeMap::new(), Vec::new(), Vec::new());
        let mut taken: BTreeSet<usize> = now.named.values().chain(now.leaving.values()).map(|slot| slot.number).collect();
        for settings in components {
            let before = now.named.get(&settings.name);
            if let Some(same) = before.filter(|slot| slot.settings == *settings) {
                named.insert(settings.name.clone(), Arc::clone(same));
                continue;
            }
            let before = before.or_else(|| now.leaving.get(&settings.name));
            let number = before.map_or_else(|| (0..).find(|number| !taken.contains(number)).unwrap_or_default(), |slot| slot.number);
            taken.insert(number);
            match slot(settings.clone(), number, &self.services, self.sandbox.engine()) {
                Ok(slot) => {
                    let slot = Arc::new(slot);
                    before.and_then(|before| before.recorded()).iter().for_each(|digest| slot.record(digest));
                    changed.push(Arc::clone(&slot));
                    named.insert(settings.name.clone(), slot);
                }
                Err(Unlinked::Grants(found)) => problems.extend(found),
                Err(Unlinked::Other(error)) => return Err(error),
            }
        }
        anyhow::ensure!(problems.is_empty(), "{}", problems.join("; "));
        // Whoever saves a config waits for it, on a busy machine for minutes if what is served came first all the while.
        let _awaited = self.loader.awaited();
        try_join_all(changed.iter().map(|slot| self.load_aside(slot))).await?;
        for slot in named.values() {
            let clash = slot.serving().and_then(|version| clash(&named, slot, &version));
            anyhow::ensure!(clash.is_none(), "component '{}' {}", slot.settings.name, clash.unwrap_or_default());
        }
        Ok(Arranged { named, changed, began })
    }

    /// Stores which versions of these components serve, as a start finds them. Called when it is certain that they are to be
    /// [put](Self::put) in place, and awaited before.
    ///
    /// # Errors
    /// One of them cannot be stored.
    pub fn record(self: &Arc<Self>, arranged: &Arranged) -> BoxFuture<'static, anyhow::Result<()>> {
        let (runtime, changed) = (Arc::clone(self), arranged.changed.clone());
        async move {
            let versions: Vec<(&Arc<Slot>, String)> =
                changed.iter().filter_map(|slot| Some((slot, slot.serving()?.digest.to_string()))).collect();
            // What serves now may have changed since the others were made.
            let now = |slot: &Slot| runtime.slot(&slot.settings.name).ok();
            let known = |slot: &Slot| now(slot).map_or_else(|| slot.recorded(), |now| now.recorded());
            let is_new = |(slot, digest): &&(&Arc<Slot>, String)| known(slot).as_ref() != Some(digest);
            let new: Vec<(String, String)> =
                versions.iter().filter(is_new).map(|(slot, digest)| (slot.settings.name.clone(), digest.clone())).collect();
            if !new.is_empty() {
                let names: Vec<String> = new.iter().map(|(component, _)| format!("'{component}'")).collect();
                (runtime.remember)(new).await.with_context(|| format!("component {} cannot be recorded", names.join(", ")))?;
            }
            for (slot, digest) in &versions {
                slot.record(digest);
                // It is stored, whether the other comes in its place or not.
                now(slot).iter().for_each(|now| now.record(digest));
            }
            Ok(())
        }
        .boxed()
    }

    /// Has these components serve. What was removed, or is another now, does what it has begun, and keeps nobody waiting.
    pub fn put(&self, arranged: Arranged) {
        let Arranged { named, changed, began } = arranged;
        let now = self.slots.load_full();
        let numbers = named.values().chain(now.named.values()).map(|slot| slot.number + 1);
        self.places.share_out(numbers.max().unwrap_or_default());
        let leaving = now.named.iter().filter(|(name, _)| !named.contains_key(*name)).map(|(name, slot)| (name.clone(), Arc::clone(slot)));
        let leaving: BTreeMap<_, _> = leaving.collect();
        let left: Vec<usize> = changed.iter().chain(leaving.values()).map(|slot| slot.number).collect();
        self.slots.store(Arc::new(Slots { named, leaving }));
        left.into_iter().for_each(|number| self.places.replaced(number));
        for slot in changed {
            let previous = now.named.get(&*slot.name()).and_then(|before| before.serving()).map(|version| version.digest.to_string());
            self.tell(&slot, previous, began.elapsed());
        }
        self.exchanged.notify_one();
    }

    /// Leaves no trace but the version's copy: whether it is to serve is not certain.
    async fn load_aside(&self, slot: &Slot) -> anyhow::Result<()> {
        let component = &slot.settings.name;
        let _turn = slot.turn.lock().await;
        let version = match self.loader.look_at_file(slot).await {
            Found::Version(version) => version,
            Found::Refused(refusal) => return Err(anyhow!("component '{component}': {}", refusal.reason)),
            Found::Same | Found::StillRefused => return Ok(()),
        };
        let mut version = (*version).clone();
        version.about.since = self.clock.now();
        slot.serve(version);
        Ok(())
    }

    fn tell(&self, slot: &Slot, previous: Option<String>, took: Duration) {
        let Some(active) = slot.serving().map(|version| version.about.clone()) else { return };
        let component = slot.settings.name.clone();
        tracing::info!(%component, digest = active.digest, version = active.version, previous, took_ms = took.as_millis() as u64, "a component serves as another config says");
        // Nobody has to listen.
        let _ = self.events.send(SwapEvent::Swapped { component, active: Box::new(active), previous, took });
    }
}
