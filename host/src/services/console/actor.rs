//! Who asks.

use std::time::Duration;

use crate::plan::Scope;
use crate::plan::access::Roles;
use crate::services::resources::Caller;
use crate::services::users::CurrentUser;

/// Who asks, once they were let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// Id of the user, or `local` for somebody on this machine without a token.
    pub who: String,
    /// What they are; nothing for somebody on this machine without a token.
    pub roles: Roles,
    /// How long their token is good yet; for ever without one.
    pub left: Duration,
}

impl Actor {
    /// Somebody on this machine without a token.
    #[must_use]
    pub fn local() -> Self {
        Self { who: "local".into(), roles: Roles::default(), left: Duration::from_secs(365 * 24 * 3_600) }
    }

    /// As a caller that reaches everything.
    pub(super) fn caller(&self) -> Caller {
        let user = CurrentUser { id: self.who.clone(), roles: self.roles, left: self.left };
        Caller { user: Some(user), scope: Scope::All }
    }
}
