//! Who asks for resources.

use std::sync::Arc;

use crate::plan::Scope;
use crate::services::audit::Actor;
use crate::services::users::CurrentUser;

/// Who asks, once they were let in, and how far they reach there.
#[derive(Debug, Clone, Default)]
pub struct Caller {
    /// `None` without a token.
    pub user: Option<CurrentUser>,
    /// Which of the resources that belong to somebody they reach.
    pub scope: Scope,
    /// Who they are for the audit log, where a role has let them in.
    pub actor: Option<Arc<Actor>>,
}
