//! Whose an e-mail is. A process that keeps no accounts asks the one that does, behind the secret that both share: the e-mail itself is kept
//! nowhere else, and another one is found from the moment that it is changed.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use serde::{Deserialize, Serialize};

use crate::between::{Absent, Client};
use crate::plan::{INTERNAL_HEADER, Plan};
use crate::runtime::{GrantTarget, InProcess};
use crate::services::ServiceError;
use crate::store::Users;
use crate::text::EMAIL_CHARS;

/// Below it is asked.
pub const PATH: &str = crate::plan::paths::ACCOUNTS;
/// What is asked there. The e-mail is in the body: addresses are logged.
const BY_EMAIL: &str = "by-email";
/// For one answer.
const TIMEOUT: Duration = Duration::from_secs(2);
/// When to come back if nobody answers.
const RETRY_AFTER: Duration = Duration::from_secs(2);

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    email: String,
}

#[derive(Serialize, Deserialize)]
struct Told {
    /// Id of the account; null if nobody has that e-mail.
    id: Option<String>,
}

/// Finds accounts by their e-mail.
pub struct Directory {
    own: Arc<dyn Users>,
    others: Vec<Other>,
    client: Client,
}

/// Another process, and the secret that it knows this one by.
struct Other {
    url: String,
    secret: String,
}

impl Directory {
    /// Of the accounts in `own`, if this process keeps any; else of those processes whose services are granted here with the internal secret.
    #[must_use]
    pub fn new(plan: &Plan, own: Arc<dyn Users>) -> Self {
        let others = if plan.has_accounts() { Vec::new() } else { others(plan) };
        Self { own, others, client: Client::new(TIMEOUT) }
    }

    /// Id of the account with this e-mail.
    ///
    /// # Errors
    /// The store cannot be read; the process that keeps the accounts does not answer.
    pub async fn owner_of(&self, email: &str) -> Result<Option<String>, ServiceError> {
        if self.others.is_empty() {
            return Ok(self.own.user_by_email(email).await?.map(|user| user.id));
        }
        if email.chars().count() > EMAIL_CHARS {
            return Ok(None);
        }
        for other in &self.others {
            let found = self.ask(other, email).await.map_err(|error| {
                // Whoever asked has no use for an address within.
                tracing::warn!(url = other.url, error = format!("{error:#}"), "nobody says whose an e-mail is");
                let detail = "whose an e-mail is cannot be asked now".to_owned();
                ServiceError::Unavailable { detail, retry_after: RETRY_AFTER }
            })?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// None, too, of a process that knows no such question.
    async fn ask(&self, other: &Other, email: &str) -> anyhow::Result<Option<String>> {
        let body = Full::from(serde_json::to_vec(&Asked { email: email.to_owned() })?);
        let request = Request::post(format!("{}{PATH}{BY_EMAIL}", other.url))
            .header(header::CONTENT_TYPE, "application/json")
            .header(INTERNAL_HEADER, &other.secret)
            .body(body)?;
        let response = self.client.ask(request, Absent::AskedAgain).await?;
        if response.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        ensure!(response.status().is_success(), "it answers {}", response.status());
        let told: Told = serde_json::from_slice(response.body()).context("the answer is none")?;
        Ok(told.id)
    }
}

/// One for each URL that a component calls with the internal secret.
fn others(plan: &Plan) -> Vec<Other> {
    let mut found = BTreeMap::new();
    for grant in plan.components.iter().flat_map(|component| &component.capabilities.http) {
        let GrantTarget::Url(url) = &grant.target else { continue };
        let secret = grant.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(INTERNAL_HEADER));
        if let Some((_, secret)) = secret.filter(|_| grant.credential.as_ref().is_some_and(|credential| credential.internal)) {
            found.entry(url.trim_end_matches('/').to_owned()).or_insert_with(|| secret.clone());
        }
    }
    found.into_iter().map(|(url, secret)| Other { url, secret }).collect()
}

/// Answers other processes: `POST /internal/accounts/by-email` with `{"email"}` is `{"id"}`, null if nobody has it.
#[must_use]
pub fn service(store: Arc<dyn Users>) -> InProcess {
    InProcess::new(tower::service_fn(move |request: Request<Bytes>| {
        let store = Arc::clone(&store);
        async move { Ok::<_, Infallible>(answer(store.as_ref(), &request).await) }
    }))
}

async fn answer(store: &dyn Users, request: &Request<Bytes>) -> Response<Bytes> {
    if request.method() != Method::POST || request.uri().path().strip_prefix(PATH) != Some(BY_EMAIL) {
        return problem(StatusCode::NOT_FOUND, "expected POST /internal/accounts/by-email");
    }
    let Ok(Asked { email }) = serde_json::from_slice(request.body()) else {
        return problem(StatusCode::BAD_REQUEST, "expected {\"email\"}, a text");
    };
    match store.user_by_email(&email).await {
        Ok(user) => json(StatusCode::OK, "application/json", &Told { id: user.map(|user| user.id) }),
        Err(error) => {
            tracing::warn!(%error, "accounts were not read");
            problem(StatusCode::SERVICE_UNAVAILABLE, "accounts cannot be read now")
        }
    }
}

fn problem(status: StatusCode, detail: &str) -> Response<Bytes> {
    let title = status.canonical_reason().unwrap_or_default();
    json(status, "application/problem+json", &serde_json::json!({"title": title, "status": status.as_u16(), "detail": detail}))
}

fn json(status: StatusCode, content_type: &'static str, body: &impl Serialize) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(serde_json::to_vec(body).unwrap_or_default()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    response
}
