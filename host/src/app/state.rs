//! Where components find their committed state: in the store.

use std::sync::Arc;

use async_trait::async_trait;

use crate::runtime::{self, KvOwner, KvSource};
use crate::store::{self, Resources};

// A run counts what its writes add to what the store has counted.
const _: () = assert!(runtime::KV_ENTRY_BYTES == store::KV_ENTRY_BYTES);

/// The state that a store has.
pub(super) struct StoredState(pub Arc<dyn Resources>);

fn owner(owner: &KvOwner) -> store::KvOwner {
    store::KvOwner { component: owner.component.clone(), instance: owner.instance.clone() }
}

#[async_trait]
impl KvSource for StoredState {
    async fn value(&self, of: &KvOwner, key: &str) -> anyhow::Result<Option<String>> {
        Ok(self.0.kv(&owner(of), key).await?)
    }

    async fn bytes(&self, of: &KvOwner) -> anyhow::Result<u64> {
        Ok(self.0.kv_bytes(&owner(of)).await?)
    }
}
