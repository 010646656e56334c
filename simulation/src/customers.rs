//! Who books, and what they insist on: the same key until there is an answer, now and then twice at once, and now and then to cancel.

use std::sync::Arc;
use std::time::Duration;

use millrace::plan::Scope;
use millrace::plan::access::Roles;
use millrace::services::ServiceError;
use millrace::services::resources::{Caller, IdempotencyKey, View};
use millrace::services::users::CurrentUser;
use serde_json::{Value, json};

use crate::life::Life;
use crate::machine;
use crate::process::Process;
use crate::world::World;

/// What keeps the bookings.
pub const HANDLER: &str = "bookings-api";
/// Between two customers, in milliseconds.
const BETWEEN: u64 = 700;
/// Before somebody asks again.
const AGAIN: Duration = Duration::from_millis(400);
/// Context of the trace that a request has.
const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

/// One of them.
pub struct Customer {
    number: u32,
}

impl Customer {
    /// That of this number.
    #[must_use]
    pub fn new(number: u32) -> Self {
        Self { number }
    }

    /// In cents.
    #[must_use]
    pub fn amount(number: u32) -> u64 {
        1_000 + u64::from(number)
    }

    /// Account.
    #[must_use]
    pub fn account(number: u32) -> String {
        format!("customer-{}", number % 7)
    }

    /// What makes a booking one.
    #[must_use]
    pub fn key(number: u32) -> String {
        format!("key-{number}")
    }

    fn caller(&self) -> Caller {
        let user = CurrentUser::let_in(Self::account(self.number), Roles::CUSTOMER, Duration::from_secs(86_400));
        Caller { user: Some(user), scope: Scope::Own, actor: None }
    }

    /// Does what is left to do, in this process.
    pub async fn live(&self, world: &Arc<World>, process: &Process, life: &Life) {
        let number = self.number;
        if world.journal.lock().done.contains(&number) {
            return;
        }
        let at = Duration::from_millis(BETWEEN * u64::from(number));
        let now = Duration::from_nanos(machine::passed().unsigned_abs());
        tokio::time::sleep(at.saturating_sub(now)).await;
        let id = self.book(world, process, life).await;
        if number.is_multiple_of(3) {
            // Some cancel at once, others while their payment is made.
            tokio::time::sleep(Duration::from_millis(500 + 137 * u64::from(number % 30))).await;
            self.cancel(world, process, life, &id).await;
        }
        world.journal.lock().done.insert(number);
    }

    async fn book(&self, world: &Arc<World>, process: &Process, life: &Life) -> String {
        let number = self.number;
        loop {
            let known = world.journal.lock().acknowledged.get(&number).map(|(id, _)| id.clone());
            if let Some(id) = known {
                return id;
            }
            life.is_lived().await;
            let answers = if number.is_multiple_of(4) {
                let (one, other) = futures::future::join(self.ask(world, process, false), self.ask(world, process, false)).await;
                vec![one, other]
            } else if number.is_multiple_of(5) {
                // Another body under the same key, which is another one only if the first was taken.
                let first = self.ask(world, process, false).await;
                if first.is_ok() { vec![first, self.ask(world, process, true).await] } else { vec![first] }
            } else {
                vec![self.ask(world, process, false).await]
            };
            life.is_lived().await;
            for (at, answer) in answers.into_iter().enumerate() {
                self.told(world, answer, !number.is_multiple_of(4) && number.is_multiple_of(5) && at == 1);
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// As a request does: what writes goes on when the customer has gone.
    async fn ask(&self, world: &Arc<World>, process: &Process, is_another: bool) -> Result<(View, bool), ServiceError> {
        let amount = Self::amount(self.number) + u64::from(is_another);
        let body: Value = json!({"customer": self.number, "amount": amount});
        let key = IdempotencyKey { key: Self::key(self.number), request_hash: format!("{amount}") };
        let (resources, caller) = (process.resources.clone(), self.caller());
        world.note("request", format_args!("customer {} books", self.number));
        let asking = process.tasks.spawn(async move { resources.create(HANDLER, &caller, body, Some(key), TRACE.to_owned()).await });
        match asking.await {
            Ok(answer) => answer,
            Err(error) => Err(ServiceError::Internal(error.into())),
        }
    }

    fn told(&self, world: &World, answer: Result<(View, bool), ServiceError>, is_another: bool) {
        let number = self.number;
        let mut journal = world.journal.lock();
        match answer {
            Ok((view, _)) if is_another => {
                journal
                    .wrong
                    .push(("I2".into(), format!("customer {number} was given {} for a key that stands for another body", view.body.id)));
            }
            Ok((view, is_replayed)) => {
                world.note("told", format_args!("customer {number} has {}{}", view.body.id, if is_replayed { ", again" } else { "" }));
                let data = view.body.data.into_iter().filter(|(name, _)| name == "customer" || name == "amount").collect();
                let (id, _) = journal.acknowledged.entry(number).or_insert_with(|| (view.body.id.clone(), data)).clone();
                if id != view.body.id {
                    journal.wrong.push(("I2".into(), format!("customer {number} was given {id} and {} for one key", view.body.id)));
                }
            }
            Err(error) => world.note("told", format_args!("customer {number}: {error}")),
        }
    }

    async fn cancel(&self, world: &Arc<World>, process: &Process, life: &Life, id: &str) {
        for _ in 0..4 {
            life.is_lived().await;
            world.note("request", format_args!("customer {} cancels {id}", self.number));
            let (resources, caller, named) = (process.resources.clone(), self.caller(), id.to_owned());
            let asking = process.tasks.spawn(async move { resources.act(HANDLER, &caller, &named, "cancel", json!({})).await });
            let answer = asking.await;
            life.is_lived().await;
            match answer {
                Ok(Ok(view)) => {
                    world.note("told", format_args!("{id} is {}", view.body.state));
                    if view.body.state == "cancelled" {
                        world.journal.lock().cancelled.insert(id.to_owned());
                    }
                    return;
                }
                Ok(Err(error)) => world.note("told", format_args!("{id}: {error}")),
                Err(error) => world.note("told", format_args!("{id}: {error}")),
            }
            tokio::time::sleep(AGAIN * 3).await;
        }
    }
}
