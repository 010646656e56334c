//! Who wants to know when a resource changes. It carries no data: a watcher is woken and reads the store, the one truth.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;

type Key = (String, String);

/// Watchers by resource. Clones share them.
#[derive(Clone, Default)]
pub struct ChangeNotifier {
    watched: Arc<Mutex<HashMap<Key, watch::Sender<u64>>>>,
}

/// Woken by each change of one resource; forgotten when dropped.
pub struct Watcher {
    notifier: ChangeNotifier,
    key: Key,
    changes: watch::Receiver<u64>,
}

impl ChangeNotifier {
    /// Watches one resource from now on.
    #[must_use]
    pub fn watch(&self, kind: &str, id: &str) -> Watcher {
        let key = (kind.to_owned(), id.to_owned());
        let changes = self.watched.lock().entry(key.clone()).or_insert_with(|| watch::Sender::new(0)).subscribe();
        Watcher { notifier: self.clone(), key, changes }
    }

    /// Wakes the watchers of a resource.
    pub fn changed(&self, kind: &str, id: &str) {
        let watched = self.watched.lock();
        if watched.is_empty() {
            return;
        }
        if let Some(sender) = watched.get(&(kind.to_owned(), id.to_owned())) {
            sender.send_modify(|count| *count += 1);
        }
    }

    /// Wakes all watchers: nobody knows here what has changed.
    pub(super) fn all_may_have_changed(&self) {
        self.watched.lock().values().for_each(|sender| sender.send_modify(|count| *count += 1));
    }
}

impl Watcher {
    /// Waits for a change since the last call (or since the watch began).
    pub async fn changed(&mut self) {
        // The sender lives in the notifier as long as this watcher does, so an error cannot happen.
        let _ = self.changes.changed().await;
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let mut watched = self.notifier.watched.lock();
        if watched.get(&self.key).is_some_and(|sender| sender.receiver_count() <= 1) {
            watched.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_watcher_is_woken_by_its_own_resource_only_and_leaves_nothing_behind() {
        let notifier = ChangeNotifier::default();
        let mut watcher = notifier.watch("returns", "r-1");
        notifier.changed("returns", "r-2");
        notifier.changed("returns", "r-1");
        tokio::time::timeout(std::time::Duration::from_secs(1), watcher.changed()).await.unwrap();
        drop(watcher);
        assert!(notifier.watched.lock().is_empty());
    }
}
