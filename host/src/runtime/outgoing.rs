//! Outgoing HTTP of components: only to services that the operator named, and only by their names.
//!
//! A component asks for `http://<service>/path`. Where that is, a URL or a module of this process, and which headers go with
//! it, only the host knows. Redirects are not followed.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::{Either, select};
use http::uri::{PathAndQuery, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::rt::TokioIo;
use memchr::memmem;
use tower::{Service as _, ServiceExt as _};
use tower_http::timeout::TimeoutBody;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

use super::encrypted;
use super::heard::{Answer, Failure};
use super::tape::Deck;
use super::{Capabilities, Credential, Grant, GrantTarget, InProcess};
use crate::between::Connector;

/// Bytes of a body that a module of this process gets from a component.
const MAX_BODY_BYTES: usize = 64 << 10;
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// How long a connection may take; the run's own time ends the rest.
const CONNECT: Duration = Duration::from_secs(5);

type Io = Box<dyn Future<Output = Result<(), Error>> + Send>;
type Sent = Result<(Response<WasiBody>, Io), Error>;

/// The services that a component may call. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Outgoing {
    services: Arc<HashMap<String, Service>>,
    /// Shared: most runs connect to nothing.
    connector: Arc<Connections>,
    /// Trace context of the run, which goes with every request.
    pub traceparent: Option<HeaderValue>,
    /// What a service said that did not accept what this process is known by.
    refused: Arc<OnceLock<String>>,
    /// What services say to the run is recorded here, or played from here.
    pub deck: Option<Deck>,
    /// What is filled into its requests.
    secrets: Arc<[Secret]>,
}

/// What stands for a secret of this name.
pub(super) fn placeholder(name: &str) -> String {
    format!("{PLACEHOLDER}{name}}}")
}

/// How a placeholder begins.
const PLACEHOLDER: &str = "{millrace-secret:";

/// A secret that goes to some services, in the place of what stands for it.
struct Secret {
    name: String,
    placeholder: String,
    value: String,
    /// In small letters.
    services: Vec<String>,
}

impl Secret {
    fn resolve(secret: &super::SecretGrant) -> Result<Self, String> {
        // The value is not shown.
        HeaderValue::try_from(secret.value.as_str())
            .map_err(|_| format!("the value of the secret '{}' has characters that no header may have", secret.name))?;
        Ok(Self {
            name: secret.name.clone(),
            placeholder: placeholder(&secret.name),
            value: secret.value.clone(),
            services: secret.services.iter().map(|service| service.to_ascii_lowercase()).collect(),
        })
    }

    fn goes_to(&self, service: &str) -> bool {
        self.services.iter().any(|one| one == service)
    }
}

/// Fills the secrets into the headers of a request to a service, and tells one of them: the service knows this process by it. One that is not
/// granted for it, or is none, is not sent in any form.
fn filled_in(secrets: &[Secret], service: &str, headers: &mut HeaderMap) -> Result<Option<Credential>, Error> {
    let mut known_by = None;
    for (name, value) in headers.iter_mut() {
        if memmem::find(value.as_bytes(), PLACEHOLDER.as_bytes()).is_none() {
            continue;
        }
        let granted = secrets.iter().filter(|secret| secret.goes_to(service));
        let is_in = |secret: &&Secret| memmem::find(value.as_bytes(), secret.placeholder.as_bytes()).is_some();
        if let Some(secret) = granted.clone().find(is_in) {
            known_by = Some(Credential { name: format!("the secret '{}'", secret.name), internal: false });
        }
        // A value that is more than ASCII is not looked into, and not sent as it is.
        let text =
            value.to_str().ok().map(|text| granted.fold(text.to_owned(), |text, secret| text.replace(&secret.placeholder, &secret.value)));
        let filled = text.filter(|text| !text.contains(PLACEHOLDER)).and_then(|text| HeaderValue::try_from(text).ok());
        let Some(mut filled) = filled else {
            tracing::warn!(service, header = %name, "a component put a secret into a request for which `capabilities.secrets` does not grant it");
            return Err(Error::HttpRequestDenied);
        };
        filled.set_sensitive(true);
        *value = filled;
    }
    Ok(known_by)
}

