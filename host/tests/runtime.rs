//! The component runtime with real components: what they may answer, what they must not get, and how their files are swapped.

#![expect(clippy::expect_used, reason = "a test that cannot go on says why and stops")]

#[path = "oci_registry/mod.rs"]
mod oci_registry;

#[path = "runtime/fixtures.rs"]
mod fixtures;
#[path = "handmade/mod.rs"]
mod handmade;
#[path = "runtime/workshop.rs"]
mod workshop;

#[path = "runtime/answers.rs"]
mod answers;
#[path = "runtime/attacks.rs"]
mod attacks;
#[path = "runtime/authoring.rs"]
mod authoring;
#[path = "runtime/bindings.rs"]
mod bindings;
#[path = "runtime/developing.rs"]
mod developing;
#[path = "runtime/exchanges.rs"]
mod exchanges;
#[path = "runtime/files.rs"]
mod files;
#[path = "runtime/grants.rs"]
mod grants;
#[path = "runtime/identity.rs"]
mod identity;
#[path = "runtime/keeping.rs"]
mod keeping;
#[path = "runtime/kept.rs"]
mod kept;
#[path = "runtime/registries.rs"]
mod registries;
#[path = "runtime/replays.rs"]
mod replays;
#[path = "runtime/signatures.rs"]
mod signatures;
#[path = "runtime/swaps.rs"]
mod swaps;
#[path = "runtime/traps.rs"]
mod traps;
