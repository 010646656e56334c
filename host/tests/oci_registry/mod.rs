//! A registry of OCI in this process: the part of the distribution API that pushing and pulling takes.

#![allow(dead_code, reason = "each test binary uses what it needs")]

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What may be in a request, at most.
const MOST_BYTES: usize = 64 << 20;
/// Between two bytes of what trickles.
const TRICKLE: Duration = Duration::from_millis(200);

/// A running registry; dropping it ends it.
pub struct OciRegistry {
    pub address: SocketAddr,
    held: Arc<Held>,
    serving: JoinHandle<()>,
}

#[derive(Default)]
struct Held {
    /// What is there, by digest.
    blobs: Mutex<HashMap<String, Bytes>>,
    /// Manifests by digest and by tag.
    manifests: Mutex<HashMap<String, Bytes>>,
    /// Uploads under way.
    uploads: Mutex<HashMap<String, Vec<u8>>>,
    /// `user:password`, if somebody has to log in.
    login: Mutex<Option<String>>,
    /// Paths of the requests so far.
    asked: Mutex<Vec<String>>,
    /// Whether layers come byte by byte.
    trickles: watch::Sender<bool>,
}

impl OciRegistry {
    /// At a free port of this machine.
    pub async fn start() -> Self {
        Self::on(tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port"))
    }

    /// At a port that somebody has held for it.
    pub fn on(listener: tokio::net::TcpListener) -> Self {
        let address = listener.local_addr().expect("an address");
        let held = Arc::new(Held::default());
        let app = Router::new().fallback(answer).with_state(Arc::clone(&held));
        #[expect(clippy::disallowed_methods, reason = "it ends with this value")]
        let serving = tokio::spawn(async move { axum::serve(listener, app).await.expect("it serves") });
        Self { address, held, serving }
    }

    /// From now on nobody gets anything without this name and password.
    pub fn ask_for(&self, login: &str) {
        *self.held.login.lock() = Some(login.to_owned());
    }

    /// From now on a layer comes byte by byte, or what is left of it at once.
    pub fn trickle(&self, trickles: bool) {
        self.held.trickles.send_replace(trickles);
    }

    /// Has what is called `digest` be something else.
    pub fn tamper(&self, digest: &str, bytes: &[u8]) {
        let replace = |all: &Mutex<HashMap<String, Bytes>>| all.lock().get_mut(digest).map(|held| *held = Bytes::copy_from_slice(bytes));
        assert!(replace(&self.held.blobs).or_else(|| replace(&self.held.manifests)).is_some(), "there is no {digest}");
    }

    /// Puts a component there as another tool would, and gives the digest of its manifest in hex.
    pub fn put(&self, component: &[u8], annotations: &serde_json::Value) -> String {
        let layer = named(component);
        self.held.blobs.lock().insert(layer.clone(), Bytes::copy_from_slice(component));
        let manifest = serde_json::json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {"mediaType": "application/vnd.wasm.config.v0+json", "digest": named(b"{}"), "size": 2},
            "layers": [{"mediaType": "application/wasm", "digest": layer, "size": component.len(), "annotations": annotations}],
        });
        let manifest = Bytes::from(manifest.to_string());
        let digest = named(&manifest);
        self.held.manifests.lock().insert(digest.clone(), manifest);
        digest.trim_start_matches("sha256:").to_owned()
    }

    /// The manifest of this digest or tag.
    pub fn manifest(&self, reference: &str) -> serde_json::Value {
        serde_json::from_slice(&self.held.manifests.lock()[reference]).expect("JSON")
    }

    /// How many requests there were.
    pub fn requests(&self) -> usize {
        self.held.asked.lock().len()
    }
}

impl Drop for OciRegistry {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// `sha256:` and the digest in hex.
pub fn named(bytes: &[u8]) -> String {
    format!("sha256:{}", Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}

async fn answer(State(held): State<Arc<Held>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().to_owned();
    held.asked.lock().push(path.clone());
    let given = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    if held.login.lock().as_ref().is_some_and(|login| given != format!("Basic {}", base64(login))) {
        return (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Basic realm=\"registry\"")]).into_response();
    }
    let body = axum::body::to_bytes(body, MOST_BYTES).await.expect("a body");
    let parts_of_path: Vec<&str> = path.split('/').collect();
    match (&parts.method, parts_of_path.as_slice()) {
        (_, ["", "v2", ""]) => StatusCode::OK.into_response(),
        (&Method::GET, [.., "manifests", reference]) => found(&held.manifests, reference, "application/vnd.oci.image.manifest.v1+json"),
        (&Method::PUT, [.., "manifests", reference]) => {
            let digest = named(&body);
            held.manifests.lock().insert(digest.clone(), body.clone());
            held.manifests.lock().insert((*reference).to_owned(), body);
            created(&format!("{}/{digest}", path.trim_end_matches(reference).trim_end_matches('/')))
        }
        (&Method::POST, [.., "blobs", "uploads", ""]) => {
            let id = held.asked.lock().len().to_string();
            held.uploads.lock().insert(id.clone(), Vec::new());
            accepted(&format!("{path}{id}"))
        }
        (&Method::PATCH, [.., "blobs", "uploads", id]) => {
            held.uploads.lock().get_mut(*id).expect("an upload").extend_from_slice(&body);
            accepted(&path)
        }
        (&Method::PUT, [.., "blobs", "uploads", id]) => {
            let mut whole = held.uploads.lock().remove(*id).expect("an upload");
            whole.extend_from_slice(&body);
            let digest = named(&whole);
            let asked = parts.uri.query().unwrap_or_default().replace("%3A", ":");
            assert!(asked.contains(&digest), "what came is not what was announced: {asked}");
            held.blobs.lock().insert(digest.clone(), whole.into());
            created(&format!("{}/{digest}", path.split("/uploads").next().unwrap_or_default()))
        }
        (&Method::GET, [.., "blobs", digest]) => match held.blobs.lock().get(*digest) {
            Some(bytes) => layer(bytes.clone(), held.trickles.subscribe()),
            None => StatusCode::NOT_FOUND.into_response(),
        },
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

fn found(all: &Mutex<HashMap<String, Bytes>>, name: &str, media: &'static str) -> Response {
    match all.lock().get(name) {
        Some(bytes) => ([(header::CONTENT_TYPE, media)], bytes.clone()).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// In the pace that the registry has just then.
fn layer(bytes: Bytes, trickles: watch::Receiver<bool>) -> Response {
    let parts = futures::stream::unfold((bytes, trickles), |(mut left, mut trickles)| async move {
        // Who does not wait any more is the other side.
        let _ = tokio::time::timeout(TRICKLE, trickles.wait_for(|trickles| !trickles)).await;
        let size = if *trickles.borrow() { left.len().min(1) } else { left.len() };
        let part = left.split_to(size);
        (!part.is_empty()).then_some((Ok::<_, std::convert::Infallible>(part), (left, trickles)))
    });
    ([(header::CONTENT_TYPE, "application/octet-stream")], Body::from_stream(parts)).into_response()
}

fn located(status: StatusCode, location: &str) -> Response {
    (status, [(header::LOCATION, HeaderValue::try_from(location).expect("a header"))]).into_response()
}

fn accepted(location: &str) -> Response {
    located(StatusCode::ACCEPTED, location)
}

fn created(location: &str) -> Response {
    located(StatusCode::CREATED, location)
}
