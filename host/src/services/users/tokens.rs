//! Making and checking bearer tokens: HS256, one algorithm, one key, one issuer. And notices that tokens have ended, signed with the same key.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Deserializer, Serialize};

use super::CurrentUser;
use super::standing::{LEEWAY, Standings};
use crate::clock::Clock;
use crate::plan;
use crate::plan::access::Roles;
use crate::services::ServiceError;
use crate::store::StoreError;

/// A token longer than this is refused unread.
pub const MAX_TOKEN_BYTES: usize = 8 * 1024;
/// The end of the year 9999, in seconds since 1970: no date is later.
const LAST_SECOND: i64 = 253_402_300_799;
const MAX_SUBJECT_BYTES: usize = 128;
/// Who has roles logs in anew after this time, however often the token was renewed.
const STAFF_SESSION: Duration = Duration::from_secs(12 * 3600);
/// For whom notices are. It makes sure that none is taken for a token.
const NOTICE: &str = "millrace:accounts";

/// Why a token is not accepted. One answer for all reasons but those that the owner can mend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It was valid once; log in again.
    #[error("the token has expired")]
    Expired,
    /// The account is not any more what it was when the token was made; log in again.
    #[error("the token has ended, because its account has changed; log in again")]
    Ended,
    /// Not one of ours.
    #[error("the token is not valid")]
    Invalid,
}

/// Checks tokens, and makes them for who holds the accounts. Clones share the key.
#[derive(Clone)]
pub struct TokenVerifier {
    inner: Arc<Inner>,
    standings: Option<Standings>,
}

struct Inner {
    signing: EncodingKey,
    checking: DecodingKey,
    header: Header,
    validation: Validation,
    notices: Validation,
    issuer: String,
    life: Duration,
    staff_life: Duration,
    clock: Clock,
}

/// What a token is given for.
#[derive(Debug, Clone, Default)]
pub(super) struct Grant {
    /// The user.
    pub(super) id: String,
    /// What they are beyond a customer, as long as the token is good.
    pub(super) roles: Roles,
    /// The epoch of the account.
    pub(super) epoch: u64,
    /// When they logged in, in seconds since 1970; now if not given.
    pub(super) logged_in: Option<i64>,
    /// When they were asked for the password again.
    pub(super) confirmed: Option<i64>,
    /// What it is good for, if not for everything.
    pub(super) only: Option<Only>,
}

/// The one thing that a token is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Only {
    /// To set up the second factor, without which the roles of the account cannot be used.
    Enrolment,
}

#[derive(Serialize)]
struct Claims {
    iss: String,
    sub: String,
    iat: i64,
    exp: i64,
    /// What the account is beyond a customer; left out if nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    roles: Option<Roles>,
    #[serde(skip_serializing_if = "is_zero")]
    epoch: u64,
    /// Of the login; left out if it is `iat`.
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_time: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    acr: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    only: Option<Only>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// What is read back; the library has checked issuer and audience. Dates are whole seconds since 1970.
#[derive(Deserialize)]
struct Received {
    sub: String,
    exp: i64,
    #[serde(default, deserialize_with = "there")]
    nbf: Option<i64>,
    #[serde(default, deserialize_with = "there")]
    iat: Option<i64>,
    #[serde(default)]
    roles: Roles,
    #[serde(default)]
    epoch: u64,
    #[serde(default, deserialize_with = "there")]
    auth_time: Option<i64>,
    #[serde(default, deserialize_with = "there")]
    acr: Option<i64>,
    #[serde(default, deserialize_with = "there")]
    only: Option<Only>,
}

/// That tokens of older epochs which were made until `iat` have ended.
#[derive(Serialize, Deserialize)]
struct Notice {
    iss: String,
    aud: String,
    sub: String,
    iat: i64,
    epoch: u64,
}

/// A claim that may be left out, and is no `null`.
fn there<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

impl std::fmt::Debug for TokenVerifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenVerifier").field("issuer", &self.inner.issuer).finish_non_exhaustive()
    }
}

