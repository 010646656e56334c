//! Where prices come from: products of this process, or of another one over HTTP.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
use parking_lot::Mutex;
use serde_json::Value;

use super::money::Cents;
use super::status::Status;
use crate::between::{Absent, Client};
use crate::plan::{Prices, Pricing};
use crate::services::ServiceError;
use crate::services::error::NO_SUCH_PATH;
use crate::store::{Object, Resources};
use crate::telemetry::traces::{self, Kind, Span};
use crate::text;

/// How long a product that was fetched over HTTP may be used again.
const CACHE_LIFE: Duration = Duration::from_secs(2);
/// Products kept.
const CACHE_PRODUCTS: u64 = 10_000;
/// Time for one answer of the catalogue.
const FETCH_TIMEOUT: Duration = Duration::from_secs(2);
/// When to come back if the catalogue does not answer.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// However often somebody wants to know, a catalogue that did not answer is asked again after so long.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// Characters of a value that a message shows.
const MAX_SHOWN: usize = 40;
/// What is asked for before anybody wants a product. Whoever answers that there is none is there.
const NO_PRODUCT: &str = "none";

/// What an order takes from a product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Product {
    /// Its name.
    pub name: String,
    /// Price of one unit.
    pub price: Cents,
}

/// How old a product may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// It may have been fetched a moment ago.
    Recent,
    /// It is asked for now.
    Now,
}

/// A source of products.
pub enum Catalogue {
    /// Resources of this kind in the store.
    Local {
        /// The store.
        store: Arc<dyn Resources>,
        /// Kind of the products.
        kind: String,
        /// Field that says whether one is sold.
        status: Option<String>,
    },
    /// Another process.
    Remote {
        /// Base URL; the product's id is appended.
        url: String,
        /// The client.
        client: Box<Client>,
        /// What was fetched a moment ago.
        cache: moka::future::Cache<String, Product>,
        /// Whether it answers.
        presence: Mutex<Presence>,
    },
}

impl Catalogue {
    /// As the plan says.
    #[must_use]
    pub fn new(pricing: &Pricing, store: Arc<dyn Resources>) -> Self {
        match &pricing.prices {
            Prices::Kind(kind) => Self::Local { store, kind: kind.clone(), status: pricing.status_field.clone() },
            Prices::Url(url) => Self::Remote {
                url: url.trim_end_matches('/').to_owned(),
                client: Box::new(Client::new(FETCH_TIMEOUT)),
                cache: moka::future::Cache::builder().max_capacity(CACHE_PRODUCTS).time_to_live(CACHE_LIFE).build(),
                presence: Mutex::default(),
            },
        }
    }

    /// The product of that id; `None` when there is none.
    ///
    /// # Errors
    /// The catalogue cannot be reached or answers something else than a product.
    pub async fn product(&self, id: &str, freshness: Freshness) -> Result<Option<Product>, ServiceError> {
        match self {
            Self::Local { store, kind, status } => match store.resource(kind, id).await? {
                // What is not offered is as if it was not there.
                Some(resource) if status.as_ref().is_some_and(|field| Status::of(&resource.data, field) != Status::Active) => Ok(None),
                Some(resource) => product(&resource.data).map(Some).ok_or_else(|| unusable(id)),
                None => Ok(None),
            },
            Self::Remote { url, cache, presence, .. } => {
                if !is_one_segment(id) {
                    return Ok(None);
                }
                if freshness == Freshness::Recent
                    && let Some(product) = cache.get(id).await
                {
                    return Ok(Some(product));
                }
                // One that was there a moment ago may be back in a moment. Of one that is known to be away it is told at once.
                let is_away = matches!(*presence.lock(), Presence::Away(_));
                let product = match self.fetch_noting(id, if is_away { Absent::Told } else { Absent::AskedAgain }).await {
                    Ok(product) => product,
                    Err(NotFetched::Silent(reason)) => {
                        tracing::warn!(url, reason, "the catalogue does not answer");
                        return Err(ServiceError::Unavailable {
                            detail: "the product catalogue cannot be reached; nothing was stored".into(),
                            retry_after: RETRY_AFTER,
                        });
                    }
                    Err(NotFetched::Useless(error)) => return Err(error),
                };
                if let Some(product) = &product {
                    cache.insert(id.to_owned(), product.clone()).await;
                }
                Ok(product)
            }
        }
    }
}

