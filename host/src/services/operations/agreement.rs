//! Settings that processes of one installation must have alike, and how one asks another whether it has.
//!
//! What is sent is no secret and gives none away: each setting is the key of an HMAC of a fixed text, which only who has the same setting
//! can make. The answer says of each whether it is the same, and nothing else, so whoever asks learns only of what he knew.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use http::{Request, StatusCode, header};
use http_body_util::Full;
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;

use crate::between::{Absent, Client};
use crate::clock::Clock;
use crate::plan::Plan;
use crate::runtime::GrantTarget;
use crate::services::engine::{Credentials, RunWaker};
use crate::shutdown::Stop;

/// Where it is asked.
pub const PATH: &str = crate::plan::paths::AGREEMENT;
/// Between two questions while everything is as it should be, and while it is not or nobody answers.
const INTERVAL: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(2));
/// For one answer.
const TIMEOUT: Duration = Duration::from_secs(2);

/// A clock that is behind by less than these seconds is no matter: tokens are good for a quarter of an hour at least.
const MOST_BEHIND: i64 = 60;

/// What is sent: a fingerprint of each setting, where the process has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Fingerprints {
    /// Of what is sent as `X-Internal-Secret`.
    pub internal_secret: Option<String>,
    /// Of the key that tokens are signed with.
    pub jwt_secret: Option<String>,
    /// Of the issuer of tokens.
    pub issuer: Option<String>,
}

/// Whether a setting is the same here as where the question came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Likeness {
    /// It is, or the other process has none and needs none.
    Same,
    /// It is not.
    Different,
    /// This process has none.
    Unset,
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Comparison {
    /// Of what is sent as `X-Internal-Secret`.
    pub internal_secret: Likeness,
    /// Of the key that tokens are signed with.
    pub jwt_secret: Likeness,
    /// Of the issuer of tokens.
    pub issuer: Likeness,
    /// What time it is there, in seconds since 1970; a process of an earlier version does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub now: Option<i64>,
    /// Whether it gives out tokens: of who does not, no clock makes any wrong. A process of an earlier version does not say.
    #[serde(default)]
    pub issues: bool,
}

impl Comparison {
    /// What time it is there, if tokens are given out by it.
    fn clock(&self) -> Option<i64> {
        self.now.filter(|_| self.issues)
    }
}

/// What a process compares with what it is asked about.
#[derive(Debug, Clone, Default)]
pub struct Known {
    internal_secrets: Vec<String>,
    jwt_secret: Option<String>,
    issuer: Option<String>,
    issues: bool,
}

impl Known {
    /// The settings of a process. It may accept several internal secrets.
    #[must_use]
    pub fn of(plan: &Plan) -> Self {
        let secrets = plan.resources.iter().filter_map(|handler| handler.stock_secret.as_ref()).map(|secret| secret.0.as_str());
        let (jwt_secret, issuer) = tokens(plan);
        let internal_secrets = secrets.filter_map(|secret| fingerprint("internal secret", secret)).collect();
        Self { internal_secrets, jwt_secret, issuer, issues: plan.has_accounts() }
    }

    /// Compares them with those of another process, and says that it is `now`.
    #[must_use]
    pub fn compare(&self, other: &Fingerprints, now: Timestamp) -> Comparison {
        Comparison {
            internal_secret: likeness(self.internal_secrets.iter(), other.internal_secret.as_deref(), true),
            // A process that checks no tokens shares nothing with who signs them.
            jwt_secret: likeness(self.jwt_secret.iter(), other.jwt_secret.as_deref(), false),
            issuer: likeness(self.issuer.iter(), other.issuer.as_deref(), false),
            now: Some(now.as_second()),
            issues: self.issues,
        }
    }
}

fn likeness<'a>(mut own: impl ExactSizeIterator<Item = &'a String>, other: Option<&str>, needed: bool) -> Likeness {
    if own.len() == 0 {
        return if needed { Likeness::Unset } else { Likeness::Same };
    }
    match other {
        Some(other) if own.any(|own| bool::from(own.as_bytes().ct_eq(other.as_bytes()))) => Likeness::Same,
        None if !needed => Likeness::Same,
        _ => Likeness::Different,
    }
}

