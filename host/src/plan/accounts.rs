//! Accounts: how they are kept, and what a route does with them.

use std::path::PathBuf;
use std::time::Duration;

use super::access::{Role, Roles};

/// `auth.jwt`.
#[derive(Clone, PartialEq, Eq)]
pub struct Auth {
    /// Module name.
    pub name: String,
    /// At least 32 bytes.
    pub secret: String,
    /// What an operator knows it by: the variable that it is made of, or its place in the config.
    pub secret_name: String,
    /// Life of a token.
    pub token_expiry: Duration,
    /// Life of a token of somebody who is more than a customer; never longer than that of others.
    pub staff_token_expiry: Duration,
    /// `iss`.
    pub issuer: String,
    /// Users to add at start if they are not there: `[{name, email, password}]`.
    pub seed_file: Option<PathBuf>,
    /// Whether `/register` is open.
    pub allow_registration: bool,
    /// Whether another e-mail address needs the password of the account.
    pub email_needs_password: bool,
    /// Where changes of accounts are told by who keeps them, and heard by who only checks tokens.
    pub topics: Option<AccountTopics>,
    /// The page on which another password is set, with `{token}` in it; without one nobody is sent a link.
    pub reset_link: Option<String>,
    /// Roles that cannot be used without a second factor.
    pub second_factor: Roles,
}

/// Topics of the events of accounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountTopics {
    /// Tokens of an account have ended.
    pub changed: String,
    /// Somebody wants to set a password without the old one.
    pub password_forgotten: String,
}

impl Default for Auth {
    fn default() -> Self {
        Self {
            name: String::new(),
            secret: String::new(),
            secret_name: String::new(),
            token_expiry: Self::TOKEN_EXPIRY,
            staff_token_expiry: Self::STAFF_TOKEN_EXPIRY,
            issuer: "millrace".to_owned(),
            seed_file: None,
            allow_registration: true,
            email_needs_password: false,
            topics: None,
            reset_link: None,
            second_factor: Roles::default(),
        }
    }
}

impl Auth {
    /// Unless the config says otherwise.
    pub const TOKEN_EXPIRY: Duration = Duration::from_secs(24 * 3600);
    /// Unless the config says otherwise.
    pub const STAFF_TOKEN_EXPIRY: Duration = Duration::from_secs(15 * 60);
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Auth")
            .field("name", &self.name)
            .field("issuer", &self.issuer)
            .field("secret", &"[hidden]")
            .field("staff_token_expiry", &self.staff_token_expiry)
            .field("topics", &self.topics)
            .field("reset_link", &self.reset_link)
            .field("second_factor", &self.second_factor)
            .finish_non_exhaustive()
    }
}

impl AccountTopics {
    /// Those that begin with `prefix` and a dot.
    #[must_use]
    pub fn of(prefix: &str) -> Self {
        Self { changed: format!("{prefix}.changed"), password_forgotten: format!("{prefix}.password_forgotten") }
    }
}

/// What a route does with an account; follows from its method and the end of its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountOperation {
    /// `POST /register`
    Register,
    /// `POST /login`
    Login,
    /// `GET /profile`
    Profile,
    /// `PUT /profile`
    UpdateProfile,
    /// `POST /renew`
    Renew,
    /// `POST /sudo`
    Sudo,
    /// `PUT /password`
    ChangePassword,
    /// `POST /password/forgotten`
    ForgottenPassword,
    /// `POST /password/reset`
    ResetPassword,
    /// `POST /totp`
    EnrolFactor,
    /// `POST /totp/confirm`
    ConfirmFactor,
    /// `DELETE /totp`
    RemoveFactor,
    /// `GET /users`
    ListUsers,
    /// `GET /users/{id}`
    Contact,
    /// `PUT /users/{id}/roles`
    SetRoles,
    /// `POST /users/{id}/disable`
    Disable,
    /// `POST /users/{id}/enable`
    Enable,
}

impl AccountOperation {
    /// All of them, each with the method and the end of the path that ask for it.
    pub const ALL: [(Self, &'static str, &'static str); 17] = [
        (Self::Register, "POST", "/register"),
        (Self::Login, "POST", "/login"),
        (Self::Profile, "GET", "/profile"),
        (Self::UpdateProfile, "PUT", "/profile"),
        (Self::Renew, "POST", "/renew"),
        (Self::Sudo, "POST", "/sudo"),
        (Self::ChangePassword, "PUT", "/password"),
        (Self::ForgottenPassword, "POST", "/password/forgotten"),
        (Self::ResetPassword, "POST", "/password/reset"),
        (Self::EnrolFactor, "POST", "/totp"),
        (Self::ConfirmFactor, "POST", "/totp/confirm"),
        (Self::RemoveFactor, "DELETE", "/totp"),
        (Self::ListUsers, "GET", "/users"),
        (Self::Contact, "GET", "/users/{id}"),
        (Self::SetRoles, "PUT", "/users/{id}/roles"),
        (Self::Disable, "POST", "/users/{id}/disable"),
        (Self::Enable, "POST", "/users/{id}/enable"),
    ];

    /// How long ago the password may have been asked for, unless a middleware says less.
    pub const SUDO: Duration = Duration::from_secs(5 * 60);

    /// The one that this method and path ask for. Its placeholders are those of the path.
    #[must_use]
    pub fn asked(method: &str, path: &str) -> Option<Self> {
        let fits = |end: &str| path.ends_with(end) && path.matches('{').count() == end.matches('{').count();
        Self::ALL.into_iter().find(|(_, asked, end)| *asked == method && fits(end)).map(|(operation, ..)| operation)
    }

    /// As it is counted.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Register => "register",
            Self::Login => "login",
            Self::Profile => "profile",
            Self::UpdateProfile => "update_profile",
            Self::Renew => "renew",
            Self::Sudo => "sudo",
            Self::ChangePassword => "change_password",
            Self::ForgottenPassword => "forgotten_password",
            Self::ResetPassword => "reset_password",
            Self::EnrolFactor => "enrol_factor",
            Self::ConfirmFactor => "confirm_factor",
            Self::RemoveFactor => "remove_factor",
            Self::ListUsers => "list_users",
            Self::Contact => "contact",
            Self::SetRoles => "set_roles",
            Self::Disable => "disable",
            Self::Enable => "enable",
        }
    }

    /// Whether it is for those who have no token.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Register | Self::Login | Self::ForgottenPassword | Self::ResetPassword)
    }

    /// Who may ask for it, whatever a config says; `None` is everybody with an account.
    #[must_use]
    pub fn roles(self) -> Option<Roles> {
        match self {
            Self::ListUsers | Self::SetRoles | Self::Disable | Self::Enable => Some(Roles::from_iter([Role::Admin])),
            Self::Contact => Some(Roles::from_iter([Role::Support, Role::Finance, Role::Admin])),
            _ => None,
        }
    }

    /// Whether it is also for who has to set up the second factor first.
    #[must_use]
    pub const fn enrols(self) -> bool {
        matches!(self, Self::EnrolFactor | Self::ConfirmFactor | Self::Profile)
    }

    /// How long ago the password was asked for again, at most; `None` does not ask.
    #[must_use]
    pub const fn sudo(self) -> Option<Duration> {
        let is_dangerous = matches!(self, Self::EnrolFactor | Self::RemoveFactor | Self::SetRoles | Self::Disable | Self::Enable);
        if is_dangerous { Some(Self::SUDO) } else { None }
    }
}