/// Puts what stands for a secret in its place again where a service says it in the headers of its answer: the component never has it, and no
/// recording does.
fn taken_out(secrets: &[Secret], service: &str, headers: &mut HeaderMap) {
    for (name, value) in headers.iter_mut().filter(|(name, _)| **name != http::header::CONTENT_LENGTH) {
        for secret in secrets.iter().filter(|secret| secret.goes_to(service) && !secret.value.is_empty()) {
            let Some(bytes) = replaced(value.as_bytes(), secret.value.as_bytes(), secret.placeholder.as_bytes()) else { continue };
            tracing::warn!(service, header = %name, "a service answers with a secret: the component is given what stands for it");
            // Of parts that a header may have.
            *value = HeaderValue::from_bytes(&bytes).unwrap_or_else(|_| HeaderValue::from_static(""));
        }
    }
}

/// The bytes with `to` for each `from`; nothing where there is none.
fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Option<Vec<u8>> {
    let (mut result, mut at) = (Vec::new(), 0);
    for found in memmem::find_iter(bytes, from) {
        result.extend_from_slice(&bytes[at..found]);
        result.extend_from_slice(to);
        at = found + from.len();
    }
    if at == 0 {
        return None;
    }
    result.extend_from_slice(&bytes[at..]);
    Some(result)
}

/// Connections to services, one for each request.
struct Connections(Connector);

impl Default for Connections {
    fn default() -> Self {
        Self(Connector::new(CONNECT))
    }
}

struct Service {
    target: Target,
    headers: HeaderMap,
    credential: Option<Credential>,
}

enum Target {
    Url { scheme: Scheme, authority: String, prefix: String },
    Module(InProcess),
}

impl Outgoing {
    /// The grants of one component, resolved.
    ///
    /// # Errors
    /// Every grant that cannot be used, each with what would be accepted.
    pub fn resolve(capabilities: &Capabilities, modules: &HashMap<String, InProcess>) -> Result<Self, Vec<String>> {
        // Of the two that are linked in, that of the other clients; it was said before if this is not the first component.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        if capabilities.http.iter().any(|grant| matches!(&grant.target, GrantTarget::Url(url) if url.starts_with("https:"))) {
            encrypted::look_for_authorities();
        }
        let (good, bad): (Vec<_>, Vec<_>) = capabilities.http.iter().map(|grant| resolve_grant(grant, modules)).partition(Result::is_ok);
        let (secrets, unsendable): (Vec<_>, Vec<_>) = capabilities.secrets.iter().map(Secret::resolve).partition(Result::is_ok);
        let problems: Vec<String> = bad.into_iter().filter_map(Result::err).chain(unsendable.into_iter().filter_map(Result::err)).collect();
        if problems.is_empty() {
            let mut secrets: Vec<Secret> = secrets.into_iter().flatten().collect();
            // One that is a part of another must not be taken out of that.
            secrets.sort_by_key(|secret| std::cmp::Reverse(secret.value.len()));
            Ok(Self { services: Arc::new(good.into_iter().flatten().collect()), secrets: secrets.into(), ..Self::default() })
        } else {
            Err(problems)
        }
    }

    /// The same services for one run, of which nothing is known yet.
    pub fn for_a_run(&self) -> Self {
        let (services, secrets) = (Arc::clone(&self.services), Arc::clone(&self.secrets));
        Self { services, connector: Arc::clone(&self.connector), traceparent: None, refused: Arc::default(), deck: None, secrets }
    }

    /// Which service did not accept what this process is known by, and what to do; of the first one in this run.
    pub fn refused(&self) -> Option<String> {
        self.refused.get().cloned()
    }
}

impl Service {
    /// What it means if the service refuses what it knows this process by: what the grant adds, or a secret that was filled in. That is no
    /// answer to the component's question.
    fn refusal(&self, service: &str, status: StatusCode, filled_in: Option<&Credential>) -> Option<String> {
        let credential = self.credential.as_ref().or(filled_in)?;
        let refuses = status == StatusCode::UNAUTHORIZED || (credential.internal && status == StatusCode::FORBIDDEN);
        let Target::Url { scheme, authority, .. } = &self.target else { return None };
        let alike = if credential.internal { "it must be the same in both processes" } else { "set it to what that service accepts" };
        let (name, status) = (&credential.name, status.as_u16());
        refuses.then(|| {
            format!("the service '{service}' at {scheme}://{authority} does not accept {name} of this process (status {status}): {alike}")
        })
    }
}

