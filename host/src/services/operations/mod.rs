//! What operators ask for: that old rows are pruned, and that processes of one installation have the same secrets.

pub mod agreement;
pub mod retention;