impl TokenVerifier {
    /// For the key, issuer and lives of `settings`. What becomes of accounts is not known to it.
    #[must_use]
    pub fn new(settings: &plan::Auth, clock: Clock) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[&settings.issuer]);
        validation.set_required_spec_claims(&["exp", "iss", "sub"]);
        // It would read the system's clock, and takes dates that are none.
        validation.validate_exp = false;
        let mut notices = validation.clone();
        notices.set_audience(&[NOTICE]);
        notices.set_required_spec_claims(&["iss", "aud", "sub"]);
        let inner = Inner {
            signing: EncodingKey::from_secret(settings.secret.as_bytes()),
            checking: DecodingKey::from_secret(settings.secret.as_bytes()),
            header: Header::new(Algorithm::HS256),
            validation,
            notices,
            issuer: settings.issuer.clone(),
            life: settings.token_expiry,
            staff_life: settings.staff_token_expiry.min(settings.token_expiry),
            clock,
        };
        Self { inner: Arc::new(inner), standings: None }
    }

    /// The same, which also asks what has become of the account of a token.
    #[must_use]
    pub fn asking(self, standings: Standings) -> Self {
        Self { standings: Some(standings), ..self }
    }

    /// Who `token` speaks for, if its account has not changed since.
    ///
    /// # Errors
    /// As for [`verify`](Self::verify), or the token has ended (401); what is known of accounts cannot be read (503).
    pub async fn recognise(&self, token: &str) -> Result<CurrentUser, ServiceError> {
        let refused = |reason: TokenError| ServiceError::Unauthorized(reason.to_string());
        let user = self.verify(token).map_err(refused)?;
        match &self.standings {
            Some(standings) if !standings.believes(&user).await? => Err(refused(TokenError::Ended)),
            _ => Ok(user),
        }
    }

    /// Who `token` speaks for, by itself.
    ///
    /// # Errors
    /// Another algorithm, key or issuer; expired or not yet valid; a claim is missing, or no date is what it should be; too long.
    pub fn verify(&self, token: &str) -> Result<CurrentUser, TokenError> {
        if token.len() > MAX_TOKEN_BYTES || demands_more(token) {
            return Err(TokenError::Invalid);
        }
        let claims =
            jsonwebtoken::decode::<Received>(token, &self.inner.checking, &self.inner.validation).map_err(|_| TokenError::Invalid)?.claims;
        if claims.sub.is_empty() || claims.sub.len() > MAX_SUBJECT_BYTES {
            return Err(TokenError::Invalid);
        }
        self.check_dates(&claims)?;
        let now = self.inner.clock.now().as_second();
        let issued = claims.iat.unwrap_or(now);
        let since = |date: i64| Duration::from_secs(now.saturating_sub(date).max(0).unsigned_abs());
        Ok(CurrentUser {
            roles: claims.roles.or(Roles::CUSTOMER),
            left: Duration::from_secs((claims.exp.saturating_add(LEEWAY) - now).max(0).unsigned_abs()),
            confirmed: claims.acr.map(since),
            enrols_only: claims.only == Some(Only::Enrolment),
            epoch: claims.epoch,
            issued,
            logged_in: claims.auth_time.unwrap_or(issued),
            acr: claims.acr,
            id: claims.sub,
        })
    }

    fn check_dates(&self, claims: &Received) -> Result<(), TokenError> {
        let dates = [Some(claims.exp), claims.nbf, claims.iat, claims.auth_time, claims.acr];
        if !dates.into_iter().flatten().all(|date| (0..=LAST_SECOND).contains(&date)) {
            return Err(TokenError::Invalid);
        }
        let now = self.inner.clock.now().as_second();
        // The date may have been set back since a token was made; the steady time was not.
        let latest = now.max(self.inner.clock.steady().as_second());
        let made = [claims.iat, claims.auth_time, claims.acr];
        if made.into_iter().flatten().any(|made| made > latest + LEEWAY) || claims.nbf.is_some_and(|begin| begin > now + LEEWAY) {
            return Err(TokenError::Invalid);
        }
        if claims.exp < now - LEEWAY { Err(TokenError::Expired) } else { Ok(()) }
    }

    /// A token: for who has roles from now for as long as staff has one, but not beyond the longest session; for others for the configured
    /// time since they logged in. `None` if that is over.
    pub(super) fn issue(&self, grant: &Grant) -> anyhow::Result<Option<String>> {
        let iat = self.inner.clock.now().as_second();
        let roles = grant.roles.and(Roles::STAFF);
        let is_staff = !roles.is_empty() || grant.only.is_some();
        let (life, session) = if is_staff { (self.inner.staff_life, STAFF_SESSION) } else { (self.inner.life, self.inner.life) };
        let seconds = |duration: Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
        let logged_in = grant.logged_in.unwrap_or(iat);
        let exp = iat.saturating_add(seconds(life)).min(logged_in.saturating_add(seconds(session.max(life))));
        if exp <= iat {
            return Ok(None);
        }
        let claims = Claims {
            iss: self.inner.issuer.clone(),
            sub: grant.id.clone(),
            iat,
            exp,
            roles: Some(roles).filter(|roles| !roles.is_empty()),
            epoch: grant.epoch,
            auth_time: Some(logged_in).filter(|logged_in| *logged_in != iat),
            acr: grant.confirmed,
            only: grant.only,
        };
        jsonwebtoken::encode(&self.inner.header, &claims, &self.inner.signing).context("signing a token").map(Some)
    }

    /// Tells other processes that tokens of `id` of older epochs have ended.
    pub(super) fn notice(&self, id: &str, epoch: u64) -> anyhow::Result<String> {
        let iat = self.inner.clock.now().as_second();
        let notice = Notice { iss: self.inner.issuer.clone(), aud: NOTICE.to_owned(), sub: id.to_owned(), iat, epoch };
        jsonwebtoken::encode(&self.inner.header, &notice, &self.inner.signing).context("signing a notice")
    }

    /// Remembers what such a notice tells. False: it was not made by a process with this key.
    ///
    /// # Errors
    /// The store cannot write now.
    pub async fn hear(&self, notice: &str) -> Result<bool, StoreError> {
        if notice.len() > MAX_TOKEN_BYTES || demands_more(notice) {
            return Ok(false);
        }
        let Ok(told) = jsonwebtoken::decode::<Notice>(notice, &self.inner.checking, &self.inner.notices) else { return Ok(false) };
        let Notice { sub, iat, epoch, .. } = told.claims;
        if let Some(standings) = &self.standings {
            standings.hear(&sub, epoch, iat).await?;
        }
        Ok(true)
    }

    /// What this process knows of accounts was changed.
    pub(super) fn forget(&self, id: &str) {
        if let Some(standings) = &self.standings {
            standings.forget(id);
        }
    }

    /// `iss` of the tokens.
    pub(super) fn issuer(&self) -> &str {
        &self.inner.issuer
    }

    /// In seconds since 1970.
    pub(super) fn now(&self) -> i64 {
        self.inner.clock.now().as_second()
    }
}

