//! The import `kv` of 0.2: a small state of a component's own. A run reads what was committed before and its own writes; these are handed over
//! with its answer, and committed with it or never.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use async_trait::async_trait;

use super::bindings::second::millrace::step::kv::{Error, Scope};
use super::tape::Deck;
use super::text::tamed;

/// Bytes of a key and of a value.
const MAX_KEY_BYTES: usize = 256;
const MAX_VALUE_BYTES: usize = 16 << 10;
/// What each entry counts beside its key and value.
pub const KV_ENTRY_BYTES: u64 = 32;

/// How much state a component may have: bytes of all keys and values, and 32 for each entry. None means nothing of that scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KvGrant {
    /// Of one instance.
    pub instance_bytes: u64,
    /// Of the component itself.
    pub component_bytes: u64,
}

impl KvGrant {
    /// What is granted where nothing is said of sizes.
    pub const USUAL: Self = Self { instance_bytes: 64 << 10, component_bytes: 1 << 20 };
}

/// Whose state it is: that of a component, about one instance (its kind and id) or about none.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct KvOwner {
    /// Name of the component's module.
    pub component: String,
    /// Kind and id.
    pub instance: Option<(String, String)>,
}

/// What becomes of an entry when it is committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KvOp {
    /// It has this value.
    Set(String),
    /// It is gone.
    Delete,
    /// This is added to what is there.
    Add(i64),
}

/// A change of a component's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KvChange {
    /// It is of the instance's state; otherwise of the component's.
    pub of_instance: bool,
    /// Key of the entry.
    pub key: String,
    /// What becomes of it.
    pub op: KvOp,
}

/// Where committed state is read.
#[async_trait]
pub trait KvSource: Send + Sync {
    /// The value under a key.
    async fn value(&self, owner: &KvOwner, key: &str) -> anyhow::Result<Option<String>>;
    /// Bytes of all keys and values of this owner, and 32 for each entry.
    async fn bytes(&self, owner: &KvOwner) -> anyhow::Result<u64>;
}

/// State that is given, for a trial.
#[derive(Debug, Clone, Default)]
pub struct GivenKv {
    /// Of the instance.
    pub instance: BTreeMap<String, String>,
    /// Of the component.
    pub component: BTreeMap<String, String>,
}

impl GivenKv {
    fn of(&self, owner: &KvOwner) -> &BTreeMap<String, String> {
        if owner.instance.is_some() { &self.instance } else { &self.component }
    }
}

#[async_trait]
impl KvSource for GivenKv {
    async fn value(&self, owner: &KvOwner, key: &str) -> anyhow::Result<Option<String>> {
        Ok(self.of(owner).get(key).cloned())
    }

    async fn bytes(&self, owner: &KvOwner) -> anyhow::Result<u64> {
        Ok(self.of(owner).iter().map(|(key, value)| size(key, value)).sum())
    }
}

/// Of whom a run has the state.
#[derive(Clone)]
pub(super) struct Place {
    pub component: String,
    pub kind: String,
    pub id: String,
}

/// The state as one run sees it. Nothing is granted by default.
#[derive(Clone, Default)]
pub(super) struct State {
    granted: Option<Granted>,
    writes: bool,
    instance: Scoped,
    component: Scoped,
}

#[derive(Clone)]
struct Granted {
    grant: KvGrant,
    place: Place,
    source: Arc<dyn KvSource>,
}

/// What of one scope was read and changed.
#[derive(Clone, Default)]
struct Scoped {
    read: HashMap<String, Option<String>>,
    changes: BTreeMap<String, KvOp>,
    /// Bytes with the changes, once it was asked for.
    bytes: Option<u64>,
}

fn size(key: &str, value: &str) -> u64 {
    (key.len() + value.len()) as u64 + KV_ENTRY_BYTES
}

/// A sum. What is no number counts as nothing.
fn kv_sum(there: Option<&str>, by: i64) -> i64 {
    there.and_then(|text| text.parse::<i64>().ok()).unwrap_or_default().saturating_add(by)
}

impl State {
    /// Granted to a run, with the committed state of `source`.
    pub fn of(grant: KvGrant, place: Place, source: Arc<dyn KvSource>) -> Self {
        Self { granted: Some(Granted { grant, place, source }), ..Self::default() }
    }

