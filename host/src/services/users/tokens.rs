//! Making and checking bearer tokens: HS256, one algorithm, one key, one issuer.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Deserializer, Serialize};

use super::CurrentUser;
use crate::clock::Clock;
use crate::plan;
use crate::plan::access::Roles;

/// A token longer than this is refused unread.
pub const MAX_TOKEN_BYTES: usize = 8 * 1024;
/// Seconds that two clocks may differ.
const LEEWAY: i64 = 5;
/// The end of the year 9999, in seconds since 1970: no date is later.
const LAST_SECOND: i64 = 253_402_300_799;
const MAX_SUBJECT_BYTES: usize = 128;

/// Why a token is not accepted. One answer for all reasons but the one that the owner can mend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It was valid once; log in again.
    #[error("the token has expired")]
    Expired,
    /// Not one of ours.
    #[error("the token is not valid")]
    Invalid,
}

/// Checks tokens, and makes them for who holds the accounts. Clones share the key.
#[derive(Clone)]
pub struct TokenVerifier {
    inner: Arc<Inner>,
}

struct Inner {
    signing: EncodingKey,
    checking: DecodingKey,
    header: Header,
    validation: Validation,
    issuer: String,
    life: Duration,
    clock: Clock,
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
}

/// A claim that may be left out, and is no `null`.
fn there<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    i64::deserialize(deserializer).map(Some)
}

impl std::fmt::Debug for TokenVerifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenVerifier").field("issuer", &self.inner.issuer).finish_non_exhaustive()
    }
}

impl TokenVerifier {
    /// For the key, issuer and life of `settings`.
    #[must_use]
    pub fn new(settings: &plan::Auth, clock: Clock) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[&settings.issuer]);
        validation.set_required_spec_claims(&["exp", "iss", "sub"]);
        // It would read the system's clock, and takes dates that are none.
        validation.validate_exp = false;
        let inner = Inner {
            signing: EncodingKey::from_secret(settings.secret.as_bytes()),
            checking: DecodingKey::from_secret(settings.secret.as_bytes()),
            header: Header::new(Algorithm::HS256),
            validation,
            issuer: settings.issuer.clone(),
            life: settings.token_expiry,
            clock,
        };
        Self { inner: Arc::new(inner) }
    }

    /// Who `token` speaks for.
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
        let left = claims.exp.saturating_add(LEEWAY) - self.inner.clock.now().as_second();
        Ok(CurrentUser { id: claims.sub, roles: claims.roles.or(Roles::CUSTOMER), left: Duration::from_secs(left.max(0).unsigned_abs()) })
    }

    fn check_dates(&self, claims: &Received) -> Result<(), TokenError> {
        let dates = [Some(claims.exp), claims.nbf, claims.iat];
        if !dates.into_iter().flatten().all(|date| (0..=LAST_SECOND).contains(&date)) {
            return Err(TokenError::Invalid);
        }
        let now = self.inner.clock.now().as_second();
        // The date may have been set back since a token was made; the steady time was not.
        let latest = now.max(self.inner.clock.steady().as_second());
        if claims.iat.is_some_and(|made| made > latest + LEEWAY) || claims.nbf.is_some_and(|begin| begin > now + LEEWAY) {
            return Err(TokenError::Invalid);
        }
        if claims.exp < now - LEEWAY { Err(TokenError::Expired) } else { Ok(()) }
    }

    /// A token for the user `id`, who has these roles as long as it is good: from now for the configured time.
    pub(super) fn issue(&self, id: &str, granted: Roles) -> anyhow::Result<String> {
        let iat = self.inner.clock.now().as_second();
        let life = i64::try_from(self.inner.life.as_secs()).unwrap_or(i64::MAX);
        let claims = Claims {
            iss: self.inner.issuer.clone(),
            sub: id.to_owned(),
            iat,
            exp: iat.saturating_add(life),
            roles: Some(granted.and(Roles::STAFF)).filter(|roles| !roles.is_empty()),
        };
        jsonwebtoken::encode(&self.inner.header, &claims, &self.inner.signing).context("signing a token")
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
            seed_file: None,
            allow_registration: true,
            email_needs_password: false,
        };
        TokenVerifier::new(&settings, clock.clone())
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
        let token = tokens.issue("u1", Roles::default()).unwrap();
        let user = tokens.verify(&token).unwrap();
        assert!(user.id == "u1" && (3600..=3605).contains(&user.left.as_secs()), "{user:?}");
        clock.advance(SignedDuration::from_secs(3606));
        assert_eq!(tokens.verify(&token), Err(TokenError::Expired));
    }

    #[test]
    fn a_token_says_what_its_account_is_beyond_a_customer() {
        let tokens = verifier(&Clock::system());
        let finance: Roles = [Role::Finance].into_iter().collect();
        let read = |token: &str| tokens.verify(token).map(|user| user.roles);
        assert_eq!(read(&tokens.issue("u1", Roles::default()).unwrap()), Ok(Roles::CUSTOMER));
        assert_eq!(read(&tokens.issue("u1", finance).unwrap()), Ok(finance.or(Roles::CUSTOMER)));
        assert_eq!(read(&signed(Algorithm::HS256, SECRET, &without("roles"))), Ok(Roles::CUSTOMER));
        assert_eq!(read(&signed(Algorithm::HS256, SECRET, &with("roles", json!(["finance", "emperor"])))), Ok(finance.or(Roles::CUSTOMER)));
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
        for name in ["exp", "nbf", "iat"] {
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
            for name in ["nbf", "iat"] {
                assert_eq!(verify(name, &json!(now + ahead)), Err(TokenError::Invalid), "{name} in {ahead} s");
            }
        }
        assert_eq!(verify("exp", &json!(now - 6)), Err(TokenError::Expired));
    }

    #[test]
    fn a_token_stays_good_when_the_date_is_set_back() {
        let clock = Clock::system();
        let tokens = verifier(&clock);
        let token = tokens.issue("u1", Roles::default()).unwrap();
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
