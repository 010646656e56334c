//! Registries of components: artifacts of OCI, as the Wasm OCI artifact layout of the CNCF has them.
//!
//! An artifact is known by the digest of its manifest, the manifest names its layers by theirs, and both are checked here: what a registry
//! says is what the config pinned, or nothing. The signature of a component is an annotation of its layer, so that the pinned digest covers
//! it. Everything is bounded in size and in time.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::TryStreamExt as _;
use oci_client::client::{ClientConfig, ClientProtocol, Config, ImageLayer};
use oci_client::errors::{OciDistributionError, OciErrorCode};
use oci_client::manifest::{OCI_IMAGE_MEDIA_TYPE, OciDescriptor, OciImageManifest};
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference};
use serde_json::json;

use super::code_cache::{MAX_CODE_BYTES, MAX_MANIFEST_BYTES};
use super::inspect::{self, MAX_BYTES};
use super::settings::{Access, Artifact};
use super::source::digest;
use super::text::tamed;

/// Media type of a layer that is a component.
const WASM_LAYER: &str = "application/wasm";
/// Media type of what describes it.
const WASM_CONFIG: &str = "application/vnd.wasm.config.v0+json";
/// Media type of a layer that is its compiled code.
const CODE_LAYER: &str = "application/vnd.millrace.compiled.v1";
/// Annotation of a component's layer: the text of its signature.
const SIGNATURE: &str = "dev.millrace.signature";
/// Annotation of a layer: what a file of it is called.
const TITLE: &str = "org.opencontainers.image.title";

/// Until a connection is there.
const CONNECT: Duration = Duration::from_secs(5);
/// Between two parts of an answer.
const BETWEEN_PARTS: Duration = Duration::from_secs(20);
/// For a manifest.
const MANIFEST_WITHIN: Duration = Duration::from_secs(30);
/// For a whole layer, or a push.
const LAYER_WITHIN: Duration = Duration::from_secs(300);

/// The layers of an artifact.
#[derive(Debug, Clone)]
pub(super) struct Layers {
    component: OciDescriptor,
    /// SHA-256 of the component's file, in hex.
    pub digest: String,
    /// The text of its signature, if it has one.
    pub signature: Option<String>,
    /// Its compiled code, if it was pushed with it.
    code: Option<OciDescriptor>,
}

impl Layers {
    /// Of a manifest.
    ///
    /// # Errors
    /// It is none of a component, as a clause that goes on after the artifact's name.
    pub fn read(manifest: &[u8]) -> Result<Self, String> {
        let manifest: OciImageManifest = serde_json::from_slice(manifest).map_err(|_| {
            "has no manifest of one artifact: pin the digest of the artifact itself, not that of an index of several".to_owned()
        })?;
        let mut components = manifest.layers.iter().filter(|layer| layer.media_type == WASM_LAYER);
        let (Some(component), None) = (components.next(), components.next()) else {
            let found: Vec<&str> = manifest.layers.iter().map(|layer| layer.media_type.as_str()).collect();
            let found = if found.is_empty() { "none".to_owned() } else { tamed(&found.join(", "), 300) };
            return Err(format!("has no single layer of the type {WASM_LAYER} (its layers: {found}): push it with `millrace push`"));
        };
        let digest = component.digest.strip_prefix("sha256:").filter(|digest| is_digest(digest));
        let digest = digest.ok_or_else(|| format!("names its layer '{}': expected sha256: and 64 digits", tamed(&component.digest, 80)))?;
        Ok(Self {
            digest: digest.to_owned(),
            signature: component.annotations.as_ref().and_then(|annotations| annotations.get(SIGNATURE)).cloned(),
            code: manifest.layers.iter().find(|layer| layer.media_type == CODE_LAYER).cloned(),
            component: component.clone(),
        })
    }
}

