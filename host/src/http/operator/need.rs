//! Who may do what of it.

use std::time::Duration;

use crate::plan::AccountOperation;
use crate::plan::access::{Role, Roles};

/// What somebody has to be for an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum Need {
    /// To look.
    See,
    /// To act on instances.
    Act,
    /// To mend what waits.
    Mend,
    /// To change components.
    Design,
    /// To ask a model about the config. Nothing changes by it, but it costs, and the config is told to somebody.
    Consult,
    /// To change the config, with the password shown again.
    Deploy,
}

impl Need {
    /// Whether anything changes by it, which `write` has to allow.
    pub(in crate::http) const fn writes(self) -> bool {
        match self {
            Self::See | Self::Consult => false,
            Self::Act | Self::Mend | Self::Design | Self::Deploy => true,
        }
    }

    /// How long ago somebody with a token was asked for the password again, at most; `None` does not ask.
    pub(in crate::http) const fn sudo(self) -> Option<Duration> {
        match self {
            Self::See | Self::Act | Self::Mend | Self::Design | Self::Consult => None,
            Self::Deploy => Some(AccountOperation::SUDO),
        }
    }

    /// Roles of which one is needed.
    pub(in crate::http) const fn roles(self) -> Roles {
        match self {
            Self::See => Roles::of(&[Role::Support, Role::Operator, Role::Designer, Role::Admin]),
            Self::Act => Roles::of(&[Role::Support, Role::Operator]),
            Self::Mend => Roles::of(&[Role::Operator]),
            Self::Design | Self::Consult => Roles::of(&[Role::Designer]),
            // A config says who may do what, and reads the secrets of the process: whoever writes it may have anything.
            Self::Deploy => Roles::of(&[Role::Admin]),
        }
    }
}