fn resolve_grant(grant: &Grant, modules: &HashMap<String, InProcess>) -> Result<(String, Service), String> {
    let name = &grant.service;
    let target = match &grant.target {
        GrantTarget::Handler(module) => {
            let service = modules.get(module).ok_or_else(|| {
                let mut known: Vec<&str> = modules.keys().map(String::as_str).collect();
                known.sort_unstable();
                format!("the service '{name}' is granted from module '{module}', which cannot be called; these can: {}", known.join(", "))
            })?;
            Target::Module(service.clone())
        }
        GrantTarget::Url(url) => url_target(url).map_err(|why| format!("the service '{name}' is granted from '{url}', which {why}"))?,
    };
    let mut headers = HeaderMap::new();
    for (header, value) in &grant.headers {
        let key = HeaderName::try_from(header.as_str())
            .map_err(|_| format!("the service '{name}' has the header '{header}', which is no header name"))?;
        // The value may be a secret: it is not shown.
        let mut value = HeaderValue::try_from(value.as_str())
            .map_err(|_| format!("the value of header '{header}' of the service '{name}' has characters that no header may have"))?;
        value.set_sensitive(true);
        headers.append(key, value);
    }
    Ok((name.to_ascii_lowercase(), Service { target, headers, credential: grant.credential.clone() }))
}

fn url_target(url: &str) -> Result<Target, &'static str> {
    let parts = url.parse::<Uri>().map_err(|_| "is not a URL")?.into_parts();
    let (Some(scheme), Some(authority)) = (parts.scheme, parts.authority) else {
        return Err("is not an absolute URL, for example http://users-products:8080/api");
    };
    if scheme != Scheme::HTTP && scheme != Scheme::HTTPS {
        return Err("is neither http nor https");
    }
    let prefix = parts.path_and_query.map_or_else(String::new, |path| path.path().trim_end_matches('/').to_owned());
    Ok(Target::Url { scheme, authority: authority.to_string(), prefix })
}

impl WasiHttpHooks for Outgoing {
    fn default_scheme(&mut self) -> Option<Scheme> {
        Some(Scheme::HTTP)
    }

    fn send_request(
        &mut self,
        mut request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Io,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        let (services, refused, connector) = (Arc::clone(&self.services), Arc::clone(&self.refused), Arc::clone(&self.connector));
        let secrets = Arc::clone(&self.secrets);
        if let Some(traceparent) = &self.traceparent {
            request.headers_mut().insert(TRACEPARENT, traceparent.clone());
        }
        let deck = self.deck.clone();
        let called = deck.as_ref().map(|_| format!("{} {}", request.method(), request.uri())).unwrap_or_default();
        if let Some(answer) = deck.as_ref().and_then(|deck| deck.answer(&called)) {
            return Box::new(played(request, answer));
        }
        let sending = async move {
            let asked = asked_service(request.uri());
            let Some(service) = services.get(&asked) else {
                tracing::warn!(service = %super::text::tamed(&asked, 128), "a component asked for a service that `capabilities.http` does not grant");
                return Err(Error::HttpRequestDenied);
            };
            let path = path_of(request.uri())?;
            let filled_in = filled_in(&secrets, &asked, request.headers_mut())?;
            let sent = match &service.target {
                Target::Url { scheme, authority, prefix } => {
                    let uri = located(scheme.clone(), authority, &format!("{prefix}{path}"))?;
                    let sent = send_out(connector.0.clone(), addressed(request, uri, &service.headers)?, options.unwrap_or_default()).await;
                    if let Some(refusal) =
                        sent.as_ref().ok().and_then(|(response, _)| service.refusal(&asked, response.status(), filled_in.as_ref()))
                    {
                        // The first one says it; the others of this run would say the same.
                        let _ = refused.set(refusal);
                    }
                    sent
                }
                Target::Module(module) => {
                    let uri = located(Scheme::HTTP, &asked, path.as_str())?;
                    call_module(module.clone(), addressed(request, uri, &service.headers)?).await
                }
            };
            sent.map(|(mut response, io)| {
                taken_out(&secrets, &asked, response.headers_mut());
                (response, io)
            })
        };
        // A panic of a module or of TLS must not become one of the component's run.
        let sent = AssertUnwindSafe(sending)
            .catch_unwind()
            .map(|sent| sent.unwrap_or_else(|_| Err(Error::InternalError(Some("the call failed".into())))));
        let Some(deck) = deck else { return Box::new(sent) };
        let call = deck.asked(called);
        Box::new(sent.map(move |sent| recorded(deck, call, sent)))
    }
}

