//! Who vouches for a component: Ed25519 keys, and signatures over what a file is.
//!
//! What is signed is a short text that begins with what it is about, so that a signature of one thing never counts for another. The text of
//! a component has the digest of its file alone: the signature holds for these bytes, wherever they lie. It knows texts and keys, no files.

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer};
use serde::Deserialize;

use super::source::digest;
use super::text::tamed;

/// What is added to the name of a component's file for that of its signature: `fraud.wasm.sig`.
pub const SIGNATURE_ENDING: &str = ".sig";
/// Bytes that the text of a signature may have: it has some 250.
pub const MAX_SIGNATURE_BYTES: usize = 4 << 10;
/// Bytes of a raw public key.
const KEY_BYTES: usize = 32;
/// What stands before the raw key where an Ed25519 key is written as X.509 has it (RFC 8410).
const X509_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
/// Characters in one line of PEM.
const PEM_LINE: usize = 64;

/// A key by which signatures are known. Nothing about it is secret.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey([u8; KEY_BYTES]);

impl PublicKey {
    /// From PEM (`-----BEGIN PUBLIC KEY-----`), or from the base64 of the 32 bytes of the key or of its X.509 form.
    ///
    /// # Errors
    /// It is none, as a clause that goes on after its name.
    pub fn read(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let bytes = if text.starts_with("-----") {
            if text.contains("PRIVATE KEY") {
                return Err("is a private key, which stays with who signs: name the public one".to_owned());
            }
            let key = SubjectPublicKeyInfoDer::from_pem_slice(text.as_bytes());
            key.map_err(|_| "is not PEM of a public key".to_owned())?.as_ref().to_vec()
        } else {
            STANDARD.decode(text).map_err(|_| "is neither PEM nor base64 of a public key".to_owned())?
        };
        let raw = bytes.strip_prefix(&X509_PREFIX).unwrap_or(&bytes);
        <[u8; KEY_BYTES]>::try_from(raw).map(Self).map_err(|_| "is no Ed25519 key: `millrace keygen` makes one".to_owned())
    }

    /// What it is called where people compare keys: the first 16 digits of its SHA-256.
    #[must_use]
    pub fn id(&self) -> String {
        digest(&self.0).chars().take(16).collect()
    }

    /// As a config may have it inline: base64 of its 32 bytes.
    #[must_use]
    pub fn base64(&self) -> String {
        STANDARD.encode(self.0)
    }

    /// As a file of PEM, which openssl reads.
    #[must_use]
    pub fn pem(&self) -> String {
        pem("PUBLIC KEY", &[X509_PREFIX.as_slice(), &self.0].concat())
    }

    /// Whether its owner has signed exactly this text.
    pub(super) fn has_signed(&self, text: &str, signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.0).verify(text.as_bytes(), signature).is_ok()
    }
}

impl std::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.id())
    }
}

/// A key that signs. It is never shown.
pub struct SecretKey {
    pair: Ed25519KeyPair,
    public: PublicKey,
}

impl SecretKey {
    /// A new one.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub fn generate() -> Result<Self, String> {
        Self::of(Ed25519KeyPair::generate().map_err(|_| "cannot be made: the system gives no random numbers".to_owned())?)
    }

    /// From PEM (`-----BEGIN PRIVATE KEY-----`), as `millrace keygen` and `openssl genpkey -algorithm ed25519` write it.
    ///
    /// # Errors
    /// It is none, as a clause that goes on after its name.
    pub fn read(text: &str) -> Result<Self, String> {
        let key = PrivatePkcs8KeyDer::from_pem_slice(text.trim().as_bytes())
            .map_err(|_| "is not PEM of a private key: name the private file of `millrace keygen`".to_owned())?;
        let pair = Ed25519KeyPair::from_pkcs8(key.secret_pkcs8_der());
        Self::of(pair.map_err(|_| "is no Ed25519 key: `millrace keygen` makes one".to_owned())?)
    }

    fn of(pair: Ed25519KeyPair) -> Result<Self, String> {
        let public = PublicKey::read(&STANDARD.encode(pair.public_key().as_ref()))?;
        Ok(Self { pair, public })
    }

    /// As a file of PEM, which nobody else may read.
    ///
    /// # Errors
    /// The key cannot be written, as a clause that goes on after its name.
    pub fn pem(&self) -> Result<String, String> {
        let bytes = self.pair.to_pkcs8v1().map_err(|_| "cannot be written".to_owned())?;
        Ok(pem("PRIVATE KEY", bytes.as_ref()))
    }

    /// What its signatures are known by.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        self.public
    }

    /// Signs a component by the SHA-256 of its file, in hex: the text of the file `.sig`, one line of JSON.
    #[must_use]
    pub fn sign(&self, digest: &str) -> String {
        let digest = format!("sha256:{digest}");
        let signature = STANDARD.encode(self.sign_text(&statement(&digest)));
        let written = serde_json::json!({"digest": digest, "key": self.public.id(), "signature": signature});
        format!("{written}\n")
    }

    /// Signs a text of this program's own.
    pub(super) fn sign_text(&self, text: &str) -> Vec<u8> {
        self.pair.sign(text.as_bytes()).as_ref().to_vec()
    }
}

