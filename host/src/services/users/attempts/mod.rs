//! Slows guessing of passwords without keeping an owner out.
//!
//! What errs is slowed, and nobody else: first of all a network (an address of IPv4, a /64 of IPv6) at the account it errs at. Whoever
//! has a whole /48 of IPv6 has 65,536 of these networks, so it counts as one more: none of its networks is quiet while another of them errs. One that
//! has logged in to that account waits for moments only, so whoever guesses from elsewhere does not concern the owner. Others are slowed
//! also by what their network does at all accounts, and by what all of them together do at this account, where a network that has not
//! erred lately does not queue with those that have. Nothing is locked, and accounts that do not exist are treated alike.

mod known;
mod throttle;

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use self::known::Known;
use self::throttle::{Policy, Throttle};
use crate::clock::Clock;
use crate::services::ServiceError;
use crate::telemetry::Metrics;

/// A network at an account it has logged in to: the wait is short whatever others on the same network try.
const AT_OWN: Policy = Policy {
    free: 5,
    first: Duration::from_millis(500),
    longest: Duration::from_secs(2),
    remembered: 8,
    forgets_one_in: Duration::from_secs(60),
};
/// Any other network at an account.
const AT_ACCOUNT: Policy = Policy {
    free: 5,
    first: Duration::from_millis(500),
    longest: Duration::from_secs(30),
    remembered: 12,
    forgets_one_in: Duration::from_secs(120),
};
/// The same while many networks guess at the account.
const AT_BESIEGED_ACCOUNT: Policy = Policy { free: 1, ..AT_ACCOUNT };
/// A network at all accounts that it has not logged in to.
const EVERYWHERE: Policy = Policy {
    free: 20,
    first: Duration::from_secs(1),
    longest: Duration::from_secs(10),
    remembered: 30,
    forgets_one_in: Duration::from_secs(15),
};
/// A /48 of IPv6, at all accounts that its networks have not logged in to. It may be one customer's or many people's, so it has more for nothing
/// and waits for less long.
const SITE_EVERYWHERE: Policy = Policy {
    free: 60,
    first: Duration::from_millis(500),
    longest: Duration::from_secs(2),
    remembered: 80,
    forgets_one_in: Duration::from_secs(5),
};
/// All networks at an account that they have not logged in to.
const ALL_NETWORKS: Policy = Policy {
    free: 20,
    first: Duration::from_secs(1),
    longest: Duration::from_secs(1),
    remembered: 40,
    forgets_one_in: Duration::from_secs(2),
};

/// Attempts of one network at one account at once: a burst of guesses must not all be free.
const AT_ONCE: usize = 5;
/// Attempts of one network at once, at accounts it has not logged in to.
const AT_ONCE_EVERYWHERE: usize = 8;
/// The same of one /48.
const AT_ONCE_OF_SITE: usize = 16;
/// A request that has waited this long for a place among those is sent away.
const MAX_WAIT: Duration = Duration::from_secs(8);
/// What is kept is forgotten after this time without an attempt; by then every policy has forgotten it.
const MEMORY: Duration = Duration::from_secs(30 * 60);
/// Entries of each kind; those least recently used are forgotten first.
const ENTRIES: u64 = 50_000;

pub(super) struct Attempts {
    known: Known,
    at_accounts: Cache<(String, IpAddr), Arc<Line>>,
    networks: Cache<IpAddr, Arc<Line>>,
    /// By the /48 of IPv6.
    sites: Cache<IpAddr, Arc<Line>>,
    accounts: Cache<String, Arc<Account>>,
    clock: Clock,
    metrics: Metrics,
}

/// Attempts that are counted together, a few of them at once.
struct Line {
    places: Arc<Semaphore>,
    throttle: Mutex<Throttle>,
}

/// What networks that have not logged in to an account do there, apart for those that have erred lately and those that have not.
#[derive(Default)]
struct Account {
    quiet: Mutex<Throttle>,
    noisy: Mutex<Throttle>,
}

