//! What a step of `millrace:step` 0.2 has beside what every step has: its configuration by key, a state, business events, placeholders of
//! secrets, and schemas. [`Job`](crate::Job), the answers and their helpers are those of 0.1.
//!
//! A component implements [`Guest`] and calls [`export!`]. It imports what it uses, and needs a grant for no more. The host's imports are only
//! there in a sandbox: outside of it the configuration and the state are empty, and what is written goes nowhere.

use serde::Serialize;

use crate::Failure;
pub use crate::second_bindings::Guest;
pub use crate::second_bindings::export;
pub use crate::second_bindings::millrace::step::about::Description;

/// The component's configuration by key; a key that begins with "/" is a JSON Pointer. Another type than the asked one is a permanent failure
/// that names the key.
pub mod config {
    use crate::Failure;
    #[cfg(target_family = "wasm")]
    use crate::second_bindings::millrace::step::config as host;

    macro_rules! typed {
        ($($(#[$doc:meta])* $name:ident, $host:ident, $type:ty;)+) => {$(
            $(#[$doc])*
            pub fn $name(key: &str) -> Result<Option<$type>, Failure> {
                #[cfg(target_family = "wasm")]
                return host::$host(key).map_err(Failure::Permanent);
                #[cfg(not(target_family = "wasm"))]
                {
                    let _ = key;
                    Ok(None)
                }
            }
        )+};
    }

    typed! {
        /// A text.
        string, get_string, String;
        /// A whole number.
        integer, get_integer, i64;
        /// A number.
        number, get_number, f64;
        /// True or false.
        boolean, get_boolean, bool;
        /// A list of texts.
        list, get_list, Vec<String>;
    }
}

/// A small state of the component's own. What is written is committed with the answer, if that is accepted or rejected. What cannot be done
/// now is a transient failure, anything else a permanent one.
pub mod kv {
    use crate::Failure;
    #[cfg(target_family = "wasm")]
    use crate::second_bindings::millrace::step::kv as host;

    /// Whose state it is.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Scope {
        /// The instance's: it goes with it.
        Instance,
        /// The component's, whatever the instance.
        Component,
    }

    #[cfg(target_family = "wasm")]
    impl From<Scope> for host::Scope {
        fn from(scope: Scope) -> Self {
            match scope {
                Scope::Instance => Self::Instance,
                Scope::Component => Self::Component,
            }
        }
    }

    #[cfg(target_family = "wasm")]
    fn failure(error: host::Error) -> Failure {
        use host::Error::{Denied, Full, InvalidKey, NotANumber, TooLarge, Unavailable};
        match error {
            Unavailable(why) => Failure::Transient(why),
            Denied(why) | Full(why) | InvalidKey(why) | NotANumber(why) | TooLarge(why) => Failure::Permanent(why),
        }
    }

    /// The value under a key.
    pub fn get(scope: Scope, key: &str) -> Result<Option<String>, Failure> {
        #[cfg(target_family = "wasm")]
        return host::get(scope.into(), key).map_err(failure);
        #[cfg(not(target_family = "wasm"))]
        {
            let _ = (scope, key);
            Ok(None)
        }
    }

    /// Puts a value under a key. Of attempts at once that set one key the last commit counts.
    pub fn set(scope: Scope, key: &str, value: &str) -> Result<(), Failure> {
        #[cfg(target_family = "wasm")]
        return host::set(scope.into(), key, value).map_err(failure);
        #[cfg(not(target_family = "wasm"))]
        {
            let _ = (scope, key, value);
            Ok(())
        }
    }

    /// Takes a key away.
    pub fn delete(scope: Scope, key: &str) -> Result<(), Failure> {
        #[cfg(target_family = "wasm")]
        return host::delete(scope.into(), key).map_err(failure);
        #[cfg(not(target_family = "wasm"))]
        {
            let _ = (scope, key);
            Ok(())
        }
    }

    /// Adds to the whole number under a key, and answers the sum as this attempt sees it. No count is lost, whoever adds at once.
    pub fn increment(scope: Scope, key: &str, by: i64) -> Result<i64, Failure> {
        #[cfg(target_family = "wasm")]
        return host::increment(scope.into(), key, by).map_err(failure);
        #[cfg(not(target_family = "wasm"))]
        {
            let _ = (scope, key);
            Ok(by)
        }
    }
}

/// Publishes a business event with the answer; `data` must serialize to a JSON object. What the config does not declare is a permanent failure.
pub fn publish(event_type: &str, data: &impl Serialize) -> Result<(), Failure> {
    let data =
        serde_json::to_string(data).map_err(|problem| Failure::Permanent(format!("an event could not be written as JSON: {problem}")))?;
    #[cfg(target_family = "wasm")]
    {
        use crate::second_bindings::millrace::step::events::{self, Error};
        events::publish(event_type, &data).map_err(|error| {
            let (Error::Undeclared(why) | Error::Invalid(why) | Error::TooMuch(why) | Error::Denied(why)) = error;
            Failure::Permanent(why)
        })
    }
    #[cfg(not(target_family = "wasm"))]
    {
        let _ = (event_type, data);
        Ok(())
    }
}

/// What stands for a secret in the header of a request: the host fills it in on the way out. None if it is not granted.
pub fn secret(name: &str) -> Option<String> {
    #[cfg(target_family = "wasm")]
    return crate::second_bindings::millrace::step::secrets::placeholder(name);
    #[cfg(not(target_family = "wasm"))]
    {
        let _ = name;
        None
    }
}