    /// From now on it may be changed.
    pub fn let_write(&mut self) {
        self.writes = true;
    }

    /// What was changed, once.
    pub fn taken(&mut self) -> Vec<KvChange> {
        let [instance, component] = [&mut self.instance, &mut self.component].map(|scoped| std::mem::take(&mut scoped.changes));
        let change = |of_instance| move |(key, op)| KvChange { of_instance, key, op };
        instance.into_iter().map(change(true)).chain(component.into_iter().map(change(false))).collect()
    }

    fn scoped(&mut self, scope: Scope) -> &mut Scoped {
        match scope {
            Scope::Instance => &mut self.instance,
            Scope::Component => &mut self.component,
        }
    }

    /// Whose state is asked for, and how many bytes it may have.
    fn owner(&self, scope: Scope, key: &str) -> Result<(KvOwner, u64, Arc<dyn KvSource>), Error> {
        let Some(Granted { grant, place, source }) = &self.granted else {
            return Err(Error::Denied("`capabilities.kv` grants nothing here".into()));
        };
        let (name, most, instance) = match scope {
            Scope::Instance => ("instance", grant.instance_bytes, Some((place.kind.clone(), place.id.clone()))),
            Scope::Component => ("component", grant.component_bytes, None),
        };
        if most == 0 {
            return Err(Error::Denied(format!("`capabilities.kv` grants nothing of the scope {name}: its size there is 0")));
        }
        if key.is_empty() || key.len() > MAX_KEY_BYTES || key.chars().any(char::is_control) {
            let (shown, bytes) = (tamed(key, 64), key.len());
            return Err(Error::InvalidKey(format!(
                "a key has 1 to {MAX_KEY_BYTES} bytes and no control characters; '{shown}' has {bytes}"
            )));
        }
        Ok((KvOwner { component: place.component.clone(), instance }, most, Arc::clone(source)))
    }

    fn check_writes(&self) -> Result<(), Error> {
        if self.writes {
            return Ok(());
        }
        Err(Error::Denied("nothing can be written here: an attempt writes, `describe`, `status` and `undo` do not".into()))
    }

    /// What is under a key, as this run sees it.
    pub async fn current(&mut self, deck: &mut Option<Deck>, scope: Scope, key: &str) -> Result<Option<String>, Error> {
        let (owner, _, source) = self.owner(scope, key)?;
        let op = self.scoped(scope).changes.get(key).cloned();
        match op {
            Some(KvOp::Set(value)) => return Ok(Some(value)),
            Some(KvOp::Delete) => return Ok(None),
            Some(KvOp::Add(_)) | None => {}
        }
        let there = match self.scoped(scope).read.get(key) {
            Some(there) => there.clone(),
            None => {
                let asked = format!("{} {key}", name(scope));
                let there = found(deck, asked, source.value(&owner, key)).await?;
                self.scoped(scope).read.insert(key.to_owned(), there.clone());
                there
            }
        };
        Ok(match op {
            Some(KvOp::Add(by)) => Some(kv_sum(there.as_deref(), by).to_string()),
            _ => there,
        })
    }

    /// Checks that `value` has room under `key`, where `before` is, and counts it.
    async fn take_room(
        &mut self,
        deck: &mut Option<Deck>,
        (scope, key): (Scope, &str),
        before: Option<&str>,
        value: Option<&str>,
    ) -> Result<(), Error> {
        let (owner, most, source) = self.owner(scope, key)?;
        let bytes = match self.scoped(scope).bytes {
            Some(bytes) => bytes,
            None => {
                let read = async { source.bytes(&owner).await.map(|bytes| Some(bytes.to_string())) };
                let told = found(deck, format!("{} bytes", name(scope)), read).await?;
                told.and_then(|bytes| bytes.parse().ok()).unwrap_or_default()
            }
        };
        let [before, after] = [before, value].map(|value| value.map_or(0, |value| size(key, value)));
        let with = bytes.saturating_sub(before).saturating_add(after);
        self.scoped(scope).bytes = Some(bytes);
        // What is over already may become less.
        if with > most && after > before {
            let scope = name(scope);
            return Err(Error::Full(format!(
                "the state of the scope {scope} takes {bytes} of {most} bytes, and this would make it {with}: `{scope}Kb` of `capabilities.kv` \
                 grants more"
            )));
        }
        self.scoped(scope).bytes = Some(with);
        Ok(())
    }