/// Whether a registry is on this machine.
#[must_use]
pub fn is_here(registry: &str) -> bool {
    let host = registry.rsplit_once(':').map_or(registry, |(host, _)| host);
    host == "localhost" || host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// A host that cannot be taken for a part of a path: with a dot or a port, or `localhost`.
#[must_use]
pub fn is_registry(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || ".-:[]".contains(c);
    let authority = text.parse::<http::uri::Authority>();
    text.chars().all(fits) && authority.is_ok_and(|a| !a.host().is_empty()) && (text.contains(['.', ':']) || text == "localhost")
}

/// Names of small letters, digits and what may be between them, with slashes between.
#[must_use]
pub fn is_repository(text: &str) -> bool {
    let is_end = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_part = |part: &str| {
        part.starts_with(is_end) && part.ends_with(is_end) && part.chars().all(|c| is_end(c) || "._-".contains(c)) && !part.contains("..")
    };
    text.len() <= 255 && text.split('/').all(is_part)
}

/// A SHA-256 in hex, in small letters.
#[must_use]
pub fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

impl Artifact {
    /// Its manifest.
    ///
    /// # Errors
    /// The registry does not give it, as a clause that goes on after the artifact's name.
    pub(super) async fn manifest(&self) -> Result<Bytes, String> {
        let pulling = async {
            let client = client(&self.access)?;
            let pulled = client.pull_manifest_raw(&self.reference(), &login(&self.access), &[OCI_IMAGE_MEDIA_TYPE]).await;
            pulled.map(|(bytes, _)| bytes).map_err(|error| failed(&error, &self.access))
        };
        let bytes = within(MANIFEST_WITHIN, pulling).await?;
        if bytes.len() as u64 > MAX_MANIFEST_BYTES {
            return Err(format!("has a manifest of {} bytes, and at most {MAX_MANIFEST_BYTES} are taken", bytes.len()));
        }
        if digest(&bytes) != self.digest {
            return Err(format!("was not given by its registry: what came has the digest sha256:{}", digest(&bytes)));
        }
        Ok(bytes)
    }

    /// The component itself.
    ///
    /// # Errors
    /// As of [`Artifact::manifest`].
    pub(super) async fn component(&self, layers: &Layers) -> Result<Bytes, String> {
        self.layer(&layers.component, MAX_BYTES).await
    }

    /// The compiled code that was pushed with it, if any was.
    ///
    /// # Errors
    /// As of [`Artifact::manifest`].
    pub(super) async fn code(&self, layers: &Layers) -> Result<Option<Bytes>, String> {
        match &layers.code {
            Some(code) => self.layer(code, MAX_CODE_BYTES).await.map(Some),
            None => Ok(None),
        }
    }

    async fn layer(&self, layer: &OciDescriptor, most: u64) -> Result<Bytes, String> {
        let size = u64::try_from(layer.size).unwrap_or_default();
        if size > most {
            return Err(format!("has a layer of {size} bytes, and at most {most} are taken"));
        }
        // What a manifest says of other places is not followed.
        let layer = OciDescriptor { urls: None, ..layer.clone() };
        let pulling = async {
            let (client, reference) = (client(&self.access)?, self.reference());
            client.store_auth_if_needed(reference.resolve_registry(), &login(&self.access)).await;
            let mut pulled = client.pull_blob_stream(&reference, &layer).await.map_err(|error| failed(&error, &self.access))?;
            let mut bytes = BytesMut::new();
            let broken = |error: std::io::Error| format!("came with a layer that is not whole, or another one: {}", causes(&error));
            while let Some(part) = pulled.stream.try_next().await.map_err(broken)? {
                if (bytes.len() + part.len()) as u64 > size {
                    return Err(format!("came with a layer of more than the {size} bytes that its manifest says"));
                }
                bytes.extend_from_slice(&part);
            }
            Ok(bytes.freeze())
        };
        let bytes = within(LAYER_WITHIN, pulling).await?;
        let found = format!("sha256:{}", digest(&bytes));
        if found != layer.digest {
            return Err(format!(
                "came with a layer that is not what its manifest says: expected {}, got {found}",
                tamed(&layer.digest, 80)
            ));
        }
        Ok(bytes)
    }

    fn reference(&self) -> Reference {
        Reference::with_digest(self.registry.clone(), self.repository.clone(), format!("sha256:{}", self.digest))
    }
}

/// What is pushed.
#[derive(Debug)]
pub struct Push {
    /// Host of the registry, with its port if it has one.
    pub registry: String,
    /// The repository in it.
    pub repository: String,
    /// Its tag, for people who look for it.
    pub tag: String,
    /// How the registry is talked to.
    pub access: Access,
    /// What a file of it is called.
    pub title: String,
    /// The component.
    pub component: Bytes,
    /// The text of its signature.
    pub signature: Option<String>,
    /// Its compiled code, signed.
    pub code: Option<Bytes>,
}

impl Push {
    /// Pushes it, and gives the artifact to pin.
    ///
    /// # Errors
    /// It is no component, or the registry does not take it, as a clause that goes on after its name.
    pub async fn push(self) -> Result<Artifact, String> {
        let outline = inspect::outline(&self.component).map_err(|flaw| flaw.reason)?;
        let Self { registry, repository, tag, access, title, component, signature, code } = self;
        let describes = json!({
            "architecture": "wasm",
            "os": "wasip2",
            "layerDigests": [format!("sha256:{}", digest(&component))],
            "component": {"imports": outline.imports, "exports": outline.exports},
        });
        let mut annotations = BTreeMap::from([(TITLE.to_owned(), title)]);
        annotations.extend(signature.map(|text| (SIGNATURE.to_owned(), text.trim().to_owned())));
        let mut layers = vec![ImageLayer::new(component, WASM_LAYER.to_owned(), Some(annotations))];
        layers.extend(code.map(|code| ImageLayer::new(code, CODE_LAYER.to_owned(), None)));
        let config = Config::new(describes.to_string(), WASM_CONFIG.to_owned(), None);
        let mut manifest = OciImageManifest::build(&layers, &config, None);
        manifest.media_type = Some(OCI_IMAGE_MEDIA_TYPE.to_owned());
        let written = serde_json::to_vec(&manifest).map_err(|error| format!("has no manifest: {error}"))?;
        let artifact = Artifact { registry, repository, digest: digest(&written), access };
        let place = Reference::with_tag(artifact.registry.clone(), artifact.repository.clone(), tag);
        let pushing = async {
            let (client, access) = (client(&artifact.access)?, &artifact.access);
            client.store_auth_if_needed(place.resolve_registry(), &login(access)).await;
            let layers = layers.into_iter().map(|layer| (layer.sha256_digest(), layer.data));
            for (name, data) in layers.chain([(manifest.config.digest.clone(), config.data)]) {
                client.push_blob(&place, data, &name).await.map_err(|error| failed(&error, access))?;
            }
            let media = http::HeaderValue::from_static(OCI_IMAGE_MEDIA_TYPE);
            client.push_manifest_raw(&place, written, media).await.map_err(|error| failed(&error, access))
        };
        within(LAYER_WITHIN, pushing).await?;
        Ok(artifact)
    }
}

fn client(access: &Access) -> Result<Client, String> {
    let config = ClientConfig {
        protocol: if access.plain { ClientProtocol::Http } else { ClientProtocol::Https },
        connect_timeout: Some(CONNECT),
        read_timeout: Some(BETWEEN_PARTS),
        user_agent: concat!("millrace/", env!("CARGO_PKG_VERSION")),
        ..ClientConfig::default()
    };
    Client::try_from(config).map_err(|error| format!("cannot be asked for: {}", causes(&error)))
}

fn login(access: &Access) -> RegistryAuth {
    match &access.login {
        Some(login) => RegistryAuth::Basic(login.username.clone(), login.password.clone()),
        None => RegistryAuth::Anonymous,
    }
}

async fn within<T>(limit: Duration, doing: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    tokio::time::timeout(limit, doing).await.unwrap_or_else(|_| Err(format!("did not get through within {limit:?}")))
}

/// What a registry's refusal means, as a clause that goes on after the artifact's name.
fn failed(error: &OciDistributionError, access: &Access) -> String {
    use OciDistributionError as Error;
    let why = causes(error);
    let is_unknown = |code: &OciErrorCode| {
        matches!(code, OciErrorCode::ManifestUnknown | OciErrorCode::NameUnknown | OciErrorCode::BlobUnknown | OciErrorCode::NotFound)
    };
    match error {
        Error::UnauthorizedError { .. } | Error::AuthenticationFailure(_) | Error::ServerError { code: 401, .. } => match &access.login {
            Some(login) => format!("is refused to '{}' (status 401): set the name and password that the registry knows", login.username),
            None => "is not given to everybody (status 401): set a name and a password that the registry knows".to_owned(),
        },
        Error::ServerError { code: 404, .. } => "is not in its registry (status 404): push it, or correct the digest".to_owned(),
        Error::RegistryError { envelope, .. } if envelope.errors.iter().any(|error| is_unknown(&error.code)) => {
            "is not in its registry (status 404): push it, or correct the digest".to_owned()
        }
        Error::DigestError(_) => format!("was not given by its registry: what came has another digest ({why})"),
        Error::RequestError(_) => {
            let through = access.proxy.as_ref().map(|proxy| format!(" through the proxy of {proxy}")).unwrap_or_default();
            format!("cannot be had from its registry{through}: {why}")
        }
        _ => format!("is refused by its registry: {why}"),
    }
}

/// All that an error says, what it was caused by included.
fn causes(error: &dyn std::error::Error) -> String {
    let mut said = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !said.iter().any(|before| before.contains(&text)) {
            said.push(text);
        }
        cause = error.source();
    }
    tamed(&said.join(": "), 500)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(manifest: &serde_json::Value) -> String {
        Layers::read(manifest.to_string().as_bytes()).unwrap_err()
    }

    #[test]
    fn a_manifest_has_one_component_that_is_known_by_its_digest() {
        let layer = |media: &str, digest: &str| json!({"mediaType": media, "digest": digest, "size": 1});
        let manifest =
            |layers: &[serde_json::Value]| json!({"schemaVersion": 2, "config": layer(WASM_CONFIG, "sha256:0"), "layers": layers});
        let good = layer(WASM_LAYER, &format!("sha256:{}", digest(b"this")));
        let more = layer(CODE_LAYER, &format!("sha256:{}", digest(b"code")));
        let read = Layers::read(manifest(&[good.clone(), more]).to_string().as_bytes()).unwrap();
        assert_eq!((read.digest, read.signature, read.code.is_some()), (digest(b"this"), None, true));

        assert!(refused(&json!({"schemaVersion": 2, "manifests": []})).contains("not that of an index"));
        assert!(refused(&manifest(&[])).contains("its layers: none"));
        assert!(refused(&manifest(&[good.clone(), good])).contains("no single layer"));
        assert!(
            refused(&manifest(&[layer("application/vnd.oci.image.layer.v1.tar", "sha256:0")])).contains("its layers: application/vnd.oci")
        );
        for bad in ["sha256:../../x", "sha512:0", "sha256:0", ""] {
            assert!(refused(&manifest(&[layer(WASM_LAYER, bad)])).contains("expected sha256: and 64 digits"), "{bad}");
        }
    }
}
