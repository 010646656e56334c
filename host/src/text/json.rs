//! JSON that people write: bodies of requests, files beside a config.

use std::collections::HashSet;
use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::quoted;

/// The longest key that a message shows whole, in characters.
const MAX_QUOTED: usize = 100;

/// Reads a file of JSON that a person or an export has written: a mark of its encoding before it is no part of it.
///
/// # Errors
/// What is wrong with it and where; also that a key is given twice.
pub fn read<T: de::DeserializeOwned>(raw: &[u8]) -> serde_json::Result<T> {
    let raw = raw.strip_prefix(b"\xef\xbb\xbf").unwrap_or(raw);
    every_key_once(raw)?;
    serde_json::from_slice(raw)
}

/// Checks that no object, at any depth, has a key twice. Parsers disagree about which of two values counts, so what one of them has checked
/// another would use differently (RFC 8259, section 4).
///
/// # Errors
/// The first such key and its place, or that it is no JSON.
pub fn every_key_once(raw: &[u8]) -> serde_json::Result<()> {
    serde_json::from_slice::<EveryKeyOnce>(raw).map(drop)
}

struct EveryKeyOnce;

impl<'de> Deserialize<'de> for EveryKeyOnce {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for EveryKeyOnce {
    type Value = Self;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self, A::Error> {
        let mut seen = HashSet::new();
        while let Some(key) = entries.next_key::<String>()? {
            entries.next_value::<Self>()?;
            if let Some(twice) = seen.replace(key) {
                return Err(de::Error::custom(format_args!("the key '{}' is given twice", quoted(&twice, MAX_QUOTED))));
            }
        }
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self, A::Error> {
        while elements.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }
}