fn tokens(plan: &Plan) -> (Option<String>, Option<String>) {
    let auth = plan.auth.as_ref();
    let secret = auth.and_then(|auth| fingerprint("token key", &auth.secret));
    (secret, auth.and_then(|auth| fingerprint("issuer", &auth.issuer)))
}

/// What stands for a setting: HMAC-SHA256 with it as the key. None of an empty one.
fn fingerprint(label: &str, setting: &str) -> Option<String> {
    let message = format!("millrace agreement 1: {label}");
    let key = EncodingKey::from_secret(setting.as_bytes());
    (!setting.is_empty()).then(|| jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::HS256).ok()).flatten()
}

/// Another process, and what this one sends it.
#[derive(Debug)]
struct Peer {
    url: String,
    sent: Fingerprints,
    /// What an operator knows the internal secret by.
    secret_name: String,
}

/// Asks the processes whose services are granted here, until all is as it should be, and now and then after that.
pub struct Agreement {
    peers: Vec<Peer>,
    /// What an operator knows the key of tokens by.
    token_name: String,
    client: Client,
    credentials: Arc<Credentials>,
    clocks: Clocks,
    clock: Clock,
    waker: RunWaker,
}

/// Processes whose clocks are so far from the one here that it matters, with a sentence for each. Clones share everything.
#[derive(Debug, Clone)]
pub struct Clocks {
    /// Seconds by which a token may be of the future.
    leeway: i64,
    /// By the URL of the process.
    told: Arc<Mutex<BTreeMap<String, String>>>,
}

impl Clocks {
    /// Of a process that takes tokens which are of the future by as many seconds.
    #[must_use]
    pub fn new(leeway: i64) -> Self {
        Self { leeway, told: Arc::default() }
    }

    /// What an operator has to set right, if anything.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        let told: Vec<String> = self.told.lock().values().cloned().collect();
        (!told.is_empty()).then(|| told.join("; "))
    }

    /// The clock of the process at `url` is `ahead` of the one here by so many seconds, at least; `None` where it says no time, or where its
    /// time matters to nobody. True if that is nothing.
    fn compared(&self, url: &str, ahead: Option<i64>) -> bool {
        let Some(ahead) = ahead else {
            if self.told.lock().remove(url).is_some() {
                tracing::info!(url, "the clock of this process does not matter any more, or it does not tell it");
            }
            return true;
        };
        let (seconds, where_to) = (ahead.unsigned_abs(), if ahead > 0 { "ahead of" } else { "behind" });
        let mut told = self.told.lock();
        if (-MOST_BEHIND..=self.leeway).contains(&ahead) {
            if told.remove(url).is_some() {
                tracing::info!(url, "the clocks of both processes agree again");
            }
            return true;
        }
        let what = if ahead > 0 {
            "the tokens that it gives out are refused here until then, so nobody who has just logged in gets in"
        } else {
            "the tokens that it gives out end here that much too early"
        };
        let problem =
            format!("the clock of the process at {url} is {seconds} s {where_to} the one here: {what}. Set the one that is wrong");
        if told.insert(url.to_owned(), problem.clone()).is_none() {
            tracing::error!(url, seconds = ahead, "{problem}");
        }
        false
    }
}

impl Agreement {
    /// None if there is nobody to ask. `clocks` are told of as far as they are wrong, by `clock`.
    #[must_use]
    pub fn new(plan: &Plan, credentials: Arc<Credentials>, (clocks, clock): (Clocks, Clock), waker: RunWaker) -> Option<Self> {
        let peers = peers(plan);
        if peers.is_empty() {
            return None;
        }
        let token_name = plan.auth.as_ref().map_or_else(String::new, |auth| auth.secret_name.clone());
        Some(Self { peers, token_name, client: Client::new(TIMEOUT), credentials, clocks, clock, waker })
    }

