//! Components: compiling, checking, swapping and running them in a sandbox.
//!
//! A component is a file that the operator names. The runtime watches it, takes a new version only when the whole file is
//! there and fits the world `millrace:step/step`, and runs every attempt in a fresh store with nothing granted that the
//! operator did not grant. It knows nothing of databases, routes or the state machine: a [`Job`] goes in, a [`Report`] comes out.

mod ahead;
mod alongside;
mod answer;
mod attempt;
mod bindings;
mod budget;
mod candidates;
mod check;
mod code_cache;
mod compile;
mod components;
mod contract;
mod encrypted;
mod engine;
mod exchange;
mod fetch;
mod fitting;
mod guest;
mod guest_log;
mod heard;
mod inspect;
mod kv;
mod loader;
mod newcomers;
mod outgoing;
mod places;
mod published;
mod recording;
mod registry;
mod sandbox;
mod schemas;
mod settings;
mod settlement;
mod shipped;
mod signature;
mod slot;
mod source;
mod standstill;
mod steps;
mod tape;
mod text;
mod typed;
mod watch;
mod workbench;

use std::time::Duration;

use serde_json::{Map, Value};

pub use ahead::compile_ahead;
pub use alongside::Alongside;
pub use budget::Limit;
pub use candidates::{MAX_COMPONENT_BYTES, NotNow};
pub use check::{Rejected, check};
pub use code_cache::CACHE_KEY;
pub use compile::compile_main;
pub use components::{ComponentStatus, Place, Remember, Runtime};
pub use encrypted::check_authorities;
pub use engine::MAX_RUNS;
pub use exchange::Arranged;
pub use guest_log::Line;
pub use inspect::Contract;
pub use kv::{GivenKv, KV_ENTRY_BYTES, KvChange, KvGrant, KvOp, KvOwner, KvSource};
pub use places::Crowd;
pub use published::Published;
pub use recording::{Recording, Said};
pub use registry::{Push, is_digest, is_here, is_registry, is_repository};
pub use settings::{
    Access, After, Artifact, Capabilities, ComponentSettings, Credential, EventGrant, Expect, Given, Grant, GrantTarget, Limits, Login,
    SecretGrant, Settings, Signatures, Source,
};
pub use shipped::CODE_EXTENSION;
pub use signature::{MAX_SIGNATURE_BYTES, PublicKey, SIGNATURE_ENDING, SecretKey, signed_by};
pub use slot::{Candidate, Refusal};
pub use source::digest;
pub use steps::Steps;
pub use tape::Tape;
pub use workbench::{Examined, Tried, Workbench};

/// One attempt at one step, see `wit/step.wit`.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// Name of the workflow.
    pub workflow: String,
    /// Kind of the instance, which is not told to the component.
    pub kind: String,
    /// Id of the instance.
    pub instance_id: String,
    /// Name of the step.
    pub step: String,
    /// Transition that started it.
    pub transition: String,
    /// State left by that transition.
    pub from_state: String,
    /// State entered by that transition.
    pub to_state: String,
    /// Attempt at this visit, from 1.
    pub attempt: u32,
    /// Which visit, from 1.
    pub visit: u32,
    /// Same for every attempt at one visit.
    pub idempotency_key: String,
    /// Wall time of this attempt.
    pub timeout: Duration,
    /// W3C trace context, sent with what the component asks of granted services.
    pub traceparent: Option<String>,
    /// Business data, a JSON object as text.
    pub data: String,
}

/// How an attempt ended. What a component may answer is four things, never guessed; a trap, a timeout, a limit, a denied
/// instantiation or an answer that is not a JSON object come as [`Verdict::Transient`] with a text that names the component.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// Done; an object to merge into the data.
    Accepted(Map<String, Value>),
    /// The business says no.
    Rejected {
        /// For programs.
        code: String,
        /// For a person.
        reason: String,
        /// An object to merge into the data.
        details: Map<String, Value>,
    },
    /// It may work the next time.
    Transient(String),
    /// It will never work.
    Permanent(String),
}

