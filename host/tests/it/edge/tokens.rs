//! Tokens as attackers, broken clients and other issuers make them. Where a trick is not the signature, the signature is right.

use aws_lc_rs::hmac;
use serde_json::{Value, json};

use crate::test_app::SECRET;

const ISSUER: &str = "workflow-store";
/// Far beyond any leeway.
const HOUR: i64 = 3600;

/// Makes tokens that speak, or seem to speak, for two customers.
pub struct Forger {
    ada: String,
    bea: String,
}

impl Forger {
    /// By the ids of the two.
    pub fn new(ada: &str, bea: &str) -> Self {
        Self { ada: ada.to_owned(), bea: bea.to_owned() }
    }

    /// The token that a case calls `kind`.
    pub fn token(&self, kind: &str) -> String {
        let header = json!({"alg": "HS256", "typ": "JWT"});
        let own = self.claims(&self.ada);
        let with = |name: &str, value: Value| {
            let mut claims = own.clone();
            claims[name] = value;
            signed(&header, &claims)
        };
        let without = |name: &str| {
            let mut claims = own.clone();
            claims.as_object_mut().unwrap().remove(name);
            signed(&header, &claims)
        };
        let headed = |header: Value| signed(&header, &own);
        let now = now();
        match kind {
            "ada" => signed(&header, &own),
            "bea" => signed(&header, &self.claims(&self.bea)),
            "nobody" => with("sub", json!("01890000-0000-7000-8000-000000000000")),
            "expired-6s" => with("exp", json!(now - 6)),
            "expired-long" => with("exp", json!(now - HOUR)),
            "no-exp" => without("exp"),
            "no-iss" => without("iss"),
            "no-sub" => without("sub"),
            "exp-text" => with("exp", json!((now + HOUR).to_string())),
            "exp-null" => with("exp", Value::Null),
            "exp-negative" => with("exp", json!(-1)),
            "exp-huge" => with("exp", json!(1e308)),
            "nbf-future" => with("nbf", json!(now + HOUR)),
            "nbf-text" => with("nbf", json!("yesterday")),
            "iat-future" => with("iat", json!(now + HOUR)),
            "iat-text" => with("iat", json!("yesterday")),
            "iss-other" => with("iss", json!("another-shop")),
            "iss-case" => with("iss", json!(ISSUER.to_uppercase())),
            "iss-list" => with("iss", json!(["another-shop", ISSUER, 7])),
            "iss-null" => with("iss", Value::Null),
            "sub-empty" => with("sub", json!("")),
            "sub-number" => with("sub", json!(1)),
            "sub-null" => with("sub", Value::Null),
            "sub-list" => with("sub", json!([self.ada])),
            "sub-object" => with("sub", json!({"$ne": ""})),
            "sub-huge" => with("sub", json!("a".repeat(4096))),
            "claims-list" => signed(&header, &json!([own])),
            "claims-text" => signed(&header, &json!("ada")),
            "header-without-alg" => headed(json!({"typ": "JWT"})),
            "header-text" => headed(json!("HS256")),
            "alg-list" => headed(json!({"alg": ["HS256", "none"]})),
            "crit-unknown" => headed(json!({"alg": "HS256", "crit": ["shop"], "shop": true})),
            "unencoded-payload" => headed(json!({"alg": "HS256", "b64": false, "crit": ["b64"]})),
            "alg-none-signed" => headed(json!({"alg": "none"})),
            "alg-es256" | "alg-rs256" | "alg-ps256" | "alg-eddsa" | "alg-hs512-by-hs256" => {
                let alg = kind.trim_start_matches("alg-").trim_end_matches("-by-hs256").to_uppercase().replace("EDDSA", "EdDSA");
                headed(json!({"alg": alg}))
            }
            "alg-lower-case" => headed(json!({"alg": "hs256"})),
            "signed-with-hs384" => signed_by(hmac::HMAC_SHA384, SECRET.as_bytes(), &json!({"alg": "HS384"}), &own),
            "signed-with-hs512" => signed_by(hmac::HMAC_SHA512, SECRET.as_bytes(), &json!({"alg": "HS512"}), &own),
            "secret-empty" => by(b"", &header, &own),
            "secret-known" => by(b"secret", &header, &own),
            "secret-longer" => by(format!("{SECRET}\n").as_bytes(), &header, &own),
            "kid-dev-null" => by(b"", &json!({"alg": "HS256", "kid": "../../../../dev/null"}), &own),
            "kid-sql" => by(b"key", &json!({"alg": "HS256", "kid": "x' UNION SELECT 'key'; --"}), &own),
            "kid-command" => by(b"", &json!({"alg": "HS256", "kid": "|/usr/bin/id"}), &own),
            "jku-elsewhere" => by(b"mine", &json!({"alg": "HS256", "jku": "http://127.0.0.1:9/jwks.json", "kid": "mine"}), &own),
            "jwk-inside" => by(b"mine", &json!({"alg": "HS256", "jwk": {"kty": "oct", "k": base64(b"mine")}}), &own),
            "x5c-inside" => by(b"mine", &json!({"alg": "HS256", "x5c": [base64(b"mine")]}), &own),
            other => self.mangled(other),
        }
    }

