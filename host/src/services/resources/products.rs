//! What the admin of a shop does with products: search them, look at their prices, take many in from a table, and move their stock.

use std::sync::Arc;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::caller::Caller;
use super::handler::Handler;
use super::service::{IdempotencyKey, MAX_PAGE, Resources};
use super::view::{self, ResourceBody};
use crate::services::ServiceError;
use crate::services::engine::hex;
use crate::services::error::page_limit;
use crate::services::error::{FieldError, pointer};
use crate::services::shop::import::{self, Row, RowError};
use crate::services::shop::ledger::{Asked, LevelBody};
use crate::services::shop::money::Cents;
use crate::services::shop::products;
use crate::services::shop::status::Status;
use crate::store::{
    AuditEntry, Commit, Conflict, Guard, IdempotencyRow, Listing, NewMove, Object, Resource, Shortage, StockMove, Stocking, StoreError,
};

/// Entries of a page, unless the caller says otherwise.
pub const USUAL_PAGE: usize = 50;
/// Rows that are read at once where few of them are wanted.
const STRETCH: usize = 200;
/// Prices of one product that are shown.
const MAX_PRICES: usize = 200;
/// Reservations that a refusal names.
const NAMED: usize = 10;
/// Moves that are looked at at once to find out whether something was sold.
const MOVES: usize = 500;

/// Which products are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProductQuery {
    /// Only those whose name or id has this.
    pub search: Option<String>,
    /// Only those with this status.
    pub status: Option<String>,
    /// Where the page before ended.
    pub cursor: Option<String>,
    /// Entries of the page.
    pub limit: Option<usize>,
}

/// One page of products, by id.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProductPage {
    /// Those that are wanted.
    pub items: Vec<ResourceBody>,
    /// For the next page, to be sent as `cursor`; `null` on the last.
    pub next_cursor: Option<String>,
}

/// What a product cost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PriceBody {
    /// Of one unit.
    pub price: Cents,
    /// Version of the product since which it holds.
    pub version: u64,
    /// Id of the account that has set it; `null` if it is not known.
    pub actor: Option<String>,
    /// Since when, as a date.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub at: Timestamp,
}

/// What a product cost, the newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Prices {
    /// The first is the price of now.
    pub items: Vec<PriceBody>,
}

/// One page of levels, by sku.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LevelPage {
    /// Its levels.
    pub items: Vec<LevelBody>,
    /// For the next page, to be sent as `cursor`; `null` on the last.
    pub next_cursor: Option<String>,
}

/// One page of the ledger of a product, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MovePage {
    /// Its moves.
    pub items: Vec<StockMove>,
    /// For the next page, to be sent as `cursor`; `null` on the last.
    pub next_cursor: Option<String>,
}

/// A field that a row changes.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "ImportedChange")]
pub struct FieldChange {
    /// Name of the field.
    pub field: String,
    /// What it is; `null` if it is not there.
    pub from: Value,
    /// What it becomes.
    pub to: Value,
}

/// What becomes of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "ImportedAction")]
pub enum RowAction {
    /// There is no such product yet.
    Create,
    /// Some of its fields change.
    Update,
    /// It is as the row says.
    None,
    /// The row is wrong.
    Error,
}

/// A row of a table, and what it does.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "ImportedRow")]
pub struct ImportedRow {
    /// Line of the file in which it begins, from 1.
    pub line: u64,
    /// The product; empty where it is not known.
    pub sku: String,
    /// What becomes of it.
    pub action: RowAction,
    /// Fields that it changes.
    pub changes: Vec<FieldChange>,
    /// What is wrong with it, the field first; `null` if nothing is.
    pub error: Option<String>,
    /// The field that is wrong; `null` where none is, or the row as a whole.
    pub field: Option<String>,
}

/// What a table does, or would do.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Imported {
    /// All rows.
    pub rows: Vec<ImportedRow>,
    /// Of the table and of the products as they are: what is applied has to be what was previewed.
    pub digest: String,
    /// Whether it was done.
    pub applied: bool,
}

/// A table held against the products of now.
struct Compared {
    rows: Vec<ImportedRow>,
    commits: Vec<Commit>,
    digest: String,
}

