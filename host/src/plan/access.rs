//! Who may call a route, and whose resources they reach there.

use std::fmt;
use std::time::Duration;

use serde::de::{SeqAccess, Visitor};
use serde::ser::SerializeSeq as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// `sudoAbove` of a route: whoever asks for a large amount has shown the password again lately.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SudoAbove {
    /// Field of the body with the amount, a whole number.
    pub field: String,
    /// More than this is much.
    pub above: i64,
    /// How long ago that was, at most.
    pub within: Duration,
}

/// What a person is to the shop. None of them includes another, but everybody with an account is a customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Everybody with an account; never granted.
    Customer,
    /// Looks after what customers have.
    Support,
    /// Keeps products and stock.
    Catalogue,
    /// Gives money back.
    Finance,
    /// Keeps the processes running.
    Operator,
    /// Changes configs and components.
    Designer,
    /// Gives roles to others.
    Admin,
}

impl Role {
    /// Every role there is.
    pub const ALL: [Self; 7] = [Self::Customer, Self::Support, Self::Catalogue, Self::Finance, Self::Operator, Self::Designer, Self::Admin];

    /// As configs, tokens and commands write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Support => "support",
            Self::Catalogue => "catalogue",
            Self::Finance => "finance",
            Self::Operator => "operator",
            Self::Designer => "designer",
            Self::Admin => "admin",
        }
    }

    /// The role that is written like this.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }

    /// The role that is written like this, if it is one that can be granted.
    ///
    /// # Errors
    /// It is none, or one that nobody is granted; in words.
    pub fn grantable(name: &str) -> Result<Self, String> {
        let accepted = Roles::STAFF.joined(", ");
        match Self::from_name(name) {
            Some(Self::Customer) => Err(format!("everybody with an account is a customer; accepted: {accepted}")),
            Some(role) => Ok(role),
            None => Err(format!("there is no role '{name}'; accepted: {accepted}")),
        }
    }
}

/// A set of roles; a number, so that it costs nothing to carry.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Roles(u8);

impl Roles {
    /// What everybody with an account is.
    pub const CUSTOMER: Self = Self(1 << Role::Customer as u8);
    /// What is granted to some.
    pub const STAFF: Self = Self(!Self::CUSTOMER.0 & ((1 << Role::ALL.len()) - 1));

    /// These.
    #[must_use]
    pub const fn of(roles: &[Role]) -> Self {
        let (mut all, mut at) = (0, 0);
        while at < roles.len() {
            all |= 1 << roles[at] as u8;
            at += 1;
        }
        Self(all)
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether `role` is one of them.
    #[must_use]
    pub const fn contains(self, role: Role) -> bool {
        self.0 & (1 << role as u8) != 0
    }

    /// These, and those.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those that are in both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Each of them, always in the same sequence.
    pub fn iter(self) -> impl Iterator<Item = Role> {
        Role::ALL.into_iter().filter(move |role| self.contains(*role))
    }

    /// Their names, joined by `between`.
    #[must_use]
    pub fn joined(self, between: &str) -> String {
        self.iter().map(Role::name).collect::<Vec<_>>().join(between)
    }
}

impl FromIterator<Role> for Roles {
    fn from_iter<I: IntoIterator<Item = Role>>(roles: I) -> Self {
        roles.into_iter().fold(Self::default(), |all, role| Self(all.0 | (1 << role as u8)))
    }
}

impl fmt::Debug for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}]", self.joined(", "))
    }
}

/// A list of names.
impl Serialize for Roles {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(None)?;
        self.iter().try_for_each(|role| list.serialize_element(role.name()))?;
        list.end()
    }
}

/// A list of names. A name that is no role gives nothing: a later version may know more of them.
impl<'de> Deserialize<'de> for Roles {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Names)
    }
}

struct Names;

impl<'de> Visitor<'de> for Names {
    type Value = Roles;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of names of roles")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut names: A) -> Result<Roles, A::Error> {
        let mut roles = Roles::default();
        while let Some(MaybeRole(role)) = names.next_element()? {
            roles = roles.or(role.into_iter().collect());
        }
        Ok(roles)
    }
}

struct MaybeRole(Option<Role>);

impl<'de> Deserialize<'de> for MaybeRole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Name;
        impl Visitor<'_> for Name {
            type Value = MaybeRole;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a role")
            }

            fn visit_str<E>(self, name: &str) -> Result<MaybeRole, E> {
                Ok(MaybeRole(Role::from_name(name)))
            }
        }
        deserializer.deserialize_str(Name)
    }
}

