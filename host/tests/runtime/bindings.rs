//! What a compiler needs that knows no components: the contract in its language, and a component around what it makes.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::fixtures::{tiny, tiny_module};

/// Two packages, in the way that tools lay them out, with a world each.
const ELSEWHERE: &str = "package acme:fraud@1.0.0;\n\nworld check { import acme:money/amounts; export run: func() -> u32; }\n";
const BESIDE: &str = "package acme:money;\n\ninterface amounts { total: func() -> u64; }\n\nworld till { import amounts; }\n";

fn millrace(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_millrace")).current_dir(folder).args(arguments).output().expect("it starts")
}

fn read(folder: &Path, path: &str) -> String {
    std::fs::read_to_string(folder.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn refused(output: &Output, says: &str) {
    assert!(!output.status.success() && String::from_utf8_lossy(&output.stderr).contains(says), "{says}: {output:?}");
}

#[test]
fn the_contract_is_made_in_the_types_of_a_language() {
    let folder = tempfile::tempdir().expect("a folder");
    let made = millrace(folder.path(), &["bindings", "go", "--module", "example.com/fraud"]);
    assert!(made.status.success(), "{made:?}");
    let exports = read(folder.path(), "bindings/wit_exports/wit_exports.go");
    assert!(exports.contains("\"example.com/fraud/export_wit_world\"") && exports.contains("//go:wasmexport process"), "{exports}");
    assert!(read(folder.path(), "bindings/millrace_step_types/wit_bindings.go").contains("IdempotencyKey string"));
    assert!(read(folder.path(), "bindings/pkg/go.mod").contains("module go.bytecodealliance.org/pkg"));
    let made = millrace(folder.path(), &["bindings", "c", "--world", "reversible-step", "--out", "c"]);
    assert!(made.status.success(), "{made:?}");
    assert!(read(folder.path(), "c/reversible_step.h").contains("exports_millrace_step_settlement_undo"));
    let made = millrace(folder.path(), &["bindings", "rust", "--world", "step@0.2", "--out", "rust"]);
    assert!(made.status.success(), "{made:?}");
    let module = read(folder.path(), "rust/step.rs");
    assert!(module.contains("pub trait Guest") && module.contains("pub idempotency_key: _rt::String"), "{module}");
    refused(&millrace(folder.path(), &["bindings", "go"]), "--module");
}

#[test]
fn bindings_that_are_there_already_are_left_as_they_are() {
    let folder = tempfile::tempdir().expect("a folder");
    let header = folder.path().join("bindings/step.h");
    let written = || std::fs::metadata(&header).expect("it is there").modified().expect("a time");
    assert!(millrace(folder.path(), &["bindings", "c"]).status.success());
    let first = written();
    assert!(millrace(folder.path(), &["bindings", "c"]).status.success());
    assert_eq!(written(), first, "who watches the folder would build again");
}

#[test]
fn one_of_several_worlds_is_chosen_by_its_name() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir_all(folder.path().join("wit/deps/money")).expect("folders");
    std::fs::write(folder.path().join("wit/fraud.wit"), ELSEWHERE).expect("a file");
    std::fs::write(folder.path().join("wit/deps/money/money.wit"), BESIDE).expect("a file");
    let made = |world: &str| millrace(folder.path(), &["bindings", "c", "--wit", "wit", "--world", world]);
    refused(&made("step"), "choose one of acme:money/till, acme:fraud/check@1.0.0 with --world");
    for (world, file) in [("check", "check.h"), ("acme:fraud/check", "check.h"), ("acme:money/till", "till.h")] {
        assert!(made(world).status.success(), "{world}");
        assert!(!read(folder.path(), &format!("bindings/{file}")).is_empty());
    }
    std::fs::write(folder.path().join("wit/fraud.wit"), "package acme").expect("a file");
    refused(&made("check"), "'wit' cannot be read as WIT");
}

/// A step that writes to its standard output by WASI preview 1.
fn of_preview_1() -> Vec<u8> {
    let writes = r#"(module (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))"#;
    tiny_module(
        // The adapter takes its stack and its state, 64 KiB each.
        |core| core.replacen("(module", writes, 1).replace("(memory (export \"memory\") 1)", "(memory (export \"memory\") 8)"),
        "(drop (call $write (i32.const 1) (i32.const 64) (i32.const 0) (i32.const 128))) i32.const 96",
    )
}

#[test]
fn a_component_that_fits_is_made_of_a_core_module() {
    let folder = tempfile::tempdir().expect("a folder");
    for (module, imports) in [(tiny_module(|core| core, "i32.const 96"), false), (of_preview_1(), true)] {
        std::fs::write(folder.path().join("core.wasm"), module).expect("a file");
        let made = millrace(folder.path(), &["componentize", "core.wasm", "--out", "tiny.wasm"]);
        assert!(made.status.success(), "{made:?}");
        let checked = millrace(folder.path(), &["check", "-o", "json", "tiny.wasm"]);
        let checked: Value = serde_json::from_slice(&checked.stdout).expect("JSON");
        assert_eq!(checked["fits"], json!(true), "{checked}");
        assert_eq!(checked["imports"].to_string().contains("wasi:cli/stdout"), imports, "{checked}");
    }
    std::fs::write(folder.path().join("job.json"), r#"{"data": {}}"#).expect("a job");
    let called = millrace(folder.path(), &["call", "tiny.wasm", "--input", "job.json"]);
    assert!(called.status.success(), "{called:?}");
}

#[test]
fn what_no_component_can_be_made_of_is_told_and_leaves_the_file_that_is_there() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("made.wasm"), "as it was").expect("a file");
    let unfinished = |export: &str| tiny_module(|core| core.replace(&format!("(export \"{export}\")"), ""), "i32.const 96");
    for (module, says) in [
        (tiny("i32.const 96"), "it is a component already"),
        (b"int main(void)".to_vec(), "build it for wasip1"),
        (unfinished("process"), "process"),
        (unfinished("describe"), "describe"),
    ] {
        std::fs::write(folder.path().join("core.wasm"), module).expect("a file");
        refused(&millrace(folder.path(), &["componentize", "core.wasm", "-o", "made.wasm"]), says);
        assert_eq!(read(folder.path(), "made.wasm"), "as it was");
    }
    refused(&millrace(folder.path(), &["componentize", "nothing.wasm", "-o", "made.wasm"]), "cannot read 'nothing.wasm'");
}