impl Resources {
    /// Products of `handler` with whatever status, by id.
    ///
    /// # Errors
    /// A status that there is not, a cursor that was not given out, a limit outside 1 to [`MAX_PAGE`].
    pub async fn products(&self, handler: &str, caller: &Caller, query: &ProductQuery) -> Result<ProductPage, ServiceError> {
        let handler = self.handler(handler)?;
        let limit = page(query.limit)?;
        let status = query.status.as_deref().map(|name| {
            let unknown = || ServiceError::field("status", format!("expected draft, active or retired, got '{}'", quoted(name)));
            Status::from_name(name).ok_or_else(unknown)
        });
        let (status, folded) = (status.transpose()?, products::fold(query.search.as_deref().unwrap_or_default().trim()));
        let field = handler.settings.status_field.as_deref().unwrap_or_default();
        let wanted = |resource: &Resource| {
            status.is_none_or(|status| Status::of(&resource.data, field) == status) && products::matches(resource, &folded)
        };
        let after = query.cursor.as_deref().map(view::parse_cursor).transpose()?;
        let (rows, next_cursor) = self.those(handler, None, after, limit, wanted).await?;
        Ok(ProductPage { items: self.bodies(handler, caller, &rows).await?, next_cursor })
    }

    /// The next resources for which `wanted` holds, and the cursor after them if there are more. However few they are, no more than some are
    /// in memory.
    pub(super) async fn those(
        &self,
        handler: &Handler,
        owner: Option<&str>,
        mut after: Option<(Timestamp, String)>,
        limit: usize,
        wanted: impl Fn(&Resource) -> bool,
    ) -> Result<(Vec<Resource>, Option<String>), ServiceError> {
        let mut found: Vec<Resource> = Vec::new();
        loop {
            let listing = Listing {
                kind: handler.settings.kind.clone(),
                owner: owner.map(str::to_owned),
                by_id: true,
                after: after.take(),
                limit: STRETCH.max(limit + 1),
            };
            let rows = self.store().resources(&listing).await?;
            let is_last = rows.len() < listing.limit;
            after = rows.last().map(|row| (row.created_at, row.id.clone()));
            found.extend(rows.into_iter().filter(|row| wanted(row)));
            if is_last || found.len() > limit {
                break;
            }
        }
        let more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().filter(|_| more).map(view::cursor);
        Ok((found, next))
    }

    /// What a product of `handler` cost.
    ///
    /// # Errors
    /// Not there.
    pub async fn prices(&self, handler: &str, caller: &Caller, id: &str) -> Result<Prices, ServiceError> {
        let handler = self.handler(handler)?;
        let product = self.own(handler, caller, id).await?;
        let rows = self.store().prices(&handler.settings.kind, id, MAX_PRICES).await?;
        let mut items: Vec<PriceBody> = rows
            .into_iter()
            .filter_map(|row| Some(PriceBody { price: Cents::new(row.price)?, version: row.version, actor: row.actor, at: row.at }))
            .collect();
        if items.is_empty()
            && let Some(price) = products::price(&product.data)
        {
            items.push(PriceBody { price, version: product.version, actor: None, at: product.updated_at });
        }
        Ok(Prices { items })
    }

    /// What is on hand of the products of `handler` whose name or id has `search`.
    ///
    /// # Errors
    /// A cursor that was not given out, a limit outside 1 to [`MAX_PAGE`].
    pub async fn levels(
        &self,
        handler: &str,
        search: Option<&str>,
        (cursor, limit): (Option<&str>, Option<usize>),
    ) -> Result<LevelPage, ServiceError> {
        let handler = self.handler(handler)?;
        let limit = page(limit)?;
        let folded = products::fold(search.unwrap_or_default().trim());
        let after = cursor.map(view::parse_cursor).transpose()?.map(|(_, sku)| sku);
        let mut items = Vec::new();
        for level in self.stock().stock().await? {
            if after.as_ref().is_some_and(|after| level.sku <= *after) {
                continue;
            }
            let product = self.store().resource(&handler.settings.kind, &level.sku).await?;
            let is_wanted = product
                .as_ref()
                .map_or_else(|| products::fold(&level.sku).contains(&folded), |product| products::matches(product, &folded));
            if !is_wanted {
                continue;
            }
            let name = product.and_then(|product| product.data.get("name").and_then(Value::as_str).map(str::to_owned));
            let available = level.on_hand - level.reserved;
            items.push(LevelBody { sku: level.sku, name, on_hand: level.on_hand, reserved: level.reserved, available });
            if items.len() > limit {
                break;
            }
        }
        let more = items.len() > limit;
        items.truncate(limit);
        let next_cursor = items.last().filter(|_| more).map(|level| view::cursor_at(Timestamp::UNIX_EPOCH, &level.sku));
        Ok(LevelPage { items, next_cursor })
    }

