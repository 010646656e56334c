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
    /// To change the config, with the password shown again.
    Deploy,
}

impl Need {
    /// How long ago somebody with a token was asked for the password again, at most; `None` does not ask.
    pub(in crate::http) const fn sudo(self) -> Option<Duration> {
        match self {
            Self::See | Self::Act | Self::Mend | Self::Design => None,
            Self::Deploy => Some(AccountOperation::SUDO),
        }
    }

    /// Roles of which one is needed.
    pub(in crate::http) const fn roles(self) -> Roles {
        match self {
            Self::See => Roles::of(&[Role::Support, Role::Operator, Role::Designer, Role::Admin]),
            Self::Act => Roles::of(&[Role::Support, Role::Operator]),
            Self::Mend => Roles::of(&[Role::Operator]),
            Self::Design => Roles::of(&[Role::Designer]),
            // A config says who may do what, and reads the secrets of the process: whoever writes it may have anything.
            Self::Deploy => Roles::of(&[Role::Admin]),
        }
    }
}
