//! Stock as a service for components: reservations by key, over HTTP or called in the process.
//!
//! `PUT /internal/reservations/{key}` with `{"lines":[{"sku","quantity"}]}` reserves all lines or nothing,
//! `DELETE` gives them back, `POST .../commit` takes them from the warehouse. `PUT .../{key}/return` with lines puts units back that had left
//! it, under a key of its own. All are idempotent by key.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::runtime::InProcess;
use crate::services::generation::Generation;
use crate::store::{ReservationStatus, Stock, StockLine, StoreError};

/// Where reservations are.
pub const PATH: &str = crate::plan::paths::RESERVATIONS;
/// Lines of one reservation.
const MAX_LINES: usize = 100;
/// Bytes of a key.
const MAX_KEY_BYTES: usize = 200;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reserve {
    lines: Vec<StockLine>,
}

/// What a bad request is answered; boxed, because it is large and rare.
type Refused = Box<Response<Bytes>>;

enum Call {
    Reserve(String, Vec<StockLine>),
    End(String, ReservationStatus),
    PutBack(String, Vec<StockLine>),
}

/// The service over `store`. What it changes is noted in `generation`, so that cached lists are made anew.
#[must_use]
pub fn service(store: Arc<dyn Stock>, generation: Generation) -> InProcess {
    InProcess::new(tower::service_fn(move |request: Request<Bytes>| {
        let (store, generation) = (Arc::clone(&store), generation.clone());
        async move { Ok::<_, Infallible>(answer(store.as_ref(), &generation, &request).await) }
    }))
}

async fn answer(store: &dyn Stock, generation: &Generation, request: &Request<Bytes>) -> Response<Bytes> {
    let call = match parse(request) {
        Ok(call) => call,
        Err(response) => return *response,
    };
    let result = match call {
        Call::Reserve(key, lines) => store.reserve(&key, &lines).await.map(Some),
        Call::PutBack(key, lines) => {
            let done = store.put_back(&key, &lines).await;
            generation.advance();
            return match done {
                Ok(_) => json_response(StatusCode::OK, "application/json", &json!({ "status": "returned" })),
                Err(error) => not_now(&error),
            };
        }
        Call::End(key, end) => store.end_reservation(&key, end).await,
    };
    generation.advance();
    match result {
        Ok(Some(status)) => json_response(StatusCode::OK, "application/json", &json!({ "status": status })),
        Ok(None) => problem(StatusCode::NOT_FOUND, "there is no such reservation", None),
        Err(StoreError::Short(shortages)) => problem(StatusCode::CONFLICT, "not enough stock", Some(json!(shortages))),
        Err(StoreError::Taken(_)) => problem(StatusCode::UNPROCESSABLE_ENTITY, "the key belongs to a reservation of other lines", None),
        Err(error) => not_now(&error),
    }
}

fn not_now(error: &StoreError) -> Response<Bytes> {
    tracing::warn!(%error, "stock was not changed");
    problem(StatusCode::SERVICE_UNAVAILABLE, "stock cannot be changed now", None)
}

fn parse(request: &Request<Bytes>) -> Result<Call, Refused> {
    let not_found = || {
        let detail = "expected /internal/reservations/{key}, /internal/reservations/{key}/commit or /internal/reservations/{key}/return";
        Box::new(problem(StatusCode::NOT_FOUND, detail, None))
    };
    let rest = request.uri().path().strip_prefix(PATH).ok_or_else(not_found)?;
    let (key, what) = rest.split_once('/').map_or((rest, None), |(key, what)| (key, Some(what)));
    if key.is_empty() || key.len() > MAX_KEY_BYTES || !matches!(what, None | Some("commit" | "return")) {
        return Err(not_found());
    }
    let key = key.to_owned();
    match (request.method(), what) {
        (&Method::PUT, Some("return")) => parse_lines(request.body()).map(|lines| Call::PutBack(key, lines)),
        (&Method::PUT, None) => parse_lines(request.body()).map(|lines| Call::Reserve(key, lines)),
        (&Method::DELETE, None) => Ok(Call::End(key, ReservationStatus::Released)),
        (&Method::POST, Some("commit")) => Ok(Call::End(key, ReservationStatus::Sold)),
        _ => {
            let detail = "expected PUT or DELETE of a reservation, POST of its commit, or PUT of a return";
            Err(Box::new(problem(StatusCode::METHOD_NOT_ALLOWED, detail, None)))
        }
    }
}

fn parse_lines(body: &[u8]) -> Result<Vec<StockLine>, Refused> {
    let wrong = |detail: String| Box::new(problem(StatusCode::UNPROCESSABLE_ENTITY, &detail, None));
    let Reserve { lines } =
        serde_json::from_slice(body).map_err(|error| wrong(format!("expected {{\"lines\":[{{\"sku\",\"quantity\"}}]}}: {error}")))?;
    if lines.is_empty() || lines.len() > MAX_LINES {
        return Err(wrong(format!("expected 1 to {MAX_LINES} lines, got {}", lines.len())));
    }
    if let Some(line) = lines.iter().find(|line| line.quantity == 0 || i64::try_from(line.quantity).is_err()) {
        return Err(wrong(format!("line '{}': expected a quantity of 1 or more, got {}", line.sku, line.quantity)));
    }
    Ok(lines)
}

fn problem(status: StatusCode, detail: &str, shortages: Option<Value>) -> Response<Bytes> {
    let mut body = json!({
        "type": "about:blank",
        "title": status.canonical_reason().unwrap_or_default(),
        "status": status.as_u16(),
        "detail": detail,
        "error": detail,
    });
    if let Some(shortages) = shortages {
        body["shortages"] = shortages;
    }
    json_response(status, "application/problem+json", &body)
}

fn json_response(status: StatusCode, content_type: &'static str, body: &Value) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static(content_type));
    response
}