impl Catalogue {
    /// Whether prices come from another process.
    #[must_use]
    pub fn is_remote(&self) -> bool {
        matches!(self, Self::Remote { .. })
    }

    /// Why new orders cannot be priced, as far as is known. A catalogue that did not answer is asked again, and so is one that nobody has
    /// asked yet: no customer has to find out that it is not there.
    pub async fn problem(&self) -> Option<String> {
        let Self::Remote { url, presence, .. } = self else { return None };
        let known = presence.lock().clone();
        match &known {
            Presence::Unknown => {
                if let Err(NotFetched::Silent(reason)) = self.fetch_noting(NO_PRODUCT, Absent::Told).await {
                    tracing::warn!(url, reason, "the catalogue does not answer");
                }
            }
            Presence::Away(Failed { product, at, .. }) if at.elapsed() > ASK_AGAIN => {
                // What is found out is noted.
                let _ = self.fetch_noting(product, Absent::Told).await;
            }
            Presence::Away(_) | Presence::There => {}
        }
        let Presence::Away(Failed { reason, .. }) = presence.lock().clone() else { return None };
        Some(format!("new orders are refused: the catalogue at {url} does not answer: {reason}"))
    }

    /// Asks the other process, and notes whether it answers.
    async fn fetch_noting(&self, id: &str, absent: Absent) -> Result<Option<Product>, NotFetched> {
        let Self::Remote { url, client, presence, .. } = self else { return Ok(None) };
        let fetched = fetch(client, url, id, absent).await;
        *presence.lock() = match &fetched {
            Err(NotFetched::Silent(reason)) => {
                Presence::Away(Failed { product: id.to_owned(), at: Instant::now(), reason: reason.clone() })
            }
            _ => Presence::There,
        };
        fetched
    }
}

/// What is known of a catalogue in another process.
#[derive(Clone, Default)]
pub enum Presence {
    /// Nobody has asked it yet.
    #[default]
    Unknown,
    /// It has answered the last question.
    There,
    /// It has not.
    Away(Failed),
}

/// A question to the catalogue without an answer.
#[derive(Clone)]
pub struct Failed {
    product: String,
    at: Instant,
    reason: String,
}

/// Why there is no product.
enum NotFetched {
    /// The catalogue did not answer, or not as one.
    Silent(String),
    /// It answered something that cannot be sold.
    Useless(ServiceError),
}

/// Whether an id can stand in a path by itself. There is no product of another one, and to ask for it would be to ask for something else:
/// a URL loses tabs and line ends, and no server takes a zero byte.
pub fn is_one_segment(id: &str) -> bool {
    let unfit = |c: char| c.is_control() || matches!(c, '/' | '\\' | '%');
    !id.is_empty() && id != "." && id != ".." && !id.contains(unfit)
}

async fn fetch(client: &Client, base: &str, id: &str, absent: Absent) -> Result<Option<Product>, NotFetched> {
    let useless = |error: anyhow::Error| NotFetched::Useless(ServiceError::Internal(error));
    let mut url = reqwest::Url::parse(base).map_err(|error| useless(error.into()))?;
    if let Ok(mut path) = url.path_segments_mut() {
        path.push(id);
    }
    let span = Span::child(Kind::Client, || "GET");
    span.set("http.request.method", || "GET").set("url.full", || url.to_string());
    let mut request = Request::get(url.as_str());
    if let Some(traceparent) = span.traceparent().or_else(traces::current) {
        request = request.header("traceparent", traceparent);
    }
    let request = request.body(Full::<Bytes>::default()).map_err(|error| useless(error.into()))?;
    let silent = |error: anyhow::Error| NotFetched::Silent(format!("{error:#}"));
    let response = span.clone().around(client.ask(request, absent)).await.map_err(silent)?;
    span.set("http.response.status_code", || i64::from(response.status().as_u16()));
    match response.status() {
        StatusCode::NOT_FOUND if is_of_a_catalogue(response.body()) => return Ok(None),
        StatusCode::NOT_FOUND => {
            let reason = format!("it answers 404, and not as a catalogue: nothing seems to answer '{}'", url.path());
            return Err(NotFetched::Silent(reason));
        }
        status if !status.is_success() => return Err(NotFetched::Silent(format!("it answers {status}"))),
        _ => {}
    }
    let body: Value =
        serde_json::from_slice(response.body()).map_err(|error| NotFetched::Silent(format!("its answer is no JSON: {error}")))?;
    body.get("data").and_then(Value::as_object).and_then(product).map(Some).ok_or_else(|| NotFetched::Useless(unusable(id)))
}

