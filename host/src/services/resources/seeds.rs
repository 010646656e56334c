//! Resources that are there from the first start: `[{id, data, state?}]` files.

use std::collections::HashSet;
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use serde::Deserialize;
use serde_json::Value;

use super::handler::{Handler, MAX_ID};
use super::service::Resources;
use crate::plan::SeedFile;
use crate::services::engine::commit_plan;
use crate::services::shop::catalogue;
use crate::store::{Commit, Conflict, Object, Resource, Stocking, StoreError};
use crate::text::{self, json};

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

/// Characters of a value that a message shows.
const MAX_SHOWN: usize = 40;
/// Mistakes of one file that are told; there may be as many as products.
const MAX_MISTAKES: usize = 20;

/// What is wrong with the seeds of a file, each with its place: ids that no request can name, units that are none in the field `stock`, and
/// what the shop could not sell.
fn mistakes(seeds: &[Seed], stock: Option<&str>, is_priced: bool) -> Vec<String> {
    let mut ids = HashSet::new();
    let found = seeds.iter().enumerate().flat_map(|(number, seed)| {
        let shown = |value: &Value| text::quoted(&value.to_string(), MAX_SHOWN);
        let id = text::quoted(&seed.id, MAX_SHOWN);
        let field = format!("'{id}', /{number}/data");
        let mut found = Vec::new();
        if !catalogue::is_one_segment(&seed.id) || text::length(&seed.id) > MAX_ID {
            found.push(format!("/{number}/id: '{id}' is no id: 1 to {MAX_ID} characters without '/', '\\', '%' or control characters"));
        }
        if !ids.insert(&seed.id) {
            found.push(format!("/{number}/id: '{id}' is given twice"));
        }
        if let Some((stock, units)) = stock.and_then(|stock| Some((stock, seed.data.get(stock)?)))
            && units.as_u64().is_none_or(|units| i64::try_from(units).is_err())
        {
            found.push(format!("{field}/{stock}: {} is no number of units: expected a whole number, 0 or more", shown(units)));
        }
        if is_priced || stock.is_some() {
            found.extend(catalogue::flaws(&seed.data, is_priced).into_iter().map(|flaw| format!("{field}/{flaw}")));
        }
        found
    });
    found.take(MAX_MISTAKES).collect()
}

/// Reads a file of seeds, all of it before the first is written: what is there once stays as it is, a wrong price too.
fn read(file: &SeedFile) -> Result<Vec<Seed>, Vec<String>> {
    let raw = std::fs::read(&file.path).map_err(|error| vec![error.to_string()])?;
    let seeds: Vec<Seed> = json::read(&raw).map_err(|error| vec![error.to_string()])?;
    let mistakes = mistakes(&seeds, file.stock_field.as_deref(), file.is_priced);
    if mistakes.is_empty() { Ok(seeds) } else { Err(mistakes) }
}

/// What is wrong with a file of seeds, each with the resource and the field, as a start would tell it.
#[must_use]
pub fn seed_mistakes(file: &SeedFile) -> Vec<String> {
    read(file).err().unwrap_or_default()
}

impl Resources {
    /// Adds what is in the seed files and not yet in the store. What is there stays as it is.
    ///
    /// # Errors
    /// A file cannot be read or is not of the form, or the store cannot write.
    pub async fn seed(&self) -> anyhow::Result<()> {
        for handler in self.handlers() {
            if let Some(file) = handler.settings.seeds(self.handlers().map(|handler| &handler.settings)) {
                self.seed_from(handler, &file)
                    .await
                    .with_context(|| format!("seed file {} of '{}'", file.path.display(), handler.settings.name))?;
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

    async fn seed_from(&self, handler: &Handler, file: &SeedFile) -> anyhow::Result<()> {
        let seeds = read(file).map_err(|mistakes| anyhow!("nothing of it was added: {}", mistakes.join("; ")))?;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn found(file: &str) -> Vec<String> {
        mistakes(&json::read::<Vec<Seed>>(file.as_bytes()).unwrap(), Some("stock"), true)
    }

    #[test]
    fn what_can_be_sold_has_an_id_a_name_a_price_and_units() {
        assert!(found(r#"[{"id":"a","data":{"name":"A","price":1.25,"stock":0}},{"id":"b","data":{"name":"B","price":0}}]"#).is_empty());
        for (id, data, says) in [
            ("", r#""price":1"#, "/0/id: '' is no id"),
            ("a/b", r#""price":1"#, "/0/id: 'a/b' is no id"),
            ("a", r#""price":-1"#, "/0/data/price: -1 is no price"),
            ("a", r#""price":0.005"#, "/0/data/price: 0.005 is no price"),
            ("a", r#""price":1e308"#, "is no price"),
            ("a", r#""stock":1"#, "/0/data/price: is missing"),
            ("a", r#""price":1,"stock":-5"#, "/0/data/stock: -5 is no number of units"),
            ("a", r#""price":1,"stock":1.5"#, "/0/data/stock: 1.5 is no number of units"),
            ("a", r#""price":1,"stock":"50""#, "is no number of units"),
            ("a", r#""price":1,"stock":9223372036854775808"#, "is no number of units"),
        ] {
            let found = found(&format!(r#"[{{"id":"{id}","data":{{"name":"A",{data}}}}}]"#));
            assert!(found.len() == 1 && found[0].contains(says), "{id} {data}: {found:?}");
        }
        let twice = found(r#"[{"id":"a","data":{"name":"A","price":149.99}},{"id":"a","data":{"name":"\u001b[2J","price":1}}]"#);
        assert!(twice.len() == 2 && twice[0].contains("/1/id: 'a' is given twice") && twice[1].contains("/1/data/name"), "{twice:?}");
    }

    #[test]
    fn a_price_that_is_given_twice_is_no_file_and_a_mark_of_its_encoding_is_no_part_of_it() {
        let twice = json::read::<Vec<Seed>>(br#"[{"id":"a","data":{"price":1,"price":500}}]"#).err().unwrap().to_string();
        assert!(twice.contains("the key 'price' is given twice at line 1"), "{twice}");
        assert_eq!(json::read::<Vec<Seed>>(b"\xef\xbb\xbf[]").unwrap().len(), 0);
    }
}