    /// A good token with something done to its text.
    fn mangled(&self, kind: &str) -> String {
        let header = json!({"alg": "HS256", "typ": "JWT"});
        let good = signed(&header, &self.claims(&self.ada));
        let other = signed(&header, &self.claims(&self.bea));
        let (parts, others): (Vec<&str>, Vec<&str>) = (good.split('.').collect(), other.split('.').collect());
        let none = |alg: &str| base64(json!({"alg": alg, "typ": "JWT"}).to_string().as_bytes());
        match kind {
            "payload-of-another" => format!("{}.{}.{}", parts[0], others[1], parts[2]),
            "signature-of-another" => format!("{}.{}.{}", parts[0], parts[1], others[2]),
            "signature-empty" => format!("{}.{}.", parts[0], parts[1]),
            "signature-missing" => format!("{}.{}", parts[0], parts[1]),
            "signature-cut" => good[..good.len() - 4].to_owned(),
            "signature-padded" => format!("{good}="),
            "signature-doubled" => format!("{good}.{}", parts[2]),
            "signature-zero" => format!("{}.{}.{}", parts[0], parts[1], base64(&[0; 32])),
            "alg-none" => format!("{}.{}.", none("none"), parts[1]),
            "alg-none-capital" => format!("{}.{}.", none("None"), parts[1]),
            "alg-none-upper" => format!("{}.{}.", none("NONE"), parts[1]),
            "alg-none-mixed" => format!("{}.{}.", none("nOnE"), parts[1]),
            "alg-none-kept-signature" => format!("{}.{}.{}", none("none"), parts[1], parts[2]),
            "alg-empty" => format!("{}.{}.", none(""), parts[1]),
            "five-parts" => format!("{good}.{}.{}", parts[0], parts[1]),
            "dots" => "..".to_owned(),
            "one-part" => parts[1].to_owned(),
            "reversed" => good.chars().rev().collect(),
            "no-base64" => good.replacen('.', "!.", 1),
            "blank-within" => good.replacen('.', ". ", 1),
            "percent-encoded" => good.replace('.', "%2e"),
            "upper-case" => good.to_uppercase(),
            "twice" => format!("{good},{good}"),
            "8k" => format!("{}.{}.{}", parts[0], "A".repeat(9000), parts[2]),
            "1mb" => format!("{}.{}.{}", parts[0], "A".repeat(1 << 20), parts[2]),
            other => panic!("nobody knows how to make the token '{other}'"),
        }
    }

    fn claims(&self, id: &str) -> Value {
        json!({"iss": ISSUER, "sub": id, "iat": now(), "exp": now() + HOUR})
    }
}

fn signed(header: &Value, claims: &Value) -> String {
    by(SECRET.as_bytes(), header, claims)
}

fn by(secret: &[u8], header: &Value, claims: &Value) -> String {
    signed_by(hmac::HMAC_SHA256, secret, header, claims)
}

fn signed_by(algorithm: hmac::Algorithm, secret: &[u8], header: &Value, claims: &Value) -> String {
    let text = format!("{}.{}", base64(header.to_string().as_bytes()), base64(claims.to_string().as_bytes()));
    let signature = hmac::sign(&hmac::Key::new(algorithm, secret), text.as_bytes());
    format!("{text}.{}", base64(signature.as_ref()))
}

/// As tokens have it: for URLs, without padding.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        text.extend((0..=group.len()).map(|at| char::from(LETTERS[(bits >> (18 - 6 * at) & 63) as usize])));
    }
    text
}

fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}
