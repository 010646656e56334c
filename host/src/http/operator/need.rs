//! Who may do what of it.

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
}

impl Need {
    /// Roles of which one is needed.
    pub(in crate::http) const fn roles(self) -> Roles {
        match self {
            Self::See => Roles::of(&[Role::Support, Role::Operator, Role::Designer, Role::Admin]),
            Self::Act => Roles::of(&[Role::Support, Role::Operator]),
            Self::Mend => Roles::of(&[Role::Operator]),
            Self::Design => Roles::of(&[Role::Designer]),
        }
    }
}