/// Who may call a route.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Access {
    /// Everybody, without a token.
    #[default]
    Anyone,
    /// Who has a token.
    SignedIn,
    /// Who has a token with one of these roles.
    Roles(Roles),
}

/// Why somebody may not call a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// A token is needed.
    Unknown,
    /// One of these roles is needed.
    Without(Roles),
}

impl Access {
    /// Only those whom both let in.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Anyone, other) | (other, Self::Anyone) => other,
            (Self::SignedIn, other) | (other, Self::SignedIn) => other,
            (Self::Roles(these), Self::Roles(those)) => Self::Roles(these.and(those)),
        }
    }

    /// Whether somebody with these roles may call; `None` is somebody without a token.
    ///
    /// # Errors
    /// Why not.
    pub fn admit(self, caller: Option<Roles>) -> Result<(), Denied> {
        match (self, caller) {
            (Self::Anyone, _) | (Self::SignedIn, Some(_)) => Ok(()),
            (Self::SignedIn | Self::Roles(_), None) => Err(Denied::Unknown),
            (Self::Roles(needed), Some(has)) if needed.and(has).is_empty() => Err(Denied::Without(needed)),
            (Self::Roles(_), Some(_)) => Ok(()),
        }
    }
}

/// Whose the resources of a handler are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Owner {
    /// Nobody's: who may call a route reaches all of them.
    #[default]
    Nobody,
    /// Of who has created them; others do not even learn that they are there.
    Creator,
}

/// Which of the resources that belong to somebody a caller reaches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Scope {
    /// Their own.
    #[default]
    Own,
    /// Those of everybody.
    All,
}

impl Scope {
    /// What a caller with the roles `has` reaches by a route of this scope. As a customer nobody reaches what belongs to others.
    #[must_use]
    pub fn of(self, access: Access, has: Roles) -> Self {
        match (self, access) {
            (Self::All, Access::Roles(named)) if !named.and(has).and(Roles::STAFF).is_empty() => Self::All,
            _ => Self::Own,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roles(list: &[Role]) -> Roles {
        list.iter().copied().collect()
    }

    #[test]
    fn roles_are_written_by_name_and_unknown_names_give_nothing() {
        for role in Role::ALL {
            assert_eq!(Role::from_name(role.name()), Some(role));
            assert_eq!(serde_json::from_value::<Roles>(serde_json::json!([role.name()])).unwrap(), roles(&[role]));
        }
        let read = serde_json::from_str::<Roles>(r#"["support", "emperor", "support"]"#).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), r#"["support"]"#);
        assert!(serde_json::from_str::<Roles>(r#""support""#).is_err() && serde_json::from_str::<Roles>("[1]").is_err());
    }

    #[test]
    fn only_whom_every_rule_lets_in_comes_in() {
        let (support, both) = (Access::Roles(roles(&[Role::Support])), Access::Roles(roles(&[Role::Support, Role::Finance])));
        assert_eq!(Access::Anyone.and(Access::SignedIn), Access::SignedIn);
        assert_eq!(Access::SignedIn.and(support), support);
        assert_eq!(both.and(support), support);
        assert_eq!(support.admit(None), Err(Denied::Unknown));
        assert_eq!(support.admit(Some(Roles::CUSTOMER)), Err(Denied::Without(roles(&[Role::Support]))));
        assert_eq!(both.admit(Some(roles(&[Role::Customer, Role::Finance]))), Ok(()));
        assert_eq!((Access::Anyone.admit(None), Access::SignedIn.admit(Some(Roles::CUSTOMER))), (Ok(()), Ok(())));
    }

    #[test]
    fn a_customer_never_reaches_what_belongs_to_others() {
        let access = Access::Roles(roles(&[Role::Customer, Role::Support]));
        assert_eq!(Scope::All.of(access, Roles::CUSTOMER), Scope::Own);
        assert_eq!(Scope::All.of(access, roles(&[Role::Customer, Role::Finance])), Scope::Own, "a role that the route does not name");
        assert_eq!(Scope::All.of(access, roles(&[Role::Customer, Role::Support])), Scope::All);
        assert_eq!(Scope::Own.of(access, roles(&[Role::Support])), Scope::Own);
        assert_eq!(Scope::All.of(Access::SignedIn, Roles::STAFF), Scope::Own);
    }
}