    /// Puts a value under a key.
    pub async fn set(&mut self, deck: &mut Option<Deck>, scope: Scope, key: String, value: String) -> Result<(), Error> {
        self.check_writes()?;
        if value.len() > MAX_VALUE_BYTES {
            return Err(Error::TooLarge(format!("a value has at most {MAX_VALUE_BYTES} bytes, and this has {}", value.len())));
        }
        let before = self.current(deck, scope, &key).await?;
        self.take_room(deck, (scope, &key), before.as_deref(), Some(&value)).await?;
        self.scoped(scope).changes.insert(key, KvOp::Set(value));
        Ok(())
    }

    /// Takes a key away.
    pub async fn delete(&mut self, deck: &mut Option<Deck>, scope: Scope, key: String) -> Result<(), Error> {
        self.check_writes()?;
        let before = self.current(deck, scope, &key).await?;
        self.take_room(deck, (scope, &key), before.as_deref(), None).await?;
        let scoped = self.scoped(scope);
        if before.is_some() || scoped.changes.contains_key(&key) {
            scoped.changes.insert(key, KvOp::Delete);
        }
        Ok(())
    }

    /// Adds to the number under a key, and answers the sum.
    pub async fn increment(&mut self, deck: &mut Option<Deck>, scope: Scope, key: String, by: i64) -> Result<i64, Error> {
        self.check_writes()?;
        let before = self.current(deck, scope, &key).await?;
        if let Some(text) = before.as_deref().filter(|text| text.parse::<i64>().is_err()) {
            let (key, text) = (tamed(&key, 64), tamed(text, 32));
            return Err(Error::NotANumber(format!("under '{key}' is '{text}', to which nothing can be added")));
        }
        let sum = kv_sum(before.as_deref(), by);
        self.take_room(deck, (scope, &key), before.as_deref(), Some(&sum.to_string())).await?;
        let changes = &mut self.scoped(scope).changes;
        let op = match changes.get(&key) {
            Some(KvOp::Set(_) | KvOp::Delete) => KvOp::Set(sum.to_string()),
            Some(KvOp::Add(before)) => KvOp::Add(before.saturating_add(by)),
            None => KvOp::Add(by),
        };
        changes.insert(key, op);
        Ok(sum)
    }
}

fn name(scope: Scope) -> &'static str {
    match scope {
        Scope::Instance => "instance",
        Scope::Component => "component",
    }
}

