//! Components to test with: those of `components/testing/`, built when they are stale, and tiny ones from text.

use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// The contract, as components see it.
const CONTRACT: &str = include_str!("../../../wit/step.wit");

static BUILT: LazyLock<PathBuf> = LazyLock::new(|| {
    let workspace = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../components");
    let build = Command::new(env!("CARGO"))
        .args(["build", "--release", "--target", "wasm32-wasip2", "-p", "hostile", "-p", "caller", "-p", "keeper"])
        .current_dir(&workspace)
        .env_remove("RUSTFLAGS")
        .output()
        .expect("cargo starts");
    assert!(
        build.status.success(),
        "the fixture components do not build; `rustup target add wasm32-wasip2` may help:\n{}",
        String::from_utf8_lossy(&build.stderr)
    );
    workspace.join("target/wasm32-wasip2/release")
});

/// A component of `components/testing/`.
pub fn built(name: &str) -> Vec<u8> {
    std::fs::read(BUILT.join(format!("{name}.wasm"))).expect("the build made it")
}

/// The same component with another digest: a custom section that nobody reads.
pub fn marked(component: &[u8], mark: &str) -> Vec<u8> {
    let mut marked = component.to_vec();
    let name = "mark";
    let size = 1 + name.len() + mark.len();
    marked.extend([0, u8::try_from(size).expect("a short mark"), u8::try_from(name.len()).expect("a short name")]);
    marked.extend(name.bytes().chain(mark.bytes()));
    marked
}

/// A tiny step that imports nothing: `process` is a function body that gets the job's address and returns the answer's, 96 for "accepted, {}".
pub fn tiny(process: &str) -> Vec<u8> {
    from_core(&tiny_core("", process), CONTRACT)
}

/// A [`tiny`] step with more in its module: functions, tables, a start function.
pub fn tiny_with(more: &str, process: &str) -> Vec<u8> {
    from_core(&tiny_core(more, process), CONTRACT)
}

/// A [`tiny`] step whose module text was changed by `change`.
pub fn tiny_from(change: impl FnOnce(String) -> String, process: &str) -> Vec<u8> {
    from_core(&change(tiny_core("", process)), CONTRACT)
}

/// The core module of a [`tiny`] step whose text was changed by `change`, as a compiler leaves it.
pub fn tiny_module(change: impl FnOnce(String) -> String, process: &str) -> Vec<u8> {
    wat::parse_str(change(tiny_core("", process))).expect("the text is right")
}

/// A step built for another version of the contract.
pub fn of_version(version: &str) -> Vec<u8> {
    from_core(&tiny_core("", "i32.const 96"), &CONTRACT.replace("package millrace:step@0.1.0", &format!("package millrace:step@{version}")))
}

/// A step whose memory is declared like this.
pub fn with_memory(memory: &str) -> Vec<u8> {
    tiny_from(|core| core.replace("(memory (export \"memory\") 1)", memory), "i32.const 96")
}

/// A step whose `cabi_realloc` ends like this.
pub fn with_realloc(end: &str) -> Vec<u8> {
    tiny_from(|core| core.replace("(local.get $at) ;; the place", end), "i32.const 96")
}

fn tiny_core(more: &str, process: &str) -> String {
    format!(
        r#"(module
            (memory (export "memory") 1)
            (global $top (mut i32) (i32.const 4096))
            {more}
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
                (local $at i32)
                (local.set $at (i32.and (i32.add (global.get $top) (i32.const 15)) (i32.const -16)))
                (global.set $top (i32.add (local.get $at) (local.get 3)))
                (local.get $at) ;; the place
            )
            (func (export "describe") (result i32) (i32.const 16))
            (func (export "process") (param i32) (result i32) {process})
            (data (i32.const 16) "\40\00\00\00\04\00\00\00\48\00\00\00\05\00\00\00\40\00\00\00\04\00\00\00\50\00\00\00\02\00\00\00")
            (data (i32.const 64) "tiny\00\00\00\001.0.0\00\00\00{{}}")
            (data (i32.const 96) "\00\00\00\00\00\00\00\00\50\00\00\00\02\00\00\00"))"#
    )
}

fn from_core(core: &str, contract: &str) -> Vec<u8> {
    let mut module = wat::parse_str(core).expect("the text is right");
    let mut resolve = Resolve::default();
    let package = resolve.push_str("step.wit", contract).expect("the contract parses");
    let world = resolve.select_world(&[package], Some("step")).expect("it has the world");
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).expect("metadata fits");
    ComponentEncoder::default().module(&module).and_then(|mut encoder| encoder.encode()).expect("it is a component")
}
