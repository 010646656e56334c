//! What the author of a component needs before it serves anywhere: the contract, the host's judgement, one job in the sandbox, a folder to begin with.

pub mod add;
pub mod bindings;
pub mod call;
pub mod check;
pub mod compile;
pub mod componentize;
mod contract;
pub mod dev;
pub mod keys;
mod made;
pub mod new;
pub mod push;
mod subject;
pub mod wit;