/// What is read, or what the deck plays; what is read is recorded.
async fn found(
    deck: &mut Option<Deck>,
    asked: String,
    read: impl Future<Output = anyhow::Result<Option<String>>>,
) -> Result<Option<String>, Error> {
    let deck = deck.get_or_insert_with(Deck::recording);
    let told = match deck.read_state(&asked) {
        Some(told) => told,
        None => {
            let told = read.await.map_err(|error| {
                tracing::warn!(error = format!("{error:#}"), "the state of a component cannot be read");
                "the state cannot be read now".to_owned()
            });
            deck.state_read(asked, told.clone());
            told
        }
    };
    told.map_err(Error::Unavailable)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(grant: (u64, u64), component: &[(&str, &str)]) -> State {
        let component = component.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
        let source = Arc::new(GivenKv { component, ..GivenKv::default() });
        let place = Place { component: "worker".into(), kind: "things".into(), id: "thing-1".into() };
        let mut state = State::of(KvGrant { instance_bytes: grant.0, component_bytes: grant.1 }, place, source);
        state.let_write();
        state
    }

    const OWN: Scope = Scope::Component;

    #[tokio::test]
    async fn a_run_reads_what_was_committed_and_its_own_writes() {
        let (mut state, mut deck) = (state((1_000, 1_000), &[("count", "5"), ("old", "x")]), None);
        assert_eq!(state.current(&mut deck, OWN, "count").await.unwrap().as_deref(), Some("5"));
        assert_eq!(state.increment(&mut deck, OWN, "count".into(), 2).await.unwrap(), 7);
        assert_eq!(state.increment(&mut deck, OWN, "count".into(), -1).await.unwrap(), 6);
        assert_eq!(state.current(&mut deck, OWN, "count").await.unwrap().as_deref(), Some("6"));
        state.delete(&mut deck, OWN, "old".into()).await.unwrap();
        state.delete(&mut deck, OWN, "never".into()).await.unwrap();
        assert_eq!(state.current(&mut deck, OWN, "old").await.unwrap(), None);
        state.set(&mut deck, Scope::Instance, "seen".into(), "yes".into()).await.unwrap();
        assert_eq!(state.current(&mut deck, OWN, "seen").await.unwrap(), None, "scopes are apart");
        let change = |of_instance, key: &str, op| KvChange { of_instance, key: key.to_owned(), op };
        let expected =
            [change(true, "seen", KvOp::Set("yes".into())), change(false, "count", KvOp::Add(1)), change(false, "old", KvOp::Delete)];
        assert_eq!(state.taken(), expected);
    }

    #[tokio::test]
    async fn what_is_added_to_a_value_of_the_run_itself_is_set() {
        let (mut state, mut deck) = (state((0, 1_000), &[("count", "5"), ("text", "x")]), None);
        state.set(&mut deck, OWN, "count".into(), "40".into()).await.unwrap();
        assert_eq!(state.increment(&mut deck, OWN, "count".into(), 2).await.unwrap(), 42);
        assert!(matches!(state.increment(&mut deck, OWN, "text".into(), 1).await, Err(Error::NotANumber(why)) if why.contains("'x'")));
        state.delete(&mut deck, OWN, "text".into()).await.unwrap();
        assert_eq!(state.increment(&mut deck, OWN, "text".into(), 1).await.unwrap(), 1);
        let ops: Vec<KvOp> = state.taken().into_iter().map(|change| change.op).collect();
        assert_eq!(ops, [KvOp::Set("42".into()), KvOp::Set("1".into())]);
    }

    #[tokio::test]
    async fn keys_values_and_the_whole_state_are_bounded() {
        let (mut state, mut deck) = (state((0, 100), &[("a", &"x".repeat(50))]), None);
        for key in ["", "a\nb", &"k".repeat(257)] {
            assert!(matches!(state.set(&mut deck, OWN, key.into(), "1".into()).await, Err(Error::InvalidKey(_))), "{key}");
        }
        let large = "x".repeat(MAX_VALUE_BYTES + 1);
        assert!(matches!(state.set(&mut deck, OWN, "b".into(), large).await, Err(Error::TooLarge(_))));
        let full = state.set(&mut deck, OWN, "b".into(), "1".into()).await;
        assert!(matches!(&full, Err(Error::Full(why)) if why.contains("takes 83 of 100 bytes")), "{full:?}");
        state.set(&mut deck, OWN, "a".into(), "1".into()).await.unwrap();
        state.set(&mut deck, OWN, "b".into(), "1".into()).await.unwrap();
        assert!(matches!(state.set(&mut deck, Scope::Instance, "b".into(), "1".into()).await, Err(Error::Denied(_))), "its size is 0");
    }

    #[tokio::test]
    async fn what_may_only_be_read_is_not_written_and_without_a_grant_nothing_is() {
        let (mut ungranted, mut deck) = (State::default(), None);
        assert!(matches!(ungranted.current(&mut deck, OWN, "a").await, Err(Error::Denied(_))));
        let mut reading = state((0, 100), &[("a", "1")]);
        reading.writes = false;
        assert_eq!(reading.current(&mut deck, OWN, "a").await.unwrap().as_deref(), Some("1"));
        assert!(matches!(reading.increment(&mut deck, OWN, "a".into(), 1).await, Err(Error::Denied(_))));
        assert!(reading.taken().is_empty());
    }

    #[tokio::test]
    async fn what_was_read_is_played_again() {
        let mut deck = None;
        let mut first = state((0, 1_000), &[("count", "5")]);
        assert_eq!(first.increment(&mut deck, OWN, "count".into(), 1).await.unwrap(), 6);
        let mut again = state((0, 1_000), &[("count", "900"), ("other", "1")]);
        let mut deck = Some(Deck::playing(deck.unwrap().tape()));
        assert_eq!(again.increment(&mut deck, OWN, "count".into(), 1).await.unwrap(), 6);
        assert_eq!(again.current(&mut deck, OWN, "other").await.unwrap(), None, "it was not asked for then");
    }
}
