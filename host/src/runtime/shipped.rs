//! Compiled code that comes along with a component, so that a machine which has never seen it serves at once.
//!
//! Compiled code is run as it is: whoever has made it can do anything that this process can. So it counts only with the signature of a key
//! that the operator trusts that far, over what it was compiled from, what it was compiled for, and all of its bytes. [`Vouched`] is made
//! here and nowhere else, and of the bytes that were checked.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::signature::{PublicKey, SecretKey};
use super::source::digest;
use super::text::tamed;

/// What is in the place of `wasm` in the name of a component's file for that of its compiled code: `fraud.cwasm`.
pub const CODE_EXTENSION: &str = "cwasm";
/// How such a file begins.
const MAGIC: &[u8] = b"millrace compiled code 1\n";
/// Bytes of the line behind that, at most.
const MAX_HEADER_BYTES: usize = 4 << 10;

/// Compiled code that a trusted key has signed for the component and the engine that it is loaded for.
pub(super) struct Vouched {
    code: Bytes,
    key: String,
}

impl Vouched {
    /// The code itself.
    pub fn code(&self) -> Bytes {
        self.code.clone()
    }

    /// What the key is called that has signed it.
    pub fn key(&self) -> &str {
        &self.key
    }
}

/// What is said of compiled code, in one line of JSON behind [`MAGIC`].
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    /// `sha256:` and the digest of the component that it was compiled from.
    component: String,
    /// What it fits.
    engine: String,
    /// Which key has signed.
    key: String,
    /// Base64.
    signature: String,
}

/// What the signature is over.
fn statement(component: &str, engine: &str, code: &[u8]) -> String {
    format!("millrace compiled code 1\n{component}\nengine {engine}\nsha256:{}\n", digest(code))
}

/// The file of compiled code, signed: of the component with the SHA-256 `component`, in hex, for the engine with this fingerprint.
pub(super) fn wrapped(key: &SecretKey, component: &str, engine: &str, code: &[u8]) -> Vec<u8> {
    let component = format!("sha256:{component}");
    let signature = STANDARD.encode(key.sign_text(&statement(&component, engine, code)));
    let header = Header { component, engine: engine.to_owned(), key: key.public().id(), signature };
    // Four texts always can be written.
    let header = serde_json::to_vec(&header).unwrap_or_default();
    [MAGIC, &header, b"\n", code].concat()
}

/// The code in such a file, if it is for the component with the SHA-256 `component`, in hex, and for this engine, and one of `keys` says so.
///
/// # Errors
/// Why it is not used, as a clause that goes on after "its compiled code".
pub(super) fn vouched(file: &Bytes, component: &str, engine: &str, keys: &[PublicKey]) -> Result<Vouched, String> {
    let none = || "is none: `millrace compile` makes it".to_owned();
    let rest = file.strip_prefix(MAGIC).ok_or_else(none)?;
    let end = rest.iter().take(MAX_HEADER_BYTES).position(|byte| *byte == b'\n').ok_or_else(none)?;
    let header: Header = serde_json::from_slice(&rest[..end]).map_err(|_| none())?;
    let code = file.slice(MAGIC.len() + end + 1..);
    let component = format!("sha256:{component}");
    if header.component != component {
        return Err(format!("is that of another version ({}): make it anew with `millrace compile`", tamed(&header.component, 80)));
    }
    if header.engine != engine {
        return Err(format!(
            "is stale: it fits the engine {}, and this is {engine}: make it anew with the `millrace` of this host, on a processor of the same kind",
            tamed(&header.engine, 32)
        ));
    }
    let Some(key) = keys.iter().find(|key| key.id() == header.key) else {
        let signer = tamed(&header.key, 32);
        return Err(format!("is signed with the key {signer}, which is none of `signatures.compiledKeys`"));
    };
    let signature = STANDARD.decode(&header.signature).unwrap_or_default();
    if !key.has_signed(&statement(&component, engine, &code), &signature) {
        return Err(format!("has a signature that the key {} has not made: it was changed", key.id()));
    }
    Ok(Vouched { code, key: key.id() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: &[u8] = b"code that would be run as it is";

    fn file(key: &SecretKey) -> Bytes {
        wrapped(key, "c0", "e1", CODE).into()
    }

    fn refused(file: &Bytes, component: &str, engine: &str, key: &SecretKey) -> String {
        vouched(file, component, engine, &[key.public()]).err().unwrap()
    }

    #[test]
    fn code_counts_for_one_component_one_engine_and_one_key() {
        let (key, other) = (SecretKey::generate().unwrap(), SecretKey::generate().unwrap());
        let file = file(&key);
        assert_eq!(vouched(&file, "c0", "e1", &[other.public(), key.public()]).ok().unwrap().code(), CODE);
        assert!(refused(&file, "c1", "e1", &key).contains("of another version (sha256:c0)"));
        assert!(refused(&file, "c0", "e2", &key).contains("is stale: it fits the engine e1"));
        assert!(refused(&file, "c0", "e1", &other).contains(&format!("is signed with the key {}", key.public().id())));
        // The words of one statement in the place of another's.
        let moved = String::from_utf8(file.to_vec()).unwrap().replace("sha256:c0", "sha256:c1").into();
        assert!(refused(&moved, "c1", "e1", &key).contains("has not made"));
    }

    #[test]
    fn no_changed_byte_goes_unseen() {
        let key = SecretKey::generate().unwrap();
        let file = file(&key);
        for at in 0..file.len() {
            let mut changed = file.to_vec();
            changed[at] ^= 1;
            assert!(vouched(&changed.into(), "c0", "e1", &[key.public()]).is_err(), "byte {at}");
        }
        for cut in 0..file.len() {
            assert!(vouched(&file.slice(..cut), "c0", "e1", &[key.public()]).is_err(), "{cut} bytes");
        }
    }

    #[test]
    fn the_signature_of_a_component_is_none_of_code() {
        let key = SecretKey::generate().unwrap();
        let signed: serde_json::Value = serde_json::from_str(&key.sign("c0")).unwrap();
        let header = Header {
            component: "sha256:c0".into(),
            engine: "e1".into(),
            key: key.public().id(),
            signature: signed["signature"].as_str().unwrap().into(),
        };
        let file = [MAGIC, &serde_json::to_vec(&header).unwrap(), b"\n", CODE].concat();
        assert!(refused(&file.into(), "c0", "e1", &key).contains("has not made"));
    }
}
