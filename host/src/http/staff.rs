//! What an admin does about accounts.

use std::sync::Arc;

use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::accounts::answer;
use super::body::Fields;
use super::error::ApiError;
use super::extract::{Asked, Id, OfFields, Sent};
use super::state::Serving;
use super::writes;
use crate::services::audit::Actor;
use crate::services::resources::Caller;
use crate::services::users::{Account, Accounts, Contact, Reason, RolesChange, Search, USUAL_USERS, Users};

/// An account as an admin sees it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Account")]
#[serde(rename_all = "camelCase")]
pub(super) struct AccountBody {
    id: String,
    email: String,
    name: String,
    #[schemars(extend("format" = "date-time"))]
    created_at: String,
    /// What they are beyond a customer.
    roles: Vec<&'static str>,
    /// Whether they may not log in.
    disabled: bool,
    /// Whether they show a code beside the password.
    second_factor: bool,
}

/// Whose account it is, for those who have to reach them.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Contact")]
pub(super) struct ContactBody {
    id: String,
    email: String,
    name: String,
}

/// A page of accounts.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Accounts")]
#[serde(rename_all = "camelCase")]
pub(super) struct AccountsBody {
    items: Vec<AccountBody>,
    /// For `cursor` of the next page; null on the last.
    next_cursor: Option<String>,
}

/// Which accounts are asked for.
#[derive(Deserialize)]
pub(super) struct Page {
    #[serde(default)]
    search: String,
    #[serde(default)]
    staff: bool,
    #[serde(default)]
    cursor: String,
    limit: Option<usize>,
}

/// Who does it, as the audit log names them. The routes are for admins, so there is one.
pub(super) struct Acting(Arc<Actor>);

impl FromRequestParts<Serving> for Acting {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, serving: &Serving) -> Result<Self, ApiError> {
        let caller = Caller::from_request_parts(parts, serving).await?;
        caller.actor.map(Self).ok_or_else(|| ApiError::internal(anyhow::anyhow!("a route of admins let in somebody without a role")))
    }
}

pub(super) async fn list(users: Users, Asked(page): Asked<Page>) -> Result<Response, ApiError> {
    let search = Search { text: page.search, has_roles: page.staff, cursor: page.cursor, limit: page.limit.unwrap_or(USUAL_USERS) };
    Ok(answer(AccountsBody::from(users.accounts(&search).await?)).into_response())
}

pub(super) async fn contact(users: Users, Id(id): Id) -> Result<Response, ApiError> {
    let Contact { id, email, name } = users.contact(&id).await?;
    Ok(answer(ContactBody { id, email, name }).into_response())
}

pub(super) async fn set_roles(
    State(serving): State<Serving>,
    users: Users,
    Acting(actor): Acting,
    Id(id): Id,
    Sent(change): Sent<RolesChange>,
) -> Result<Response, ApiError> {
    let change = async move { users.change_roles(&actor, &id, &change).await };
    Ok(answer(AccountBody::from(writes::finish(&serving.app.writes, change).await?)).into_response())
}

pub(super) async fn disable(
    serving: State<Serving>,
    users: Users,
    actor: Acting,
    id: Id,
    reason: Sent<Reason>,
) -> Result<Response, ApiError> {
    keep_out(&serving, (users, actor.0), (id.0, true), reason.0).await
}

pub(super) async fn enable(
    serving: State<Serving>,
    users: Users,
    actor: Acting,
    id: Id,
    reason: Sent<Reason>,
) -> Result<Response, ApiError> {
    keep_out(&serving, (users, actor.0), (id.0, false), reason.0).await
}

async fn keep_out(
    serving: &Serving,
    (users, actor): (Users, Arc<Actor>),
    (id, disabled): (String, bool),
    reason: Reason,
) -> Result<Response, ApiError> {
    let change = async move { users.disable(&actor, &id, disabled, &reason).await };
    Ok(answer(AccountBody::from(writes::finish(&serving.app.writes, change).await?)).into_response())
}

impl OfFields for RolesChange {
    fn take(fields: &mut Fields) -> Self {
        Self { roles: fields.texts("roles"), reason: fields.text("reason") }
    }
}

impl OfFields for Reason {
    fn take(fields: &mut Fields) -> Self {
        Self { reason: fields.text("reason") }
    }
}

impl From<Account> for AccountBody {
    fn from(account: Account) -> Self {
        Self {
            id: account.id,
            email: account.email,
            name: account.name,
            created_at: account.created_at.to_string(),
            roles: account.roles.iter().map(|role| role.name()).collect(),
            disabled: account.disabled,
            second_factor: account.second_factor,
        }
    }
}

impl From<Accounts> for AccountsBody {
    fn from(page: Accounts) -> Self {
        Self { items: page.items.into_iter().map(AccountBody::from).collect(), next_cursor: page.next }
    }
}
