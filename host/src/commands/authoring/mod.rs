//! What the author of a component needs before it serves anywhere: the contract, the host's judgement, one job in the sandbox.

pub mod call;
pub mod check;
mod subject;
pub mod wit;
