//! In which form a file is sent: as it is, or compressed by the build, or compressed here, once for each version of it.
//!
//! What clients accept is written in endlessly many ways and means one of a few sequences, so nobody can have a file compressed again by
//! asking for the same in other words.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, header};
use moka::future::Cache;
use tower::ServiceExt;
use tower_http::compression::CompressionLayer;
use tower_http::services::ServeFile;

use super::LARGEST;
use super::versions::Version;
use crate::durable;

/// Bytes of everything that was compressed here.
const CAPACITY: u64 = 16 << 20;
/// What an entry costs beside its bytes.
const OVERHEAD: u32 = 1 << 10;

/// A coding that files are sent in, best first where a client does not care.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Coding {
    Brotli,
    Gzip,
    Identity,
}

impl Coding {
    const ALL: [Self; 3] = [Self::Brotli, Self::Gzip, Self::Identity];

    /// Its value in headers.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Gzip => "gzip",
            Self::Identity => "identity",
        }
    }

    fn extension(self) -> Option<&'static str> {
        match self {
            Self::Brotli => Some(".br"),
            Self::Gzip => Some(".gz"),
            Self::Identity => None,
        }
    }

    fn is_called(self, name: &str) -> bool {
        name.eq_ignore_ascii_case(self.name()) || (self == Self::Gzip && name.eq_ignore_ascii_case("x-gzip"))
    }
}

/// What a client accepts, best first (RFC 9110, section 12.5.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Accepted([Option<Coding>; 3]);

impl Accepted {
    /// By the headers of a request. Who says nothing gets a file as it is.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let lines = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
        let listed: Vec<(&str, u16)> = lines.flat_map(|line| line.split(',')).filter_map(weighed).collect();
        let weight = |named: &dyn Fn(&str) -> bool| listed.iter().find(|(name, _)| named(name)).map(|(_, weight)| *weight);
        let any = weight(&|name| name == "*");
        let mut codings = Coding::ALL.map(|coding| {
            let own = weight(&|name| coding.is_called(name)).or(any);
            // Not naming it is no refusal, and every other coding that is named is better.
            let weight = own.map_or(u32::from(coding == Coding::Identity), |weight| u32::from(weight) * 2);
            (weight, coding)
        });
        codings.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
        Self(codings.map(|(weight, coding)| (weight > 0).then_some(coding)))
    }

    /// Best first.
    pub(super) fn codings(self) -> impl Iterator<Item = Coding> {
        self.0.into_iter().flatten()
    }

    /// Whether a file may be sent as it is.
    pub(super) fn allows_identity(self) -> bool {
        self.codings().any(|coding| coding == Coding::Identity)
    }
}

/// One element of `Accept-Encoding` and its weight in thousandths; one that cannot be read says nothing.
fn weighed(element: &str) -> Option<(&str, u16)> {
    let (name, parameter) = element.split_once(';').map_or((element, None), |(name, parameter)| (name, Some(parameter)));
    let weight = match parameter {
        None => 1000,
        Some(parameter) => {
            let (q, value) = parameter.split_once('=')?;
            let value: f32 = value.trim().parse().ok().filter(|value| (0.0..=1.0).contains(value))?;
            q.trim().eq_ignore_ascii_case("q").then_some(thousandths(value))?
        }
    };
    Some((name.trim(), weight))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 1")]
fn thousandths(weight: f32) -> u16 {
    (weight * 1000.0).round() as u16
}

/// The bytes of a file in a coding.
pub(super) enum Form {
    /// The file itself.
    AsItIs,
    /// A file that the build has made.
    Built(Coding, PathBuf),
    Compressed(Coding, Bytes),
}

/// Chooses forms, and keeps what was compressed here.
pub(super) struct Forms {
    /// `None` for what does not gain from it, such as pictures.
    compressed: Cache<(Version, Coding), Option<Bytes>>,
}

impl Forms {
    pub(super) fn new() -> Self {
        let weight = |_: &(Version, Coding), bytes: &Option<Bytes>| {
            let length = bytes.as_ref().map_or(0, Bytes::len);
            u32::try_from(length).unwrap_or(u32::MAX).saturating_add(OVERHEAD)
        };
        Self { compressed: Cache::builder().max_capacity(CAPACITY).weigher(weight).build() }
    }

    /// The best form of `file` that a client accepts; none if it accepts none.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) async fn best(&self, file: &Path, accepted: Accepted) -> Result<Option<Form>, Arc<axum::Error>> {
        for coding in accepted.codings() {
            let Some(extension) = coding.extension() else { return Ok(Some(Form::AsItIs)) };
            if let Some(twin) = twin(file, extension).await {
                return Ok(Some(Form::Built(coding, twin)));
            }
            if let Some(bytes) = self.compressed(file, coding).await? {
                return Ok(Some(Form::Compressed(coding, bytes)));
            }
        }
        Ok(None)
    }

    async fn compressed(&self, file: &Path, coding: Coding) -> Result<Option<Bytes>, Arc<axum::Error>> {
        let found = tokio::fs::metadata(file).await.map_err(|error| Arc::new(axum::Error::new(error)))?;
        if found.len() > LARGEST {
            return Ok(None);
        }
        self.compressed.try_get_with((Version::of(file, &found), coding), compress(file, coding)).await
    }
}

