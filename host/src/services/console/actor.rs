//! Who asks.

use std::sync::Arc;
use std::time::Duration;

use crate::plan::Scope;
use crate::services::audit;
use crate::services::resources::Caller;
use crate::services::users::CurrentUser;

/// As long as nobody's token is good, and no stream lasts.
const FOR_EVER: Duration = Duration::from_secs(365 * 24 * 3_600);

/// Who asks, once they were let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// Who they are for the audit log: the id of an account, or `local` for somebody on this machine without a token.
    pub of: Arc<audit::Actor>,
    /// How long their token is good yet; for ever without one.
    pub left: Duration,
}

impl Actor {
    /// Whose token it is that is good for so long yet.
    #[must_use]
    pub fn new(of: audit::Actor, left: Duration) -> Self {
        Self { of: Arc::new(of), left }
    }

    /// Somebody on this machine without a token.
    #[must_use]
    pub fn local() -> Self {
        Self::new(audit::Actor { id: "local".into(), ..audit::Actor::default() }, FOR_EVER)
    }

    /// Whether it is somebody on this machine without a token.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.of.id == "local" && self.of.roles.is_empty()
    }

    /// As streams, lists and logs know them.
    #[must_use]
    pub fn who(&self) -> &str {
        &self.of.id
    }

    /// As a caller that reaches everything.
    pub(super) fn caller(&self) -> Caller {
        let user = CurrentUser::let_in(self.of.id.clone(), self.of.roles, self.left);
        Caller { user: Some(user), scope: Scope::All, actor: Some(Arc::clone(&self.of)) }
    }
}
