//! The pure core of Millrace: what a business process is, and what happens to one instance of it next.
//!
//! A [`Definition`] (states, transitions, steps, hooks) is checked as a whole and becomes a [`Machine`]. [`Machine::create`]
//! and [`Machine::advance`] take an [`Instance`] and an [`Input`] and return the instance's next form and the [`Effect`]s that
//! the caller has to make durable, all of them in one transaction. An input that does not fit is a [`Refusal`], and harmless.
//!
//! This crate knows nothing of SQL, HTTP, Kafka, wasm, or what time it is: durations go in and out, never instants, and
//! randomness is an argument. That absence is what makes a million random runs a unit test.
//!
//! ```
//! use std::collections::BTreeMap;
//! use std::time::Duration;
//! use millrace_workflow::{Definition, Effect, Hook, Input, Machine, Reaction, RetryPolicy, State, Step, StepOutcome, Transition};
//!
//! let state = |is_final| State { is_final, ..State::default() };
//! let edge = |from: &str, to: &str| Transition { from: from.into(), to: to.into(), ..Transition::default() };
//! let machine = Machine::new(Definition {
//!     name: "returns".into(),
//!     description: "Goods that come back".into(),
//!     initial_state: "announced".into(),
//!     initial_transition: Some("inspect".into()),
//!     states: [("announced", false), ("inspecting", false), ("refunded", true), ("refused", true)]
//!         .map(|(name, is_final)| (name.to_owned(), state(is_final)))
//!         .into(),
//!     transitions: [
//!         ("inspect", edge("announced", "inspecting")),
//!         ("approve", edge("inspecting", "refunded")),
//!         ("refuse", edge("inspecting", "refused")),
//!     ]
//!     .map(|(name, transition)| (name.to_owned(), transition))
//!     .into(),
//!     steps: BTreeMap::from([(
//!         "step-inspect".to_owned(),
//!         Step {
//!             component: "inspector".into(),
//!             success: "approve".into(),
//!             compensate: "refuse".into(),
//!             reject: None,
//!             retry: RetryPolicy { max_retries: Some(2), backoff: Duration::from_secs(1), max_delay: RetryPolicy::DEFAULT_MAX_DELAY },
//!             timeout: Duration::from_secs(30),
//!         },
//!     )]),
//!     hooks: vec![Hook { to_states: vec!["inspecting".into()], reaction: Reaction::Step("step-inspect".into()), ..Hook::default() }],
//! })
//! .expect("the definition makes sense");
//!
//! let (instance, effects) = machine.create();
//! assert_eq!(instance.state, "inspecting");
//! assert!(matches!(&effects[1], Effect::Run { component, visit: 1, .. } if component == "inspector"));
//!
//! let answer = Input::StepFinished { step: "step-inspect".into(), visit: 1, attempt: 1, outcome: StepOutcome::Accepted, jitter: 0.5 };
//! let (instance, effects) = machine.advance(&instance, &answer).expect("the answer is awaited");
//! assert_eq!(instance.state, "refunded");
//! assert_eq!(effects.last(), Some(&Effect::Finished { state: "refunded".into(), is_error: false }));
//!
//! // The same answer once more is refused, and nothing changes.
//! assert!(machine.advance(&instance, &answer).is_err());
//! ```

mod advance;
mod by_hand;
mod check;
mod definition;
mod index;
mod instance;
pub mod limits;
mod machine;
mod retry;
mod starts;
mod suggest;

pub use by_hand::{NotNow, Rest};
pub use definition::{Deadline, Defect, Definition, Hook, Reaction, State, Step, Transition};
pub use instance::{Cause, Effect, Input, Instance, Refusal, RunKind, StepOutcome};
pub use machine::Machine;
pub use retry::RetryPolicy;