/// What an attempt waits for, as metrics and refusals call it.
#[derive(Clone, Copy)]
struct Slowed {
    by: &'static str,
    words: &'static str,
}

const BY_PAIR: Slowed = Slowed { by: "network_at_account", words: "too many wrong passwords for this account from this network" };
const BY_NETWORK: Slowed = Slowed { by: "network", words: "too many wrong passwords from this network" };
const BY_ACCOUNT: Slowed = Slowed { by: "account", words: "too many wrong passwords for this account" };

/// One try at an account.
#[must_use = "tell whether it succeeded"]
pub(super) struct Attempt<'a> {
    attempts: &'a Attempts,
    account: String,
    network: IpAddr,
    pair: Arc<Line>,
    /// For who has not logged in from there.
    stranger: Option<Stranger>,
    _place: OwnedSemaphorePermit,
}

struct Stranger {
    network: Arc<Line>,
    site: Option<Arc<Line>>,
    account: Arc<Account>,
    is_quiet: bool,
    /// What was counted of it stays.
    has_failed: bool,
    _places: (OwnedSemaphorePermit, Option<OwnedSemaphorePermit>),
}

impl Attempts {
    pub(super) fn new(clock: Clock, metrics: Metrics) -> Self {
        Self { known: Known::new(), at_accounts: cache(), networks: cache(), sites: cache(), accounts: cache(), clock, metrics }
    }

    /// Waits for the turn of this attempt.
    ///
    /// # Errors
    /// Its turn is too far away: when to come back.
    pub(super) async fn begin(&self, account: &str, network: IpAddr) -> Result<Attempt<'_>, ServiceError> {
        let account = bounded(account);
        let pair = self.at_accounts.get_with((account.clone(), network), || Arc::new(Line::of(AT_ONCE)));
        let place = pair.place(BY_PAIR).await?;
        let stranger = if self.known.has(&account, network, self.clock.steady()) {
            self.turn(&pair.throttle, &AT_OWN, BY_PAIR).await?;
            None
        } else {
            Some(self.stranger(&account, network, &pair).await?)
        };
        Ok(Attempt { attempts: self, account, network, pair, stranger, _place: place })
    }

    /// Remembers that the owner of `account` was there.
    pub(super) fn remember(&self, account: &str, network: IpAddr) {
        self.known.add(&bounded(account), network, self.clock.steady());
    }

    async fn stranger(&self, account: &str, network: IpAddr, pair: &Line) -> Result<Stranger, ServiceError> {
        let account = self.accounts.get_with(account.to_owned(), Arc::default);
        let line = self.networks.get_with(network, || Arc::new(Line::of(AT_ONCE_EVERYWHERE)));
        let site = site_of(network).map(|site| self.sites.get_with(site, || Arc::new(Line::of(AT_ONCE_OF_SITE))));
        // Before it is asked whether it is quiet: of the many networks of a site only a few can be so at once.
        let of_site = match &site {
            Some(site) => Some(site.place(BY_NETWORK).await?),
            None => None,
        };
        let now = self.clock.steady();
        let is_site_quiet = site.as_ref().is_none_or(|site| site.throttle.lock().is_quiet(&SITE_EVERYWHERE, now));
        let is_quiet = is_site_quiet && pair.throttle.lock().is_quiet(&AT_ACCOUNT, now) && line.throttle.lock().is_quiet(&EVERYWHERE, now);
        let policy = if account.is_besieged(now) { &AT_BESIEGED_ACCOUNT } else { &AT_ACCOUNT };
        self.turn(&pair.throttle, policy, BY_PAIR).await?;
        let place = line.place(BY_NETWORK).await?;
        self.turn(&line.throttle, &EVERYWHERE, BY_NETWORK).await?;
        if let Some(site) = &site {
            self.turn(&site.throttle, &SITE_EVERYWHERE, BY_NETWORK).await?;
        }
        self.turn(account.throttle(is_quiet), &ALL_NETWORKS, BY_ACCOUNT).await?;
        // Counted before it is known to be wrong: those of many networks at once must not all be free.
        if account.throttle(is_quiet).lock().fail(&ALL_NETWORKS, self.clock.steady()) {
            tracing::warn!(
                "many networks try wrong passwords at one account: each attempt of a network that has not logged in to it waits"
            );
        }
        Ok(Stranger { network: line, site, account, is_quiet, has_failed: false, _places: (place, of_site) })
    }

    async fn turn(&self, throttle: &Mutex<Throttle>, policy: &Policy, slowed: Slowed) -> Result<(), ServiceError> {
        let turn = throttle.lock().take_turn(policy, self.clock.steady());
        match turn {
            Ok(None) => Ok(()),
            Ok(Some(turn)) => {
                self.metrics.login_slowed(slowed.by, "held");
                self.clock.sleep_until(turn).await;
                Ok(())
            }
            Err(retry_after) => {
                self.metrics.login_slowed(slowed.by, "refused");
                Err(ServiceError::TooMany { detail: slowed.words.into(), retry_after })
            }
        }
    }
}