    /// The ledger of a product of `handler`.
    ///
    /// # Errors
    /// Not there, a cursor that was not given out, a limit outside 1 to [`MAX_PAGE`].
    pub async fn moves(
        &self,
        handler: &str,
        caller: &Caller,
        id: &str,
        (cursor, limit): (Option<&str>, Option<usize>),
    ) -> Result<MovePage, ServiceError> {
        let handler = self.handler(handler)?;
        let limit = page(limit)?;
        let unknown = || ServiceError::field("cursor", "expected the nextCursor of a page, unchanged");
        let before = cursor.map(|cursor| cursor.parse().map_err(|_| unknown())).transpose()?;
        self.own(handler, caller, id).await?;
        let mut items = self.stock().stock_moves(id, before.unwrap_or(u64::MAX), limit + 1).await?;
        let more = items.len() > limit;
        items.truncate(limit);
        let next_cursor = items.last().filter(|_| more).map(|last| last.seq.to_string());
        Ok(MovePage { items, next_cursor })
    }

    /// Makes a move of the stock of a product of `handler`. The flag is true when the idempotency key was used before with the same request:
    /// the move is the one that was made then.
    ///
    /// # Errors
    /// Not there, invalid, below what is reserved, counted against something that has changed, or the key was used for another request.
    pub async fn move_stock(
        &self,
        handler: &str,
        caller: &Caller,
        id: &str,
        body: &Object,
        key: Option<IdempotencyKey>,
    ) -> Result<(StockMove, bool), ServiceError> {
        let handler = self.handler(handler)?;
        let asked = Asked::read(body)?;
        self.own(handler, caller, id).await?;
        let user = caller.user.as_ref().map(|user| user.id.clone()).unwrap_or_default();
        let request = key.map(|IdempotencyKey { key, request_hash }| IdempotencyRow {
            user: user.clone(),
            key,
            request_hash,
            resource_id: String::new(),
        });
        let why = asked.note.as_ref().map_or_else(|| asked.reason.clone(), |note| format!("{}: {note}", asked.reason));
        let audit = caller.actor.as_ref().map(|actor| actor.did(self.clock().now(), "stock.move", format!("stock/{id}"), Some(why)));
        let Asked { reason, note, .. } = asked.clone();
        let new = NewMove { sku: id.to_owned(), by: asked.by(), reason, note, actor: user, request: request.clone(), audit };
        let made = self.stock().move_stock(new).await;
        self.generation().advance();
        match (made, request) {
            (Ok(made), _) => Ok((made, false)),
            (Err(StoreError::Conflict(Conflict::Idempotency(earlier))), Some(request)) => self.made_before(id, &request, &earlier).await,
            (Err(error), _) => Err(self.not_moved(error).await),
        }
    }

    /// The move that was made under a key.
    async fn made_before(&self, sku: &str, request: &IdempotencyRow, earlier: &IdempotencyRow) -> Result<(StockMove, bool), ServiceError> {
        let made = match earlier.resource_id.parse::<u64>() {
            Ok(seq) if earlier.request_hash == request.request_hash => {
                self.stock().stock_moves(sku, seq.saturating_add(1), 1).await?.into_iter().find(|made| made.seq == seq)
            }
            _ => None,
        };
        let other = || ServiceError::field("Idempotency-Key", format!("'{}' was used for another request", request.key));
        made.map(|made| (made, true)).ok_or_else(other)
    }

    /// Why a move was not made, with what is there now.
    async fn not_moved(&self, error: StoreError) -> ServiceError {
        let level = |on_hand: u64, reserved: u64| {
            Object::from_iter([("onHand".to_owned(), on_hand.into()), ("reserved".to_owned(), reserved.into())])
        };
        match error {
            StoreError::Conflict(Conflict::Counted { on_hand, reserved, .. }) => {
                let detail =
                    format!("{on_hand} units are on hand by now, so the count was made against something else; nothing was changed");
                ServiceError::Differs { detail, code: "count_stale", members: level(on_hand, reserved) }
            }
            StoreError::Short(short) => {
                let Some(Shortage { sku, requested: reserved, available: on_hand }) = short.into_iter().next() else {
                    return ServiceError::Conflict("there are not enough units; nothing was changed".into());
                };
                let holders = self.stock().reserved_by(&sku, NAMED).await.unwrap_or_default();
                let named = if holders.is_empty() { String::new() } else { format!(" by {}", holders.join(", ")) };
                let detail = format!(
                    "{on_hand} units are on hand and {reserved} of them are reserved{named}: no fewer can be left; nothing was changed"
                );
                let mut members = level(on_hand, reserved);
                members.insert("reservedBy".into(), holders.into());
                ServiceError::Differs { detail, code: "below_reserved", members }
            }
            error => error.into(),
        }
    }

