//! What operators ask for: that old rows are pruned, that finished instances are archived, and that processes of one installation have the same
//! secrets.

pub mod agreement;
pub mod archive;
pub mod retention;