impl Attempt<'_> {
    /// Whether somebody has logged in to the account from there.
    pub(super) fn is_known(&self) -> bool {
        self.stranger.is_none()
    }

    /// The password was right: what its network has done at this account is forgotten.
    pub(super) fn succeeded(self) {
        *self.pair.throttle.lock() = Throttle::default();
        self.attempts.remember(&self.account, self.network);
    }

    /// It was wrong.
    pub(super) fn failed(mut self) {
        let now = self.attempts.clock.steady();
        let stranger = self.stranger.take();
        let policy = if stranger.is_some() { &AT_ACCOUNT } else { &AT_OWN };
        if self.pair.throttle.lock().fail(policy, now) {
            tracing::info!(network = %self.network, "wrong passwords for one account: attempts of this network at it are slowed");
        }
        let Some(mut stranger) = stranger else { return };
        stranger.has_failed = true;
        if stranger.network.throttle.lock().fail(&EVERYWHERE, now) {
            tracing::warn!(network = %self.network, "wrong passwords for many accounts: attempts of this network are slowed");
        }
        if let Some(site) = &stranger.site
            && site.throttle.lock().fail(&SITE_EVERYWHERE, now)
        {
            tracing::warn!(network = %self.network, "wrong passwords from many networks of one /48: its attempts are slowed");
        }
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        if !self.has_failed {
            self.account.throttle(self.is_quiet).lock().take_back();
        }
    }
}

impl Line {
    fn of(places: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(places)), throttle: Mutex::default() }
    }

    async fn place(&self, slowed: Slowed) -> Result<OwnedSemaphorePermit, ServiceError> {
        let place = tokio::time::timeout(MAX_WAIT, Arc::clone(&self.places).acquire_owned()).await;
        let refused = || ServiceError::TooMany { detail: slowed.words.into(), retry_after: MAX_WAIT };
        place.map_err(|_| refused())?.map_err(|_| refused())
    }
}

impl Account {
    fn throttle(&self, is_quiet: bool) -> &Mutex<Throttle> {
        if is_quiet { &self.quiet } else { &self.noisy }
    }

    fn is_besieged(&self, now: jiff::Timestamp) -> bool {
        [&self.quiet, &self.noisy].into_iter().any(|throttle| throttle.lock().costs(&ALL_NETWORKS, now))
    }
}

/// The /48 of a network of IPv6.
fn site_of(network: IpAddr) -> Option<IpAddr> {
    match network {
        IpAddr::V6(v6) => Some(IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 80)))),
        IpAddr::V4(_) => None,
    }
}

/// The newest are kept, so that what floods it pushes out what it has put there itself.
fn cache<K: std::hash::Hash + Eq + Send + Sync + 'static, V: Clone + Send + Sync + 'static>() -> Cache<K, V> {
    Cache::builder().max_capacity(ENTRIES).eviction_policy(EvictionPolicy::lru()).time_to_idle(MEMORY).build()
}

/// Keys have a bounded size whatever the client sends.
fn bounded(account: &str) -> String {
    account.chars().take(254).collect()
}