    /// What the table `bytes` would do to the products of `handler`; with a `digest`, does it, all of it or nothing.
    ///
    /// # Errors
    /// Of applying it: a row is wrong, or the products or the table are not what was previewed.
    pub async fn import(&self, handler: &str, caller: &Caller, bytes: &[u8], digest: Option<&str>) -> Result<Imported, ServiceError> {
        let handler = self.handler(handler)?;
        let compared = self.compare(handler, caller, bytes).await?;
        let Some(digest) = digest else {
            return Ok(Imported { rows: compared.rows, digest: compared.digest, applied: false });
        };
        let errors = compared.errors();
        if !errors.is_empty() {
            return Err(ServiceError::fields(errors));
        }
        let stale = || {
            let detail = "the products or the table are not what was previewed; nothing was changed: preview it again".to_owned();
            ServiceError::Differs { detail, code: "preview_stale", members: Object::new() }
        };
        if digest != compared.digest {
            return Err(stale());
        }
        if !compared.commits.is_empty() {
            let done = self.store().commit_all(compared.commits).await;
            self.generation().advance();
            match done {
                Err(StoreError::Conflict(_)) => return Err(stale()),
                done => done?,
            }
        }
        Ok(Imported { rows: compared.rows, digest: compared.digest, applied: true })
    }

    async fn compare(&self, handler: &Handler, caller: &Caller, bytes: &[u8]) -> Result<Compared, ServiceError> {
        let status = handler.settings.status_field.as_deref().unwrap_or_default();
        let table = import::read(bytes, status, handler.settings.stock_field.as_deref());
        let mut digest = Sha256::new();
        digest.update(Sha256::digest(bytes));
        let mut all = Compared { rows: Vec::new(), commits: Vec::new(), digest: String::new() };
        for row in table.rows {
            let before = self.store().resource(&handler.settings.kind, &row.sku).await?;
            digest.update(format!("{}\n{}\n", row.sku, before.as_ref().map_or(0, |before| before.version)));
            match self.planned(handler, caller, before, &row).await? {
                Ok((shown, commit)) => {
                    all.rows.push(shown);
                    all.commits.extend(commit);
                }
                Err(wrong) => all.refuse(&row.sku, &wrong),
            }
        }
        for wrong in table.errors {
            all.refuse("", &wrong);
        }
        all.rows.sort_by_key(|row| row.line);
        all.digest = hex(&digest.finalize());
        Ok(all)
    }

    /// What a row does, and the commit that does it; or what is wrong with it.
    async fn planned(
        &self,
        handler: &Handler,
        caller: &Caller,
        before: Option<Resource>,
        row: &Row,
    ) -> Result<Result<(ImportedRow, Option<Commit>), RowError>, ServiceError> {
        let wrong = |field: Option<&str>, detail: String| Ok(Err(RowError { line: row.line, field: field.map(str::to_owned), detail }));
        let shown = |action, changes| ImportedRow { line: row.line, sku: row.sku.clone(), action, changes, error: None, field: None };
        if let Err(detail) = handler.check_id(&row.sku) {
            return wrong(Some("sku"), detail);
        }
        let field = handler.settings.stock_field.as_deref().unwrap_or_default();
        if before.is_some()
            && let Some(units) = row.units
            && self.stock().stock_of(&row.sku).await?.map(|level| level.on_hand - level.reserved) != Some(units)
        {
            return wrong(Some(field), "the stock of a product that is there is changed by moves: leave the cell empty".into());
        }
        let mut data = before.as_ref().map_or_else(Object::new, |before| Object::clone(&before.data));
        let mut changes = Vec::new();
        for (name, to) in &row.fields {
            let from = data.insert(name.clone(), to.clone()).unwrap_or(Value::Null);
            // 10 and 10.0 are one price.
            let same = from == *to || (name == products::PRICE && Cents::from_json(&from) == Cents::from_json(to));
            if !same {
                changes.push(FieldChange { field: name.clone(), from, to: to.clone() });
            }
        }
        if before.is_some() && changes.is_empty() {
            return Ok(Ok((shown(RowAction::None, changes), None)));
        }
        match handler.new_data(&Value::Object(data.clone())).await {
            Ok(_) => {}
            Err(ServiceError::Invalid { errors, detail }) => {
                let first = errors.first();
                let name = first.and_then(|first| first.pointer.strip_prefix('/')).map(str::to_owned);
                return wrong(name.as_deref(), first.map_or(detail, |first| first.detail.clone()));
            }
            Err(other) => return Err(other),
        }
        if before.is_none()
            && let Some(units) = row.units
        {
            changes.push(FieldChange { field: field.to_owned(), from: Value::Null, to: units.into() });
        }
        let action = if before.is_some() { RowAction::Update } else { RowAction::Create };
        let commit = self.changing(handler, caller, before, (row, data)).await?;
        Ok(Ok((shown(action, changes), Some(commit))))
    }