/// What was recorded of a call, once more.
async fn played(request: Request<WasiBody>, answer: Answer) -> Sent {
    // Who asks may be writing yet.
    let _ = Limited::new(request.into_body(), MAX_BODY_BYTES).collect().await;
    let io: Io = Box::new(std::future::ready(Ok(())));
    Ok((answer.again().await?, io))
}

/// Notes what has come of a call, and its body as that is read.
fn recorded(deck: Deck, call: Option<usize>, sent: Sent) -> Sent {
    let (response, io) = match sent {
        Ok(sent) => sent,
        Err(error) => {
            deck.heard(call, Failure::of(&error).map(Answer::Failed));
            return Err(error);
        }
    };
    let (status, headers) = (response.status(), response.headers().clone());
    deck.heard(call, Some(Answer::Given { status, headers, body: Vec::new() }));
    let read = deck.clone();
    let response = response.map(|body| {
        let noted = body.map_frame(move |frame| {
            if let Some(part) = frame.data_ref() {
                read.part(call, part);
            }
            frame
        });
        noted
            .map_err(move |error| {
                deck.cut();
                error
            })
            .boxed_unsync()
    });
    Ok((response, io))
}

/// The host part of what was asked for: port 80 is the only port that a name has.
fn asked_service(uri: &Uri) -> String {
    let authority = uri.authority().map(http::uri::Authority::as_str).unwrap_or_default();
    authority.strip_suffix(":80").unwrap_or(authority).to_ascii_lowercase()
}

/// The path and query asked for. One that climbs could leave the prefix that the operator gave.
fn path_of(uri: &Uri) -> Result<PathAndQuery, Error> {
    let path = uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
    let climbs = path.path().split(['/', '\\']).any(|segment| {
        let plain = segment.to_ascii_lowercase().replace("%2e", ".");
        plain == "." || plain == ".." || plain.contains("%2f") || plain.contains("%5c")
    });
    if climbs { Err(Error::HttpRequestUriInvalid) } else { Ok(path) }
}

fn located(scheme: Scheme, authority: &str, path: &str) -> Result<Uri, Error> {
    Uri::builder().scheme(scheme).authority(authority).path_and_query(path).build().map_err(|_| Error::HttpRequestUriInvalid)
}

/// The request with its real address and the operator's headers, which replace the component's own of the same names.
fn addressed(mut request: Request<WasiBody>, uri: Uri, headers: &HeaderMap) -> Result<Request<WasiBody>, Error> {
    let host = uri.authority().map(http::uri::Authority::as_str).unwrap_or_default();
    let host = HeaderValue::try_from(host).map_err(|_| Error::HttpRequestUriInvalid)?;
    request.headers_mut().insert(http::header::HOST, host);
    for name in headers.keys() {
        request.headers_mut().remove(name);
    }
    for (name, value) in headers {
        request.headers_mut().append(name.clone(), value.clone());
    }
    *request.uri_mut() = uri;
    Ok(request)
}

async fn send_out(mut connector: Connector, request: Request<WasiBody>, options: RequestOptions) -> Sent {
    let connect = options.connect_timeout.map_or(CONNECT, |asked| asked.min(CONNECT));
    let (address, encrypted) = (address_of(request.uri())?, request.uri().scheme() == Some(&Scheme::HTTPS));
    let host = address.host().unwrap_or_default().to_owned();
    let connecting = tokio::time::timeout(connect, async {
        let stream = connector.call(address).await.map_err(Error::Connect)?;
        if encrypted { encrypted::over(stream.into_inner(), &host).await.map(Either::Right) } else { Ok(Either::Left(stream)) }
    });
    match connecting.await.map_err(|_| Error::ConnectionTimeout)?? {
        Either::Left(plain) => exchange(plain, request, &options).await,
        Either::Right(encrypted) => exchange(TokioIo::new(encrypted), request, &options).await,
    }
}

