//! What operators ask for: that old rows are pruned and finished instances archived, that processes of one installation have the
//! same secrets, what lies aside, and that a new version of a component gives runs another chance.

pub mod agreement;
mod archive;
mod archive_place;
mod held;
mod keying;
mod retention;
mod stranded;
mod swaps;

pub use agreement::Clocks;
pub use archive::Archive;
pub use held::{Amounts, Held};
pub use keying::Keying;
pub use retention::Retention;
pub use stranded::{Lack, Names, Stranded};
pub use swaps::Swaps;
