//! What components keep of their own, in memory.

use super::super::{KV_ENTRY_BYTES, KvEntry, KvOwner, KvRow};
use super::state::{Name, State};

impl State {
    pub(super) fn kv(&self, owner: &KvOwner, key: &str) -> Option<String> {
        self.kv.get(owner)?.get(key).cloned()
    }

    pub(super) fn kv_bytes(&self, owner: &KvOwner) -> u64 {
        let entries = self.kv.get(owner).into_iter().flatten();
        entries.map(|(key, value)| (key.len() + value.len()) as u64 + KV_ENTRY_BYTES).sum()
    }

    pub(super) fn kv_entries(&self, kind: &str, id: &str) -> Vec<KvEntry> {
        let of_it = self
            .kv
            .iter()
            .filter(|(owner, _)| owner.instance.as_ref().is_some_and(|name| (name.0.as_str(), name.1.as_str()) == (kind, id)));
        let entries = of_it.flat_map(|(owner, entries)| {
            let entry = move |(key, value): (&String, &String)| KvEntry {
                component: owner.component.clone(),
                key: key.clone(),
                value: value.clone(),
            };
            entries.iter().map(entry)
        });
        entries.collect()
    }

    pub(super) fn change_kv(&mut self, row: KvRow) {
        let KvRow { owner, key, op } = row;
        if owner.instance.as_ref().is_some_and(|name| !self.resources.contains_key(name)) {
            return;
        }
        let entries = self.kv.entry(owner).or_default();
        match op.after(entries.get(&key).map(String::as_str)) {
            Some(value) => drop(entries.insert(key, value)),
            None => drop(entries.remove(&key)),
        }
    }

    pub(super) fn forget_kv(&mut self, name: &Name) {
        self.kv.retain(|owner, _| owner.instance.as_ref() != Some(name));
    }
}
