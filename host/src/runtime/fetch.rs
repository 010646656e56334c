//! What comes along with a component, from where the config says that it comes from: its signature, its compiled code, and all of it where
//! that is a registry. What a registry has given once is kept, so that a start needs no registry.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::code_cache::{CodeCache, MAX_CODE_BYTES};
use super::registry::Layers;
use super::settings::{Artifact, ComponentSettings, Source};
use super::shipped::{CODE_EXTENSION, Vouched, vouched};
use super::signature::{MAX_SIGNATURE_BYTES, SIGNATURE_ENDING};
use super::source::{off_thread, read_beside};
use crate::durable::beside;

/// How long registries are waited for, beside the bounds that each request has.
#[derive(Debug, Clone)]
pub(super) struct Patience(Option<(Instant, Duration)>);

impl Patience {
    /// As long as the requests take.
    pub fn unlimited() -> Self {
        Self(None)
    }

    /// So long from now on.
    pub fn of(limit: Duration) -> Self {
        Self(Some((Instant::now() + limit, limit)))
    }

    /// What is fetched.
    ///
    /// # Errors
    /// Its own, or that there was no time left, as a clause that goes on after the artifact's name.
    pub async fn within<T>(&self, fetching: impl Future<Output = Result<T, String>>) -> Result<T, String> {
        let Some((end, limit)) = self.0 else { return fetching.await };
        let slow = |_| {
            Err(format!(
                "did not come from its registry within the {limit:?} that a start waits for it: it is asked for again while the others serve"
            ))
        };
        tokio::time::timeout_at(end.into(), fetching).await.unwrap_or_else(slow)
    }
}

type Kept = Option<Arc<CodeCache>>;

/// The text of the signature that lies beside a file, if one does.
///
/// # Errors
/// It cannot be read, as a clause that goes on after the component's name.
pub(super) async fn signature(file: &Path) -> Result<Option<String>, String> {
    let read = read_beside(beside(file, SIGNATURE_ENDING), MAX_SIGNATURE_BYTES as u64).await;
    let bytes = read.map_err(|reason| format!("has a `{SIGNATURE_ENDING}` file that {reason}"))?;
    // What is no text is no signature, and is told to be none.
    Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

/// The layers of an artifact, by its manifest that was kept, or by that which the registry gives.
///
/// # Errors
/// The registry does not give it, or it is none of a component, as a clause that goes on after the artifact's name.
pub(super) async fn layers(kept: &Kept, artifact: &Artifact) -> Result<Layers, String> {
    if let Some(kept) = kept.clone() {
        let wanted = artifact.digest.clone();
        if let Some(manifest) = off_thread(move || kept.manifest(&wanted)).await? {
            return Layers::read(&manifest);
        }
    }
    let manifest = artifact.manifest().await?;
    let layers = Layers::read(&manifest)?;
    if let Some(kept) = kept.clone() {
        let digest = artifact.digest.clone();
        if let Err(error) = off_thread(move || kept.keep_manifest(&digest, &manifest)).await? {
            tracing::warn!(%artifact, %error, "the manifest of a component cannot be kept: the next start asks its registry again");
        }
    }
    Ok(layers)
}

/// The component of an artifact, by its copy if there is one.
///
/// # Errors
/// As of [`layers`].
pub(super) async fn component(kept: &Kept, artifact: &Artifact, layers: &Layers) -> Result<Bytes, String> {
    if let Some(kept) = kept.clone() {
        let wanted = layers.digest.clone();
        if let Ok(copy) = off_thread(move || kept.copy(&wanted)).await? {
            return Ok(copy);
        }
    }
    artifact.component(layers).await
}

/// The compiled code that came along with the component with this digest, if it is to be trusted and fits `engine`. What is not used is
/// told once it was looked at, and does no harm: the component is compiled then.
pub(super) async fn code(settings: &ComponentSettings, layers: Option<&(Layers, Patience)>, digest: &str, engine: &str) -> Option<Vouched> {
    let (component, keys) = (&settings.name, &settings.signatures.compiled_keys);
    let unused = |reason: String| tracing::info!(%component, digest, reason, "compiled code that came with a component is not used: its compiled code");
    let found = match (&settings.source, layers) {
        (Source::File(path), _) => {
            let path = path.with_extension(CODE_EXTENSION);
            if keys.is_empty() {
                if path.exists() {
                    unused("counts for nothing here: no key in `signatures.compiledKeys` says whose is taken".to_owned());
                }
                return None;
            }
            read_beside(path, MAX_CODE_BYTES).await
        }
        (Source::Registry(artifact), Some((layers, patience))) if !keys.is_empty() => patience.within(artifact.code(layers)).await,
        (Source::Registry(_), _) => return None,
    };
    let file = found.unwrap_or_else(|reason| {
        unused(reason);
        None
    })?;
    match vouched(&file, digest, engine, keys) {
        Ok(code) => Some(code),
        Err(reason) => {
            unused(reason);
            None
        }
    }
}
