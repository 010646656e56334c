//! How tasks learn that they should end.

use tokio_util::sync::CancellationToken;

/// Asked for once, seen by every clone.
#[derive(Debug, Clone, Default)]
pub struct Stop(CancellationToken);

impl Stop {
    /// Not yet asked for.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks everybody to end.
    pub fn request(&self) {
        self.0.cancel();
    }

    /// Whether it was asked for.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Waits until it is asked for.
    pub async fn requested(&self) {
        self.0.cancelled().await;
    }
}
