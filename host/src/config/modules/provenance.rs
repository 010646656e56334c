//! Where a component's file comes from, and who has to vouch for it.

use std::path::Path;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::context::{At, Context};
use crate::config::files;
use crate::config::finding::Findings;
use crate::config::leaf::HeaderValue;
use crate::config::report::Code;
use crate::config::tree::child;
use crate::proxies;
use crate::runtime::{Access, Artifact, Login, PublicKey, Signatures, Source, is_digest, is_here, is_registry, is_repository};

/// How the name of an artifact begins.
const SCHEME: &str = "oci://";
/// Bytes of a file with a key, at most.
const MAX_KEY_BYTES: u64 = 16 << 10;

/// How the registry of an `oci://` source is talked to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RegistrySettings {
    /// Name to log in with; nobody logs in if not given.
    pub username: Option<String>,
    /// Password or token to log in with.
    pub password: Option<HeaderValue>,
    /// Talk to it without TLS. A registry on this machine (`localhost`, `127.0.0.1`) is talked to without it anyway.
    #[serde(default)]
    pub insecure: bool,
}

/// Who has to vouch for a component.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignatureSettings {
    /// A file is taken only if one of these Ed25519 keys has signed it: PEM files, relative to the config file, or keys in base64, as
    /// `millrace keygen` prints them.
    #[schemars(length(min = 1))]
    pub keys: Vec<String>,
    /// Compiled code that comes along is used only if one of these keys has signed it; none is if not given. It runs as the host itself, in no
    /// sandbox: whoever has such a key can do anything that this process can.
    #[serde(default)]
    pub compiled_keys: Vec<String>,
}

impl RegistrySettings {
    /// The source that is written, with how it is reached; anything else is reported. A file need not be there yet.
    pub(super) fn source(&self, written: &str, at: At<'_>, context: &Context<'_>, findings: &mut Findings) -> Source {
        if let Some(name) = written.strip_prefix(SCHEME) {
            return Source::Registry(self.artifact(name, at, context, findings));
        }
        if *self != Self::default() {
            let message = "`registry` is for a `source` that begins with oci://, and this is a file".to_owned();
            findings.warning(at.setting("registry"), Code::Unused, message, "leave it out".to_owned());
        }
        let wasm = Path::new(written).extension().is_some_and(|e| e == "wasm");
        if !wasm && !written.is_empty() {
            let help =
                "compile it with cargo build --target wasm32-wasip2 (or any language's component tools) and name that file, or name an \
                        artifact of a registry as oci://registry/repository@sha256:…"
                    .to_owned();
            findings.error(at.setting("source"), Code::InvalidValue, format!("'{written}' is not a .wasm file"), help);
        }
        let source = files::absolute(context.base, written);
        if wasm && !source.is_file() {
            // It may come, and there may be a copy of its last good version: the process can start and wait.
            let message = format!("component file '{written}' is not there");
            let help = format!("it was looked for at {} (relative to the config file)", source.display());
            findings.warning(at.setting("source"), Code::MissingFile, message, help);
        }
        Source::File(source)
    }

    fn artifact(&self, name: &str, at: At<'_>, context: &Context<'_>, findings: &mut Findings) -> Artifact {
        let (place, digest) = match name.split_once('@') {
            Some((place, digest)) => (place, digest.strip_prefix("sha256:").filter(|digest| is_digest(digest)).map(str::to_owned)),
            None => (name, None),
        };
        let (registry, repository) = place.split_once('/').unwrap_or((place, ""));
        let (repository, tag) = repository.split_once(':').map_or((repository, None), |(repository, tag)| (repository, Some(tag)));
        if !(is_registry(registry) && is_repository(repository)) {
            let message = format!("'{SCHEME}{name}' is not an artifact of a registry");
            let help = "write oci://registry.example/repository@sha256: and the 64 digits that `millrace push` prints".to_owned();
            findings.error(at.setting("source"), Code::InvalidValue, message, help);
        } else if digest.is_none() || tag.is_some() {
            let message = match tag {
                Some(tag) => format!("'{SCHEME}{name}' has the tag '{tag}', which may be another component tomorrow"),
                None => format!("'{SCHEME}{name}' does not say which version is meant"),
            };
            let help = format!("pin the digest: {SCHEME}{registry}/{repository}@sha256: and the 64 digits that `millrace push` prints");
            findings.error(at.setting("source"), Code::InvalidValue, message, help);
        }
        let access = self.access(registry, at, context, findings);
        Artifact { registry: registry.to_owned(), repository: repository.to_owned(), digest: digest.unwrap_or_default(), access }
    }

    fn access(&self, registry: &str, at: At<'_>, context: &Context<'_>, findings: &mut Findings) -> Access {
        let password = self.password.as_ref().map(|password| password.0.as_str()).filter(|password| !password.is_empty());
        let username = self.username.as_deref().filter(|name| !name.is_empty());
        if username.is_some() != password.is_some() {
            let (there, missing) = if username.is_some() { ("username", "password") } else { ("password", "username") };
            let message = format!("`{there}` is set and `{missing}` is not, so nobody logs in at '{registry}'");
            findings.warning(child(&at.setting("registry"), missing), Code::MissingPart, message, "set both or neither".to_owned());
        }
        let plain = self.insecure || is_here(registry);
        let scheme = if plain { "http" } else { "https" };
        Access {
            login: username.zip(password).map(|(name, password)| Login { username: name.to_owned(), password: password.to_owned() }),
            plain,
            proxy: proxies::used_for(&context.environment.variables, &format!("{scheme}://{registry}/v2/")),
        }
    }
}

impl SignatureSettings {
    /// The keys that are named; what is none is reported.
    pub(super) fn resolved(&self, at: At<'_>, context: &Context<'_>, findings: &mut Findings) -> Signatures {
        let mut keys = |list: &[String], name: &str| -> Vec<PublicKey> {
            let pointer = at.setting(&format!("signatures/{name}"));
            list.iter().enumerate().filter_map(|(i, text)| key(text, &child(&pointer, &i.to_string()), context, findings)).collect()
        };
        Signatures { keys: keys(&self.keys, "keys"), compiled_keys: keys(&self.compiled_keys, "compiledKeys") }
    }
}

/// A key that is written as base64, as PEM or as the name of a file of PEM.
fn key(text: &str, pointer: &str, context: &Context<'_>, findings: &mut Findings) -> Option<PublicKey> {
    let read = match PublicKey::read(text) {
        Ok(key) => return Some(key),
        Err(reason) if text.trim().starts_with("-----") => Err(format!("the key {reason}")),
        Err(_) => key_in(text, context),
    };
    let reported = |message: String| {
        let help = "name the public file of `millrace keygen`, relative to the config file, or write the base64 that it prints".to_owned();
        findings.error(pointer, Code::InvalidValue, message, help);
    };
    read.map_err(reported).ok()
}

fn key_in(file: &str, context: &Context<'_>) -> Result<PublicKey, String> {
    let path = files::absolute(context.base, file);
    let metadata =
        std::fs::metadata(&path).map_err(|error| format!("'{file}' is no key, and no file of one ({}): {error}", path.display()))?;
    if !metadata.is_file() || metadata.len() > MAX_KEY_BYTES {
        return Err(format!("'{file}' is no file of at most {MAX_KEY_BYTES} bytes"));
    }
    let text = std::fs::read_to_string(&path).map_err(|error| format!("'{file}' cannot be read: {error}"))?;
    PublicKey::read(&text).map_err(|reason| format!("'{file}' {reason}"))
}
