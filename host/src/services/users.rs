//! People, passwords and tokens.

/// Who a request comes from, as its token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CurrentUser {
    /// Id of the user.
    pub id: String,
}