    /// The commit that makes a product what a row says.
    async fn changing(
        &self,
        handler: &Handler,
        caller: &Caller,
        before: Option<Resource>,
        (row, data): (&Row, Object),
    ) -> Result<Commit, ServiceError> {
        let now = self.clock().now();
        let (guard, after) = match &before {
            Some(before) => {
                let after = Resource { data: Arc::new(data), version: before.version + 1, updated_at: now, ..before.clone() };
                (Guard::Version(before.version), after)
            }
            None => (Guard::Absent, Resource { id: row.sku.clone(), ..handler.new_resource(caller, data, now)? }),
        };
        let stock = row.units.filter(|_| before.is_none()).map(|on_hand| Stocking::First { sku: row.sku.clone(), on_hand });
        let prices = self.prices_of(handler, caller, before.as_ref(), &after).await?;
        let audit = self.audited(handler, caller, "import", &row.sku, None).into_iter().collect::<Vec<AuditEntry>>();
        Ok(Commit { change: Some((guard, after)), stock, prices, audit, ..Commit::default() })
    }

    /// What is to be written of the price of a product that is `after` now.
    pub(super) async fn prices_of(
        &self,
        handler: &Handler,
        caller: &Caller,
        before: Option<&Resource>,
        after: &Resource,
    ) -> Result<Vec<crate::store::PriceRow>, ServiceError> {
        if handler.settings.status_field.is_none() {
            return Ok(Vec::new());
        }
        let known = before.is_some() && !self.store().prices(&handler.settings.kind, &after.id, 1).await?.is_empty();
        let actor = caller.actor.as_ref().map(|actor| actor.id.as_str());
        Ok(products::prices(before, after, known, actor))
    }

    /// Whether a product was sold, is reserved, or may have been sold before anybody wrote it down.
    pub(super) async fn has_been_sold(&self, sku: &str) -> Result<bool, ServiceError> {
        if self.stock().stock_of(sku).await?.is_some_and(|level| level.reserved > 0) {
            return Ok(true);
        }
        let mut before = u64::MAX;
        loop {
            let moves = self.stock().stock_moves(sku, before, MOVES).await?;
            let Some(last) = moves.last() else { return Ok(false) };
            before = last.seq;
            if moves.iter().any(|made| ["sold", "opening"].contains(&made.reason.as_str())) {
                return Ok(true);
            }
        }
    }
}

impl Compared {
    fn refuse(&mut self, sku: &str, wrong: &RowError) {
        let RowError { line, field, detail } = wrong;
        let error = field.as_ref().map_or_else(|| detail.clone(), |field| format!("{field}: {detail}"));
        let (sku, field) = (sku.to_owned(), field.clone());
        self.rows.push(ImportedRow { line: *line, sku, action: RowAction::Error, changes: Vec::new(), error: Some(error), field });
    }

    /// What is wrong, each with its line and column.
    fn errors(&self) -> Vec<FieldError> {
        let wrong = self.rows.iter().filter_map(|row| {
            let line = format!("/{}", row.line);
            let at = row.field.as_ref().map_or_else(|| line.clone(), |field| pointer(&line, field));
            Some(FieldError { pointer: at, detail: row.error.clone()? })
        });
        wrong.collect()
    }
}

/// Entries of a page, as many as were asked for.
fn page(limit: Option<usize>) -> Result<usize, ServiceError> {
    page_limit(limit.unwrap_or(USUAL_PAGE), MAX_PAGE)
}

fn quoted(text: &str) -> String {
    crate::text::quoted(text, 40)
}
