//! Log lines. The host adds the instance, the step and the digest, so a message says only what happened.

#[cfg(target_family = "wasm")]
use crate::bindings::millrace::step::log::{Level, write};

/// Writes one line of level `info`. Outside a sandbox there is no host to write to, and the line is dropped.
pub fn info(message: &str) {
    #[cfg(target_family = "wasm")]
    write(Level::Info, message);
    #[cfg(not(target_family = "wasm"))]
    let _ = message;
}

/// Writes one line of level `warn`, for what somebody should mend. Outside a sandbox it is dropped.
pub fn warn(message: &str) {
    #[cfg(target_family = "wasm")]
    write(Level::Warn, message);
    #[cfg(not(target_family = "wasm"))]
    let _ = message;
}