/// What a component says about a run that gave no answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Status {
    /// It had its effect; an object to merge into the data, as of an accepted answer.
    Done(Map<String, Value>),
    /// It had none so far.
    NotDone,
    /// It cannot tell now, and why.
    Unknown(String),
}

/// What there is to know of an attempt; of what it was for, if not for a [`Verdict`].
#[derive(Debug, Clone, PartialEq)]
pub struct Report<T = Verdict> {
    /// How it ended.
    pub verdict: T,
    /// SHA-256 of the component's file, in hex; empty if no version was ever good.
    pub digest: String,
    /// Wall time from the call to the answer, waiting for a place in the pool included.
    pub wall: Duration,
    /// What the host itself took: making the store and the instance, and dropping them. Handing over the job and the answer is
    /// within the call, and so only in `wall`.
    pub overhead: Duration,
    /// A limit of the sandbox ended it.
    pub limit: Option<Limit>,
    /// Log lines beyond its budget were dropped.
    pub lines_dropped: bool,
    /// A granted service did not accept what this process is known by: which one, what, and what to do. The fault of neither the
    /// component nor the instance.
    pub refused: Option<String>,
    /// The component gave one of the answers that it may give, in its form; otherwise it broke, reached a limit or was not run.
    pub answered: bool,
    /// What the component used.
    pub used: Used,
    /// How it was, of an attempt that failed: of one that was neither accepted nor rejected.
    pub recording: Option<Box<Recording>>,
    /// What is to be committed with it, of an attempt that was accepted or rejected.
    pub alongside: Alongside,
}

/// What a run used of its limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Used {
    /// CPU time, in steps of two milliseconds: what takes less is none.
    pub cpu: Duration,
    /// Bytes of all its memories and tables, at most.
    pub memory_bytes: usize,
    /// Calls into the host.
    pub host_calls: u32,
}

/// A component was made ready to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compilation {
    /// Name of the component.
    pub component: String,
    /// Its code was in the cache already.
    pub cached: bool,
    /// How long that took.
    pub took: Duration,
}

/// A version that serves.
#[derive(Debug, Clone, PartialEq)]
pub struct ActiveVersion {
    /// SHA-256 of the file, in hex.
    pub digest: String,
    /// Bytes of the file.
    pub size: u64,
    /// What it says of itself.
    pub name: String,
    /// Its own version.
    pub version: String,
    /// What it does.
    pub summary: String,
    /// What it was built for.
    pub contract: Contract,
    /// JSON Schema of its config.
    pub config_schema: Value,
    /// JSON Schema of the data that it reads, if it says that.
    pub data_schema: Option<Value>,
    /// JSON Schema of what it answers, if it says that.
    pub answer_schema: Option<Value>,
    /// It can find out about the effect of a run that gave no answer, and undo it.
    pub reversible: bool,
    /// When it began to serve.
    pub since: jiff::Timestamp,
}

/// Something that happened to a component.
#[derive(Debug, Clone, PartialEq)]
pub enum SwapEvent {
    /// A version serves from now on.
    Swapped {
        /// Name of the component.
        component: String,
        /// The version that serves now.
        active: Box<ActiveVersion>,
        /// Digest of the version before, if there was one.
        previous: Option<String>,
        /// From the change of the file to serving.
        took: Duration,
    },
    /// A file was refused; what served before still serves.
    Refused {
        /// Name of the component.
        component: String,
        /// Digest of the refused file, if it could be read.
        digest: Option<String>,
        /// What is wrong and what to change.
        reason: String,
        /// Digest that serves on, if one does.
        serving: Option<String>,
        /// There is no file any more.
        missing: bool,
    },
}

/// A module of this process that a component may call without a socket.
pub type InProcess = tower::util::BoxCloneSyncService<http::Request<bytes::Bytes>, http::Response<bytes::Bytes>, std::convert::Infallible>;