fn pem(label: &str, bytes: &[u8]) -> String {
    let text = STANDARD.encode(bytes);
    let lines: Vec<&str> = text.as_bytes().chunks(PEM_LINE).map(|line| std::str::from_utf8(line).unwrap_or_default()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// What a signature of a component is over.
fn statement(digest: &str) -> String {
    format!("millrace component 1\n{digest}\n")
}

/// A signature as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    /// `sha256:` and what the signed file has.
    digest: String,
    /// Which key has signed.
    key: String,
    /// Base64.
    signature: String,
}

/// Which of `keys` has signed the component with the SHA-256 `digest`, in hex, as the text of its signature says.
///
/// # Errors
/// None of them has, as a clause that goes on after the file's name and says what to do.
pub fn signed_by<'k>(keys: &'k [PublicKey], digest: &str, text: Option<&str>) -> Result<&'k PublicKey, String> {
    let known = || keys.iter().map(PublicKey::id).collect::<Vec<_>>().join(", ");
    let again = "sign it with `millrace sign`, and keep what that writes, its `.sig` file, beside it";
    let Some(text) = text else {
        return Err(format!("is not signed, and only what a known key ({}) has signed is taken: {again}", known()));
    };
    let Ok(written) = serde_json::from_str::<Written>(text) else {
        return Err(format!("has a signature that is none, one line of JSON: {again}"));
    };
    let digest = format!("sha256:{digest}");
    if written.digest != digest {
        return Err(format!(
            "is not what was signed: the signature is for {}, the file has {digest}. It was changed, or has the signature of another version: {again}",
            tamed(&written.digest, 80)
        ));
    }
    let Some(key) = keys.iter().find(|key| key.id() == written.key) else {
        let signer = tamed(&written.key, 32);
        return Err(format!(
            "is signed with the key {signer}, and only what a known key ({}) has signed is taken: sign it with a known one, or add {signer} to \
             `signatures.keys` of its module",
            known()
        ));
    };
    let signature = STANDARD.decode(&written.signature).unwrap_or_default();
    if key.has_signed(&statement(&digest), &signature) {
        return Ok(key);
    }
    Err(format!("has a signature that the key {} has not made: {again}", key.id()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (SecretKey, PublicKey) {
        let secret = SecretKey::generate().unwrap();
        let public = secret.public();
        (secret, public)
    }

    #[test]
    fn keys_are_what_they_were_after_they_were_written() {
        let (secret, public) = pair();
        for written in [public.pem(), public.base64(), STANDARD.encode([X509_PREFIX.as_slice(), &public.0].concat())] {
            assert_eq!(PublicKey::read(&written), Ok(public), "{written}");
        }
        let again = SecretKey::read(&secret.pem().unwrap()).unwrap();
        assert_eq!(again.public(), public);
        assert!(PublicKey::read(&secret.pem().unwrap()).unwrap_err().contains("name the public one"));
        for none in ["", "abc", "-----BEGIN PUBLIC KEY-----", &STANDARD.encode([0_u8; 31])] {
            assert!(PublicKey::read(none).is_err() && SecretKey::read(none).is_err(), "{none}");
        }
    }

    #[test]
    fn a_signature_counts_for_one_file_and_one_key() {
        let ((secret, public), (_, other)) = (pair(), pair());
        let (this, that) = (digest(b"this"), digest(b"that"));
        let text = secret.sign(&this);
        assert_eq!(signed_by(&[other, public], &this, Some(&text)), Ok(&public));
        let refused = |keys: &[PublicKey], digest: &str, text: Option<&str>| signed_by(keys, digest, text).unwrap_err();
        assert!(refused(&[public], &this, None).contains("is not signed"));
        assert!(refused(&[public], &that, Some(&text)).contains("is not what was signed"));
        assert!(refused(&[other], &this, Some(&text)).contains(&format!("is signed with the key {}", public.id())));
        assert!(refused(&[public], &this, Some("hello")).contains("a signature that is none"));
        // The same signature under the name of another file or key.
        assert!(refused(&[public], &that, Some(&text.replace(&this, &that))).contains("has not made"));
        assert!(refused(&[other], &this, Some(&text.replace(&public.id(), &other.id()))).contains("has not made"));
    }

    #[test]
    fn no_changed_character_of_a_signature_goes_unseen() {
        let (secret, public) = pair();
        let this = digest(b"this");
        let text = secret.sign(&this);
        for at in 0..text.trim_end().len() {
            let mut changed = text.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert!(signed_by(&[public], &this, Some(&changed)).is_err(), "{changed}");
        }
    }
}
