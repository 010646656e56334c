//! The inventory step: reserves stock for the lines of an instance, and gives it back or commits it when the instance ends.
//!
//! The stock itself belongs to whoever keeps the catalogue. This component speaks to it over the HTTP service `stock` that the
//! operator grants: `PUT`, `DELETE` and `POST .../commit` of `/internal/reservations/{instance}`, and `PUT .../return` for what comes back, all idempotent by the
//! instance's id.
//!
//! With the feature `simulated` it asks nobody and keeps no stock: for configs that grant their components nothing.

pub mod action;
pub mod lines;
pub mod stock;

use step_sdk::{Answer, Description, Guest, Job, schema};

#[cfg(feature = "simulated")]
const NEEDS: &str = "In which states there is something to do with the stock. Keeps none and asks nobody.";
#[cfg(not(feature = "simulated"))]
const NEEDS: &str = "What to do with the stock on entering which state. Needs the HTTP service `stock`.";

/// The component.
pub struct Inventory;

impl Guest for Inventory {
    fn describe() -> Description {
        Description {
            name: "inventory".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            summary: env!("CARGO_PKG_DESCRIPTION").to_owned(),
            config_schema: schema::config(
                NEEDS,
                "Share of reservations that find their stock; the others are rejected as out of stock without asking.",
                &action::config_schema(),
            ),
        }
    }

    fn process(job: Job) -> Answer {
        run(&job)
    }
}

#[cfg(feature = "simulated")]
fn run(job: &Job) -> Answer {
    match action::plan(job)? {
        action::Plan::Answer(answer) => answer,
        action::Plan::Ask(plan) => plan.simulate(),
    }
}

#[cfg(all(target_family = "wasm", not(feature = "simulated")))]
fn run(job: &Job) -> Answer {
    let plan = match action::plan(job)? {
        action::Plan::Answer(answer) => return answer,
        action::Plan::Ask(plan) => plan,
    };
    let timeout = step_sdk::clock::time_left(job.deadline);
    let reply = step_sdk::http::call(stock::SERVICE, &plan.request, timeout);
    plan.conclude(reply, step_sdk::clock::now())
}

#[cfg(all(not(target_family = "wasm"), not(feature = "simulated")))]
fn run(job: &Job) -> Answer {
    action::plan(job)?;
    step_sdk::answer::permanent("the stock service can only be reached from inside the host")
}

#[cfg(target_family = "wasm")]
step_sdk::export!(Inventory with_types_in step_sdk::bindings);