    /// Runs until `stop`.
    ///
    /// # Errors
    /// None: who does not answer is asked again.
    pub async fn run(self, stop: Stop) -> anyhow::Result<()> {
        let Self { credentials, waker, .. } = &self;
        while !stop.is_requested() {
            let mut is_well = true;
            for peer in &self.peers {
                let asked = self.clock.now();
                match self.ask(peer).await {
                    Ok(Some(comparison)) => {
                        let ahead = comparison.clock().map(|now| ahead(now, asked, self.clock.now()));
                        is_well &= self.clocks.compared(&peer.url, ahead);
                        let differing = peer.differences(&comparison, &self.token_name);
                        is_well &= differing.is_empty();
                        credentials.compared(&peer.url, differing).iter().for_each(|component| waker.wake(component));
                    }
                    Ok(None) => {
                        self.clocks.compared(&peer.url, None);
                        tracing::debug!(url = peer.url, "this process does not say whether its secrets are the same");
                    }
                    Err(error) => {
                        is_well = false;
                        tracing::debug!(url = peer.url, error = format!("{error:#}"), "nobody says whether the secrets are the same");
                    }
                }
            }
            tokio::select! {
                () = tokio::time::sleep(if is_well { INTERVAL.0 } else { INTERVAL.1 }) => {}
                () = credentials.changed() => {}
                () = stop.requested() => {}
            }
        }
        Ok(())
    }

    /// None if the process knows no such question.
    async fn ask(&self, peer: &Peer) -> anyhow::Result<Option<Comparison>> {
        let body = Full::from(serde_json::to_vec(&peer.sent)?);
        let request = Request::post(format!("{}{PATH}", peer.url)).header(header::CONTENT_TYPE, "application/json").body(body)?;
        let response = self.client.ask(request, Absent::Told).await?;
        if response.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        ensure!(response.status().is_success(), "it answers {}", response.status());
        Ok(Some(serde_json::from_slice(response.body()).context("the answer is none")?))
    }
}

/// By how many seconds a clock that said `now` between these two moments is ahead of the one that they are of, at least; negative if it is
/// behind. However long an answer takes, it makes no clock wrong.
fn ahead(now: i64, asked: Timestamp, answered: Timestamp) -> i64 {
    let (earliest, latest) = (asked.as_second().min(answered.as_second()), asked.as_second().max(answered.as_second()));
    now - now.clamp(earliest, latest)
}

/// One for each URL that a component calls with the internal secret.
fn peers(plan: &Plan) -> Vec<Peer> {
    let mut found: BTreeMap<&str, Peer> = BTreeMap::new();
    for grant in plan.components.iter().flat_map(|component| &component.capabilities.http) {
        let (GrantTarget::Url(url), Some(credential)) = (&grant.target, grant.credential.as_ref().filter(|one| one.internal)) else {
            continue;
        };
        let secret = grant.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(crate::plan::INTERNAL_HEADER));
        let (jwt_secret, issuer) = tokens(plan);
        let internal_secret = secret.and_then(|(_, value)| fingerprint("internal secret", value));
        let sent = Fingerprints { internal_secret, jwt_secret, issuer };
        found.entry(url).or_insert_with(|| Peer { url: url.clone(), sent, secret_name: credential.name.clone() });
    }
    found.into_values().collect()
}