/// Whether a 404 says that there is no such product: any program answers 404 where it has nothing at all, with a page, a line of text, or as
/// this one does.
fn is_of_a_catalogue(body: &[u8]) -> bool {
    let problem = serde_json::from_slice::<Value>(body).ok();
    problem.is_some_and(|problem| problem.is_object() && problem.get("code").is_none_or(|code| code != NO_SUCH_PATH))
}

fn product(data: &Object) -> Option<Product> {
    let name = data.get("name").and_then(Value::as_str)?.to_owned();
    Some(Product { name, price: data.get("price").and_then(Cents::from_json)? })
}

/// What keeps a product from being sold, each with the field it is about: a price that is none, a name that nobody can read. A field that
/// is not there is a flaw if `all` have to be.
#[must_use]
pub fn flaws(data: &Object, all: bool) -> Vec<String> {
    let (price, name) = (data.get("price"), data.get("name"));
    let mut flaws = Vec::new();
    if (all || price.is_some()) && price.and_then(Cents::from_json).is_none() {
        flaws.push(format!("price: {}; expected 0 or more, with at most two decimals", what_is(price, "price")));
    }
    let is_name = |name: &Value| name.as_str().is_some_and(|name| !name.chars().any(char::is_control));
    if (all || name.is_some()) && !name.is_some_and(is_name) {
        flaws.push(format!("name: {}; expected text without control characters", what_is(name, "name")));
    }
    flaws
}

/// That a value is no such thing, or is not there.
pub(super) fn what_is(value: Option<&Value>, what: &str) -> String {
    match value {
        None => "is missing".to_owned(),
        Some(Value::String(text)) => format!("'{}' is no {what}", text::quoted(text, MAX_SHOWN)),
        Some(value) => format!("{} is no {what}", text::quoted(&value.to_string(), MAX_SHOWN)),
    }
}

fn unusable(id: &str) -> ServiceError {
    tracing::error!(product = id, "a product of the catalogue has no name or no price with at most two decimals");
    ServiceError::Unavailable { detail: format!("product '{id}' has no usable price; nothing was stored"), retry_after: RETRY_AFTER }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_catalogue_says_that_there_is_no_product() {
        for (body, says) in [
            (r#"{"title":"Not Found","status":404,"detail":"there is no products 'none'"}"#, true),
            ("{}", true),
            (r#"{"status":404,"detail":"nothing answers '/api/api/products'","code":"no_such_path"}"#, false),
            ("<html>404</html>", false),
            ("default backend - 404", false),
            ("", false),
        ] {
            assert_eq!(is_of_a_catalogue(body.as_bytes()), says, "{body}");
        }
    }

    #[test]
    fn what_is_asked_for_is_the_very_id_or_nothing_is() {
        for id in ["prod-001", "A_b~c", "dots.in.it", "with blank", "é", "😀", "?#;&", "..."] {
            let mut url = reqwest::Url::parse("http://catalogue/api/products").unwrap();
            url.path_segments_mut().unwrap().push(id);
            assert!(is_one_segment(id) && url.path().matches('/').count() == 3, "{id:?}: {url}");
        }
        for id in ["", ".", "..", "a/b", "a\\b", "%2e", "a\tb", "a\r", "\na", "\0", "a\u{7f}", "\u{85}"] {
            assert!(!is_one_segment(id), "{id:?}");
        }
    }
}
