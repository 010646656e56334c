//! Resources that are there from the first start: `[{id, data, state?}]` files.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use serde::Deserialize;

use super::handler::Handler;
use super::service::Resources;
use crate::services::engine::commit_plan;
use crate::store::{Commit, Conflict, Object, Resource, Stocking, StoreError};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Seed {
    id: String,
    data: Object,
    #[serde(default = "active")]
    state: String,
}

fn active() -> String {
    "active".into()
}

impl Resources {
    /// Adds what is in the seed files and not yet in the store. What is there stays as it is.
    ///
    /// # Errors
    /// A file cannot be read or is not of the form, or the store cannot write.
    pub async fn seed(&self) -> anyhow::Result<()> {
        for handler in self.handlers() {
            if let Some(path) = &handler.settings.seed_file {
                self.seed_from(handler, path)
                    .await
                    .with_context(|| format!("seed file {} of '{}'", path.display(), handler.settings.name))?;
            }
        }
        self.generation().advance();
        Ok(())
    }

    /// Whether there is nothing to write for a seed: a process may start where nothing can be written.
    async fn has(&self, handler: &Handler, seed: &Seed) -> Result<bool, StoreError> {
        let stocked = handler.units(&seed.data).is_none() || self.stock().stock_of(&seed.id).await?.is_some();
        Ok(stocked && self.store().resource(&handler.settings.kind, &seed.id).await?.is_some())
    }

    async fn seed_from(&self, handler: &Handler, path: &Path) -> anyhow::Result<()> {
        let seeds: Vec<Seed> = serde_json::from_slice(&std::fs::read(path)?)?;
        for seed in seeds {
            if self.has(handler, &seed).await? {
                continue;
            }
            let units = handler.units(&seed.data);
            let stock = units.map(|on_hand| Stocking::First { sku: seed.id.clone(), on_hand });
            let now = self.clock().now();
            let resource = Resource {
                kind: handler.settings.kind.clone(),
                id: seed.id,
                owner: None,
                state: seed.state,
                version: 1,
                data: Arc::new(seed.data),
                workflow: None,
                created_at: now,
                updated_at: now,
            };
            let commit = Commit { stock: stock.clone(), ..commit_plan::plain(resource).commit };
            match self.store().commit(commit).await {
                Ok(_) => {}
                // It was there before anybody counted its units.
                Err(StoreError::Conflict(Conflict::Exists { .. })) => {
                    self.store().commit(Commit { stock, ..Commit::default() }).await?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}
