//! Whether customers see a product and may buy it.

use serde_json::Value;

use crate::store::Object;

/// Where a product stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Status {
    /// Not offered yet.
    Draft,
    /// Offered; also what says nothing.
    #[default]
    Active,
    /// Not offered any more.
    Retired,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Draft, Self::Active, Self::Retired];

    /// As products and queries write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Active => "active",
            Self::Retired => "retired",
        }
    }

    /// The status that is written like this.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }

    /// Of a product whose status is in `field`. What nobody can read is not offered.
    #[must_use]
    pub fn of(data: &Object, field: &str) -> Self {
        match data.get(field) {
            None | Some(Value::Null) => Self::Active,
            Some(value) => value.as_str().and_then(Self::from_name).unwrap_or(Self::Draft),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_says_nothing_is_active_and_what_nobody_can_read_is_not_offered() {
        let of = |data: Value| Status::of(data.as_object().unwrap(), "status");
        assert_eq!((of(json!({})), of(json!({"status": "retired"}))), (Status::Active, Status::Retired));
        assert_eq!((of(json!({"status": "aktiv"})), of(json!({"status": 1}))), (Status::Draft, Status::Draft));
    }
}