/// Where to connect for what is asked: nothing but a host and a port, as it is without TLS.
fn address_of(uri: &Uri) -> Result<Uri, Error> {
    let default = if uri.scheme() == Some(&Scheme::HTTPS) { 443 } else { 80 };
    let (host, port) = (uri.host().unwrap_or_default(), uri.port_u16().unwrap_or(default));
    located(Scheme::HTTP, &format!("{host}:{port}"), "/")
}

/// Sends as wasmtime does, over a connection of ours.
async fn exchange<S>(stream: S, mut request: Request<WasiBody>, options: &RequestOptions) -> Sent
where
    S: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await?;
    // Only a proxy is told the address.
    let path = request.uri().path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
    *request.uri_mut() = Uri::from(path);
    let answering = tokio::time::timeout(options.first_byte_timeout.unwrap_or(Duration::MAX), sender.send_request(request));
    let (answered, io): (_, Io) = match select(Box::pin(answering), Box::pin(connection)).await {
        Either::Left((answered, connection)) => (answered, Box::new(connection.map(|ended| ended.map_err(Error::from)))),
        Either::Right((ended, answering)) => {
            ended?;
            (answering.await, Box::new(std::future::ready(Ok(()))))
        }
    };
    let response = answered.map_err(|_| Error::ConnectionReadTimeout)??;
    let between = options.between_bytes_timeout.unwrap_or(Duration::MAX);
    Ok((response.map(|body| TimeoutBody::new(between, body).map_err(broken_off).boxed_unsync()), io))
}

/// Why a body did not come whole.
fn broken_off(error: tower::BoxError) -> Error {
    error.downcast::<hyper::Error>().map_or(Error::ConnectionReadTimeout, |error| Error::Hyper(*error))
}

