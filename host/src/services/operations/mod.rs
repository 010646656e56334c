//! What operators ask for: that old rows are pruned, that processes of one installation have the same secrets, and what lies aside.

pub mod agreement;
mod retention;
mod stranded;

pub use retention::Retention;
pub use stranded::{Lack, Stranded};
