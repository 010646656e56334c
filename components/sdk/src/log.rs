//! Log lines. The host adds the instance, the step and the digest, so a message says only what happened.

/// Writes one line of level `info`. Outside a sandbox there is no host to write to, and the line is dropped.
pub fn info(message: &str) {
    #[cfg(target_family = "wasm")]
    crate::bindings::millrace::step::log::write(crate::bindings::millrace::step::log::Level::Info, message);
    #[cfg(not(target_family = "wasm"))]
    let _ = message;
}