impl Peer {
    /// A sentence for each setting that is not the same.
    fn differences(&self, found: &Comparison, token_name: &str) -> Vec<String> {
        let Self { url, sent, secret_name } = self;
        let secret = match (sent.internal_secret.is_some(), found.internal_secret) {
            (true, Likeness::Same) => None,
            (true, Likeness::Different) => Some(format!("{secret_name} is not the same here and in the process at {url}")),
            (true, Likeness::Unset) => Some(format!("{secret_name} is not set in the process at {url}: it must be the same in both")),
            (false, _) => Some(format!("{secret_name} is not set here, and the process at {url} asks for it")),
        };
        let key = (found.jwt_secret == Likeness::Different)
            .then(|| format!("{token_name} is not the same here and in the process at {url}: tokens of one are refused by the other"));
        let issuer = (found.issuer == Likeness::Different).then(|| {
            format!("`issuer` of auth.jwt is not the same here and in the process at {url}: tokens of one are refused by the other")
        });
        [secret, key, issuer].into_iter().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(secrets: &[&str], key: &str) -> Known {
        Known {
            internal_secrets: secrets.iter().filter_map(|secret| fingerprint("internal secret", secret)).collect(),
            jwt_secret: fingerprint("token key", key),
            issuer: fingerprint("issuer", "shop"),
            issues: true,
        }
    }

    fn sent(secret: &str, key: &str, issuer: &str) -> Fingerprints {
        Fingerprints {
            internal_secret: fingerprint("internal secret", secret),
            jwt_secret: fingerprint("token key", key),
            issuer: fingerprint("issuer", issuer),
        }
    }

    #[test]
    fn each_setting_is_compared_by_itself() {
        let here = known(&["old", "new"], "key");
        let told = |secret, key, issuer| {
            let found = here.compare(&sent(secret, key, issuer), Timestamp::UNIX_EPOCH);
            (found.internal_secret, found.jwt_secret, found.issuer)
        };
        let (same, different) = (Likeness::Same, Likeness::Different);
        assert_eq!(told("new", "key", "shop"), (same, same, same));
        assert_eq!(told("newer", "key", "shop"), (different, same, same));
        assert_eq!(told("old", "other", "shops"), (same, different, different));
        assert_eq!(told("", "", ""), (different, same, same), "who checks no tokens needs no key");
        assert_eq!(known(&[""], "key").compare(&sent("new", "key", "shop"), Timestamp::UNIX_EPOCH).internal_secret, Likeness::Unset);
    }

    #[test]
    fn a_fingerprint_is_neither_the_setting_nor_that_of_another_setting_with_the_same_value() {
        let (one, other) = (fingerprint("internal secret", "value").unwrap(), fingerprint("token key", "value").unwrap());
        assert!(one != other && !one.contains("value") && fingerprint("issuer", "").is_none());
    }

    #[test]
    fn a_clock_is_wrong_by_what_no_slow_answer_can_explain() {
        let at = |second| Timestamp::from_second(second).unwrap();
        for (now, asked, answered, expected) in
            [(100, 100, 100, 0), (105, 100, 110, 0), (160, 100, 110, 50), (40, 100, 110, -60), (90, 110, 100, -10)]
        {
            assert_eq!(ahead(now, at(asked), at(answered)), expected, "{now} between {asked} and {answered}");
        }
    }

    #[test]
    fn a_clock_that_is_wrong_is_told_of_until_it_is_right() {
        let clocks = Clocks::new(5);
        assert!(clocks.compared("http://users:1", Some(5)) && clocks.problem().is_none(), "tokens are good for as much");
        assert!(!clocks.compared("http://users:1", Some(6)));
        let problem = clocks.problem().unwrap();
        assert!(problem.contains("http://users:1") && problem.contains("6 s ahead"), "{problem}");
        assert!(!clocks.compared("http://users:1", Some(-3600)) && clocks.problem().unwrap().contains("3600 s behind"));
        assert!(clocks.compared("http://users:1", Some(0)) && clocks.problem().is_none());
        assert!(!clocks.compared("http://users:1", Some(60)));
        assert!(clocks.compared("http://users:1", None) && clocks.problem().is_none(), "it says no time any more");
    }

    #[test]
    fn the_time_matters_of_who_gives_out_tokens() {
        let at = Timestamp::from_second(7).unwrap();
        let of = |issues| Known { issues, ..known(&["secret"], "key") }.compare(&Fingerprints::default(), at);
        assert_eq!((of(true).clock(), of(false).clock()), (Some(7), None));
        let earlier: Comparison =
            serde_json::from_str(r#"{"internalSecret": "same", "jwtSecret": "same", "issuer": "same", "now": 7}"#).unwrap();
        assert_eq!((earlier.now, earlier.clock()), (Some(7), None), "a process of an earlier version does not say");
    }

    #[test]
    fn what_differs_is_called_by_the_name_that_an_operator_sets() {
        let peer = |secret| Peer { url: "http://users:1".into(), sent: sent(secret, "key", "shop"), secret_name: "A_SECRET".into() };
        let found =
            |internal_secret, jwt_secret| Comparison { internal_secret, jwt_secret, issuer: Likeness::Same, now: None, issues: false };
        assert!(peer("x").differences(&found(Likeness::Same, Likeness::Same), "B_SECRET").is_empty());
        let both = peer("x").differences(&found(Likeness::Different, Likeness::Different), "B_SECRET");
        assert!(both[0].starts_with("A_SECRET is not the same") && both[1].starts_with("B_SECRET is not the same"), "{both:?}");
        assert!(peer("x").differences(&found(Likeness::Unset, Likeness::Same), "")[0].contains("not set in the process at http://users:1"));
        assert!(peer("").differences(&found(Likeness::Different, Likeness::Same), "")[0].contains("not set here"));
    }
}