/// The whole file in that coding, if it gains from it.
async fn compress(file: &Path, coding: Coding) -> Result<Option<Bytes>, axum::Error> {
    let service = tower::ServiceBuilder::new().layer(CompressionLayer::new()).service(ServeFile::new(file));
    let mut request = Request::new(Body::empty());
    request.headers_mut().insert(header::ACCEPT_ENCODING, HeaderValue::from_static(coding.name()));
    let Ok(response) = service.oneshot(request).await;
    if !response.headers().contains_key(header::CONTENT_ENCODING) {
        return Ok(None);
    }
    axum::body::to_bytes(Body::new(response.into_body()), usize::MAX).await.map(Some)
}

/// What the build has left beside the file, smaller than what can be compressed while a client waits. It has to be a file of its own, and
/// of this version.
async fn twin(file: &Path, extension: &str) -> Option<PathBuf> {
    let twin = durable::beside(file, extension);
    let (own, found) = (tokio::fs::metadata(file).await.ok()?, tokio::fs::symlink_metadata(&twin).await.ok()?);
    let is_current = matches!((own.modified(), found.modified()), (Ok(own), Ok(found)) if found >= own);
    (found.is_file() && is_current).then_some(twin)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(value: &str) -> Vec<&'static str> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_str(value).unwrap());
        Accepted::of(&headers).codings().map(Coding::name).collect()
    }

    #[test]
    fn what_is_accepted_is_a_sequence_with_the_best_first() {
        let nothing: [&str; 0] = [];
        assert_eq!(Accepted::of(&HeaderMap::new()).codings().collect::<Vec<_>>(), [Coding::Identity]);
        for (value, expected) in [
            ("", &["identity"][..]),
            ("gzip, deflate, br, zstd", &["br", "gzip", "identity"]),
            ("gzip;q=1.0, br;q=0.5", &["gzip", "br", "identity"]),
            ("GZIP , x-unknown;q=0.3", &["gzip", "identity"]),
            ("x-gzip", &["gzip", "identity"]),
            ("*", &["br", "gzip", "identity"]),
            ("*;q=0.1, identity", &["identity", "br", "gzip"]),
            ("br;q=0, *", &["gzip", "identity"]),
            ("identity", &["identity"]),
            ("identity;q=1, br;q=0.9", &["identity", "br"]),
            ("br, identity;q=0", &["br"]),
            ("gzip, *;q=0", &["gzip"]),
            ("identity;q=0", &nothing),
            ("*;q=0", &nothing),
            ("br;q=2, gzip;level=9, identity;q=x", &["identity"]),
        ] {
            assert_eq!(accepted(value), expected, "{value}");
        }
    }
}