async fn call_module(module: InProcess, request: Request<WasiBody>) -> Sent {
    let (parts, body) = request.into_parts();
    let body = Limited::new(body, MAX_BODY_BYTES).collect().await.map_err(|error| match error.downcast::<Error>() {
        Ok(error) => *error,
        Err(_) => Error::HttpRequestBodySize(Some(MAX_BODY_BYTES as u64)),
    })?;
    let response = module.oneshot(Request::from_parts(parts, body.to_bytes())).await.unwrap_or_else(|never| match never {});
    Ok((response.map(|body: Bytes| Full::new(body).map_err(Into::into).boxed_unsync()), Box::new(async { Ok(()) })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_climbs_is_no_path() {
        for path in ["/a/../b", "/..", "/%2e%2E/x", "/a/%2e", "/a%2fb", "/a\\..\\b"] {
            let Ok(uri) = format!("http://stock{path}").parse() else { continue };
            assert!(path_of(&uri).is_err(), "{path} was taken");
        }
        assert!(path_of(&Uri::from_static("http://stock/a/b.c?d=../e")).is_ok());
    }

    #[test]
    fn only_a_refusal_of_what_the_operator_set_is_his_fault() {
        let service = |internal: Option<bool>| Service {
            target: url_target("http://warehouse:8080/base").unwrap(),
            headers: HeaderMap::new(),
            credential: internal.map(|internal| Credential { name: "A_SECRET".into(), internal }),
        };
        let told = |internal, status| service(internal).refusal("stock", status, None);
        let text = told(Some(true), StatusCode::FORBIDDEN).unwrap();
        assert!(text.contains("'stock' at http://warehouse:8080 does not accept A_SECRET") && text.contains("403"), "{text}");
        assert!(told(Some(true), StatusCode::UNAUTHORIZED).is_some() && told(Some(false), StatusCode::UNAUTHORIZED).is_some());
        // A bank may forbid a payment, and a service that wants nothing from this process may say what it likes.
        assert!(told(Some(false), StatusCode::FORBIDDEN).is_none() && told(None, StatusCode::UNAUTHORIZED).is_none());
        assert!(told(Some(true), StatusCode::NOT_FOUND).is_none());

        let secrets = [Secret { name: "key".into(), placeholder: placeholder("key"), value: "old".into(), services: vec!["stock".into()] }];
        let mut headers = HeaderMap::from_iter([(http::header::AUTHORIZATION, HeaderValue::try_from(placeholder("key")).unwrap())]);
        let filled = filled_in(&secrets, "stock", &mut headers).unwrap();
        let text = service(None).refusal("stock", StatusCode::UNAUTHORIZED, filled.as_ref()).unwrap();
        assert!(text.contains("does not accept the secret 'key' of this process (status 401)"), "{text}");
        assert!(service(None).refusal("stock", StatusCode::FORBIDDEN, filled.as_ref()).is_none());
        assert!(filled_in(&secrets, "stock", &mut HeaderMap::new()).unwrap().is_none(), "it was not sent");
    }

    #[test]
    fn a_secret_is_filled_in_for_its_services_and_no_other_request_has_a_placeholder() {
        let secrets =
            [Secret { name: "key".into(), placeholder: placeholder("key"), value: "s3cret".into(), services: vec!["bank".into()] }];
        let headers = |value: &str| HeaderMap::from_iter([(http::header::AUTHORIZATION, HeaderValue::try_from(value).unwrap())]);
        let mut sent = headers(&format!("Bearer {}", placeholder("key")));
        filled_in(&secrets, "bank", &mut sent).unwrap();
        assert!(sent[http::header::AUTHORIZATION] == "Bearer s3cret" && sent[http::header::AUTHORIZATION].is_sensitive());
        for (service, value) in [("stock", placeholder("key")), ("bank", placeholder("other"))] {
            assert!(filled_in(&secrets, service, &mut headers(&value)).is_err(), "{service}: {value}");
        }
        let mut plain = headers("Bearer mine");
        filled_in(&secrets, "stock", &mut plain).unwrap();
        assert_eq!(plain[http::header::AUTHORIZATION], "Bearer mine");
        let beyond_ascii = HeaderValue::from_bytes(&[b"\xe9 ".as_slice(), placeholder("key").as_bytes()].concat()).unwrap();
        let mut sent = HeaderMap::from_iter([(http::header::AUTHORIZATION, beyond_ascii)]);
        assert!(filled_in(&secrets, "bank", &mut sent).is_err());
    }

    #[test]
    fn a_secret_that_a_service_says_back_does_not_reach_the_component() {
        let of =
            |name: &str, value: &str| super::super::SecretGrant { name: name.into(), value: value.into(), services: vec!["Bank".into()] };
        let capabilities = Capabilities { secrets: vec![of("short", "s3cret"), of("long", "s3cret-2")], ..Capabilities::default() };
        let outgoing = Outgoing::resolve(&capabilities, &HashMap::new()).ok().unwrap();
        let told = |service: &str, text: &[u8]| {
            let mut headers = HeaderMap::from_iter([(http::header::LOCATION, HeaderValue::from_bytes(text).unwrap())]);
            taken_out(&outgoing.secrets, service, &mut headers);
            headers[http::header::LOCATION].as_bytes().to_vec()
        };
        assert_eq!(told("bank", b"/s3cret?s3cret-2"), format!("/{}?{}", placeholder("short"), placeholder("long")).into_bytes());
        assert_eq!(told("bank", b"\xe9s3cret"), [b"\xe9".as_slice(), placeholder("short").as_bytes()].concat());
        assert_eq!(told("bank", b"/parcels/7"), b"/parcels/7");
    }

    #[test]
    fn a_secret_that_no_header_may_have_is_told_and_not_shown() {
        let secrets = vec![super::super::SecretGrant { name: "key".into(), value: "s3cr3t\n".into(), services: vec!["bank".into()] }];
        let problems = Outgoing::resolve(&Capabilities { secrets, ..Capabilities::default() }, &HashMap::new()).err().unwrap_or_default();
        assert_eq!(problems, ["the value of the secret 'key' has characters that no header may have"]);
    }

    #[test]
    fn every_bad_grant_is_told_and_no_secret() {
        let grant = |target, headers: &[(&str, &str)]| Grant {
            service: "stock".into(),
            target,
            headers: headers.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            credential: None,
        };
        let http = vec![
            grant(GrantTarget::Url("/api".into()), &[]),
            grant(GrantTarget::Url("ftp://a/".into()), &[]),
            grant(GrantTarget::Handler("nowhere".into()), &[]),
            grant(GrantTarget::Url("http://a/".into()), &[("x-key", "s3cr3t\n")]),
        ];
        let problems = Outgoing::resolve(&Capabilities { http, ..Capabilities::default() }, &HashMap::new()).err().unwrap_or_default();
        assert_eq!(problems.len(), 4, "{problems:?}");
        assert!(!problems.join(" ").contains("s3cr3t"), "{problems:?}");
    }
}