/// Whether its header names extensions that whoever takes it has to understand. There are none here (RFC 7515, section 4.1.11), and one
/// of them changes what was signed.
fn demands_more(token: &str) -> bool {
    jsonwebtoken::decode_header(token).is_ok_and(|header| header.crit.is_some())
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use serde_json::{Value, json};

    use super::*;
    use crate::plan::access::Role;

    const SECRET: &str = "a secret of more than thirty-two bytes";

    fn verifier(clock: &Clock) -> TokenVerifier {
        let settings = plan::Auth {
            secret_name: "JWT_SECRET".into(),
            name: "auth".into(),
            secret: SECRET.into(),
            token_expiry: Duration::from_secs(3600),
            issuer: "millrace".into(),
            allow_registration: true,
            ..plan::Auth::default()
        };
        TokenVerifier::new(&settings, clock.clone())
    }

    fn issue(tokens: &TokenVerifier, id: &str, roles: Roles) -> String {
        tokens.issue(&Grant { id: id.into(), roles, ..Grant::default() }).unwrap().unwrap()
    }

    fn signed(algorithm: Algorithm, secret: &str, claims: &Value) -> String {
        jsonwebtoken::encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(secret.as_bytes())).unwrap()
    }

    fn claims(exp: i64) -> Value {
        json!({"iss": "millrace", "sub": "u1", "exp": Clock::system().now().as_second() + exp})
    }

    fn without(name: &str) -> Value {
        let mut claims = claims(60);
        claims.as_object_mut().unwrap().remove(name);
        claims
    }

    fn with(name: &str, value: impl Into<Value>) -> Value {
        let mut claims = claims(60);
        claims[name] = value.into();
        claims
    }

    #[test]
    fn a_token_made_here_is_accepted_until_it_expires() {
        let clock = Clock::system();
        let tokens = verifier(&clock);
        let token = issue(&tokens, "u1", Roles::default());
        let user = tokens.verify(&token).unwrap();
        assert!(user.id == "u1" && (3600..=3605).contains(&user.left.as_secs()), "{user:?}");
        clock.advance(SignedDuration::from_secs(3606));
        assert_eq!(tokens.verify(&token), Err(TokenError::Expired));
    }

    #[test]
    fn a_token_of_staff_lives_for_less_and_cannot_be_renewed_beyond_its_session() {
        let clock = Clock::system();
        let tokens = verifier(&clock);
        let logged_in = tokens.now();
        let roles: Roles = [Role::Support].into_iter().collect();
        let mut grant = Grant { id: "u1".into(), roles, logged_in: Some(logged_in), ..Grant::default() };
        let left = |token: &str| tokens.verify(token).unwrap().left.as_secs();
        assert!((900..=905).contains(&left(&tokens.issue(&grant).unwrap().unwrap())));
        clock.advance(SignedDuration::from_secs(12 * 3600 - 60));
        let last = tokens.issue(&grant).unwrap().unwrap();
        assert!(left(&last) <= 65, "{}", left(&last));
        clock.advance(SignedDuration::from_secs(60));
        assert_eq!(tokens.issue(&grant).unwrap(), None);
        grant.logged_in = None;
        assert!(tokens.issue(&grant).unwrap().is_some());
    }

    #[tokio::test]
    async fn a_notice_is_no_token_and_a_token_no_notice() {
        let tokens = verifier(&Clock::system());
        let (token, notice) = (issue(&tokens, "u1", Roles::default()), tokens.notice("u1", 1).unwrap());
        assert_eq!(tokens.verify(&notice), Err(TokenError::Invalid));
        assert!(tokens.hear(&notice).await.unwrap() && !tokens.hear(&token).await.unwrap() && !tokens.hear("").await.unwrap());
        let forged = json!({"iss": "millrace", "aud": NOTICE, "sub": "u1", "iat": tokens.now(), "epoch": 9});
        assert!(!tokens.hear(&signed(Algorithm::HS256, "another secret of thirty-two bytes!!", &forged)).await.unwrap());
    }

    #[test]
    fn a_token_says_what_its_account_is_beyond_a_customer() {
        let tokens = verifier(&Clock::system());
        let finance: Roles = [Role::Finance].into_iter().collect();
        let read = |token: &str| tokens.verify(token).map(|user| user.roles);
        assert_eq!(read(&issue(&tokens, "u1", Roles::default())), Ok(Roles::CUSTOMER));
        assert_eq!(read(&issue(&tokens, "u1", finance)), Ok(finance.or(Roles::CUSTOMER)));
        assert_eq!(read(&signed(Algorithm::HS256, SECRET, &without("roles"))), Ok(Roles::CUSTOMER));
        assert_eq!(read(&signed(Algorithm::HS256, SECRET, &with("roles", json!(["finance", "emperor"])))), Ok(finance.or(Roles::CUSTOMER)));
        for only in [json!("everything"), json!(null), json!(1)] {
            assert_eq!(read(&signed(Algorithm::HS256, SECRET, &with("only", only.clone()))), Err(TokenError::Invalid), "{only}");
        }
        for odd in [json!("finance"), json!({"finance": true}), json!([1]), json!(null), json!([["finance"]])] {
            assert_eq!(read(&signed(Algorithm::HS256, SECRET, &with("roles", odd.clone()))), Err(TokenError::Invalid), "{odd}");
        }
    }

    #[test]
    fn tokens_of_others_are_refused() {
        let tokens = verifier(&Clock::system());
        assert!(tokens.verify(&signed(Algorithm::HS256, SECRET, &claims(60))).is_ok(), "the base of the others is fine");
        let cases = [
            ("expired by 6 s", signed(Algorithm::HS256, SECRET, &claims(-6))),
            ("another key", signed(Algorithm::HS256, "another secret of thirty-two bytes!!", &claims(60))),
            ("HS384", signed(Algorithm::HS384, SECRET, &claims(60))),
            ("HS512", signed(Algorithm::HS512, SECRET, &claims(60))),
            ("another issuer", signed(Algorithm::HS256, SECRET, &with("iss", "other"))),
            ("no issuer", signed(Algorithm::HS256, SECRET, &without("iss"))),
            ("no subject", signed(Algorithm::HS256, SECRET, &without("sub"))),
            ("no expiry", signed(Algorithm::HS256, SECRET, &without("exp"))),
            ("empty subject", signed(Algorithm::HS256, SECRET, &with("sub", ""))),
            ("subject of another type", signed(Algorithm::HS256, SECRET, &with("sub", 1))),
            ("for another audience", signed(Algorithm::HS256, SECRET, &with("aud", "other"))),
            ("a megabyte", signed(Algorithm::HS256, SECRET, &with("pad", "x".repeat(1 << 20)))),
            ("nothing", String::new()),
            ("dots", "..".into()),
        ];
        for (what, token) in cases {
            assert!(tokens.verify(&token).is_err(), "{what}");
        }
    }

    #[test]
    fn a_date_of_a_token_is_a_whole_number_of_seconds_and_one_that_can_be() {
        let tokens = verifier(&Clock::system());
        let now = Clock::system().now().as_second();
        let verify = |name: &str, value: &Value| tokens.verify(&signed(Algorithm::HS256, SECRET, &with(name, value.clone())));
        for (name, date) in [("exp", now + 60), ("exp", LAST_SECOND), ("nbf", 0), ("nbf", now), ("iat", now), ("iat", now - 3600)] {
            assert!(verify(name, &json!(date)).is_ok(), "{name} {date}");
        }
        for name in ["exp", "nbf", "iat", "auth_time", "acr"] {
            let dates = [
                json!(1e308),
                json!(-1),
                json!(i64::MIN),
                json!(i64::MAX),
                json!(u64::MAX),
                json!(LAST_SECOND + 1),
                json!(4_102_444_800.5),
                json!("never"),
                json!(now.to_string()),
                json!(true),
                json!(null),
                json!([now]),
                json!({"seconds": now}),
            ];
            for date in dates {
                assert_eq!(verify(name, &date), Err(TokenError::Invalid), "{name} {date}");
            }
        }
        for ahead in [10, 60, 3600 * 24 * 365] {
            for name in ["nbf", "iat", "auth_time", "acr"] {
                assert_eq!(verify(name, &json!(now + ahead)), Err(TokenError::Invalid), "{name} in {ahead} s");
            }
        }
        assert_eq!(verify("exp", &json!(now - 6)), Err(TokenError::Expired));
    }

    #[test]
    fn a_token_stays_good_when_the_date_is_set_back() {
        let clock = Clock::system();
        let tokens = verifier(&clock);
        let token = issue(&tokens, "u1", Roles::default());
        clock.set(SignedDuration::from_hours(-24));
        assert!(tokens.verify(&token).is_ok());
    }

    #[test]
    fn tokens_without_a_signature_are_refused_however_none_is_written() {
        // base64url of {"alg":"none"}, {"alg":"None"}, {"alg":"NONE"}, and claims that would fit.
        let claims = "eyJpc3MiOiJtaWxscmFjZSIsInN1YiI6InUxIiwiZXhwIjo0MTAyNDQ0ODAwfQ";
        for header in ["eyJhbGciOiJub25lIn0", "eyJhbGciOiJOb25lIn0", "eyJhbGciOiJOT05FIn0"] {
            for token in [format!("{header}.{claims}."), format!("{header}.{claims}"), format!("{header}.{claims}.AAAA")] {
                assert_eq!(verifier(&Clock::system()).verify(&token), Err(TokenError::Invalid), "{token}");
            }
        }
    }

    #[test]
    fn a_key_id_chooses_nothing() {
        let mut header = Header::new(Algorithm::HS256);
        header.kid = Some("../../dev/null".into());
        let token = jsonwebtoken::encode(&header, &claims(60), &EncodingKey::from_secret(b"")).unwrap();
        assert_eq!(verifier(&Clock::system()).verify(&token), Err(TokenError::Invalid));
    }
}
