//! What components of 0.2 find beside what all of them do: their configuration by key, a state, events, secrets.

use serde_json::Value;
use wasmtime::component::{HasSelf, Linker};

use super::super::Capabilities;
use super::super::bindings::second::millrace::step as second;
use super::super::outgoing::placeholder;
use super::super::typed::texts;
use super::{CountedLog, Guest};
use second::kv::{Error, Scope};

fn counted(guest: &mut Guest) -> &mut Guest {
    guest.count_call();
    guest
}

/// What only components of 0.2 import.
pub(super) fn add_to_linker(linker: &mut Linker<Guest>, capabilities: &Capabilities) -> wasmtime::Result<()> {
    second::about::add_to_linker::<_, HasSelf<Guest>>(linker, counted)?;
    second::log::add_to_linker::<_, CountedLog>(linker, |guest: &mut Guest| {
        guest.count_call();
        &mut guest.log
    })?;
    second::config::add_to_linker::<_, HasSelf<Guest>>(linker, counted)?;
    if capabilities.kv.is_some() {
        second::kv::add_to_linker::<_, HasSelf<Guest>>(linker, counted)?;
    }
    if !capabilities.events.is_empty() {
        second::events::add_to_linker::<_, HasSelf<Guest>>(linker, counted)?;
    }
    if !capabilities.secrets.is_empty() {
        second::secrets::add_to_linker::<_, HasSelf<Guest>>(linker, counted)?;
    }
    Ok(())
}

impl second::about::Host for Guest {}

impl second::secrets::Host for Guest {
    fn placeholder(&mut self, name: String) -> wasmtime::Result<Option<String>> {
        Ok(self.granted.secrets.contains(&name).then(|| placeholder(&name)))
    }
}

impl second::config::Host for Guest {
    fn get_string(&mut self, key: String) -> wasmtime::Result<Result<Option<String>, String>> {
        Ok(self.own.config.typed(&key, "a text", |value| value.as_str().map(str::to_owned)))
    }

    fn get_integer(&mut self, key: String) -> wasmtime::Result<Result<Option<i64>, String>> {
        Ok(self.own.config.typed(&key, "a whole number", Value::as_i64))
    }

    fn get_number(&mut self, key: String) -> wasmtime::Result<Result<Option<f64>, String>> {
        Ok(self.own.config.typed(&key, "a number", Value::as_f64))
    }

    fn get_boolean(&mut self, key: String) -> wasmtime::Result<Result<Option<bool>, String>> {
        Ok(self.own.config.typed(&key, "true or false", Value::as_bool))
    }

    fn get_list(&mut self, key: String) -> wasmtime::Result<Result<Option<Vec<String>>, String>> {
        Ok(self.own.config.typed(&key, "a list of texts", texts))
    }

    fn get_json(&mut self, key: String) -> wasmtime::Result<Option<String>> {
        Ok(self.own.config.at(&key).map(Value::to_string))
    }
}

impl second::events::Host for Guest {
    fn publish(&mut self, event_type: String, data: String) -> wasmtime::Result<Result<(), second::events::Error>> {
        Ok(self.own.events.publish(&event_type, &data))
    }
}

impl second::kv::Host for Guest {
    async fn get(&mut self, scope: Scope, key: String) -> wasmtime::Result<Result<Option<String>, Error>> {
        Ok(self.own.kv.current(&mut self.deck, scope, &key).await)
    }

    async fn set(&mut self, scope: Scope, key: String, value: String) -> wasmtime::Result<Result<(), Error>> {
        Ok(self.own.kv.set(&mut self.deck, scope, key, value).await)
    }

    async fn delete(&mut self, scope: Scope, key: String) -> wasmtime::Result<Result<(), Error>> {
        Ok(self.own.kv.delete(&mut self.deck, scope, key).await)
    }

    async fn increment(&mut self, scope: Scope, key: String, by: i64) -> wasmtime::Result<Result<i64, Error>> {
        Ok(self.own.kv.increment(&mut self.deck, scope, key, by).await)
    }
}
