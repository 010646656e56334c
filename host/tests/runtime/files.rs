//! Files that are no step of this host, each refused with a reason that says what to change.

use millrace::runtime::{Limits, Verdict};
use serde_json::json;

use crate::fixtures::{built, component, exporting, marked, of_version, tiny, tiny_with, with_part};
use crate::workshop::{Plan, Workshop, accepted};

async fn with_file(file: Vec<u8>) -> Workshop {
    Plan::of(file).start().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_step_is_refused_with_a_reason() {
    let whole = tiny("i32.const 96");
    let module = component("(module (func (export \"process\")))");
    for (what, file, says) in [
        ("empty", Vec::new(), "not written completely"),
        ("text", b"hello, this is a text".to_vec(), "is a text file"),
        ("wat", b"(component)".to_vec(), "wasm-tools parse"),
        ("garbage", vec![0xfe; 4_096], "is not WebAssembly"),
        ("core module", module, "core WebAssembly module"),
        ("half", whole[..whole.len() / 2].to_vec(), "not written completely"),
        ("no exports", component("(component)"), "does not export `describe` and `process`"),
        ("other version", of_version("0.3.0"), "was built for millrace:step@0.3.0, and this host offers millrace:step@0.1.0 and 0.2.0"),
        ("next wasi", component("(component (import \"wasi:cli/environment@0.3.0\" (instance)))"), "offers WASI 0.2"),
        ("unknown", component("(component (import \"acme:secrets/read@1.0.0\" (instance)))"), "imports acme:secrets/read@1.0.0"),
    ] {
        let workshop = with_file(file).await;
        let refused = workshop.refused();
        assert!(refused.reason.contains(says), "{what}: {}", refused.reason);
        assert!(refused.reason.contains("worker.wasm"), "{what}: the file is not named in {}", refused.reason);
        let Verdict::Transient(reason) = workshop.run(json!({})).await.verdict else { panic!("{what} ran") };
        assert!(reason.contains(&refused.reason), "{what}: {reason}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn features_beyond_plain_wasm_are_refused() {
    for (what, inside) in [
        ("memory64", "(memory i64 1)"),
        ("shared memory", "(memory 1 2 shared)"),
        ("garbage collection", "(type (struct (field i32)))"),
        ("exceptions", "(tag)"),
        ("tail calls", "(func $f (return_call $f))"),
        ("many memories", &"(memory 1)".repeat(200)),
    ] {
        // A part of the component that nobody uses is compiled too.
        let workshop = with_file(with_part(&format!("(component (core module {inside}))"))).await;
        let reason = workshop.refused().reason;
        assert!(reason.contains("cannot be compiled"), "{what}: {reason}");
    }
}

/// A component that consists of two, each with a memory of its own: one is asked by the other as soon as it is there.
const COMPOSED: &str = r#"(component $composed
    (component $rules
        (core module $code
            (memory (export "memory") 1)
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
            (func (export "length") (param i32 i32) (result i32) (local.get 1)))
        (core instance $code (instantiate $code))
        (func (export "length") (param "text" string) (result u32)
            (canon lift (core func $code "length") (memory $code "memory") (realloc (func $code "realloc")))))
    (component $asks
        (import "length" (func $length (param "text" string) (result u32)))
        (core module $text (memory (export "memory") 1) (data (i32.const 0) "fraud"))
        (core instance $text (instantiate $text))
        (core func $lowered (canon lower (func $length) (memory $text "memory")))
        (core module $code
            (import "text" "memory" (memory 1))
            (import "rules" "length" (func $length (param i32 i32) (result i32)))
            (func $start (if (i32.ne (call $length (i32.const 0) (i32.const 5)) (i32.const 5)) (then unreachable)))
            (start $start))
        (core instance (instantiate $code
            (with "text" (instance $text))
            (with "rules" (instance (export "length" (func $lowered)))))))
    (instance $rules (instantiate $rules))
    (instance (instantiate $asks (with "length" (func $rules "length")))))"#;

/// A step that has [`COMPOSED`] in it `times` times.
fn composed(times: usize) -> Vec<u8> {
    with_part(&format!("(component {COMPOSED} {})", "(instance (instantiate $composed))".repeat(times)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_may_be_composed_of_components_with_memories_of_their_own() {
    let workshop = with_file(composed(1)).await;
    accepted(&workshop.run(json!({})).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_of_more_memories_than_a_run_may_have_is_refused() {
    let reason = with_file(composed(10)).await.refused().reason;
    assert!(reason.contains("memories") && reason.contains('4'), "{reason}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn types_that_grow_without_end_are_refused() {
    let types: String = (1..100).map(|level| format!("(type $t{level} (tuple $t{0} $t{0}))", level - 1)).collect();
    let file =
        with_part(&format!("(component (component (type $t0 (tuple string string)) {types} (import \"f\" (func (param \"a\" $t99)))))"));
    let reason = with_file(file).await.refused().reason;
    assert!(reason.contains("cannot be compiled") && reason.contains("type size"), "{reason}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_compile_bomb_is_refused_before_it_is_compiled() {
    let functions = "(func)".repeat(60_001);
    let workshop = with_file(tiny_with(&functions, "i32.const 96")).await;
    assert!(workshop.refused().reason.contains("at most 60000 are compiled"), "{:?}", workshop.refused());
    let body = "(drop (i32.const 1))".repeat(400_000);
    let workshop = with_file(tiny_with("", &format!("{body} i32.const 96"))).await;
    assert!(workshop.refused().reason.contains("a function of"), "{:?}", workshop.refused());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exports_of_another_type_are_refused() {
    let wrong = exporting(&["describe", "process"]);
    let reason = with_file(wrong).await.refused().reason;
    assert!(reason.contains("does not fit the world `step`") && reason.contains("wit/step.wit"), "{reason}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_description_must_be_one() {
    let schema_is_text = crate::fixtures::tiny_from(|core| core.replace("{}\")", "no\")"), "i32.const 96");
    let reason = with_file(schema_is_text).await.refused().reason;
    assert!(reason.contains("`describe` answered with a config schema"), "{reason}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_is_followed_and_what_it_leads_to_is_checked() {
    let workshop = with_file(built("hostile")).await;
    let first = workshop.digest();
    let links_to = |target: &std::path::Path| {
        std::fs::remove_file(&workshop.source).expect("removed");
        std::os::unix::fs::symlink(target, &workshop.source).expect("a link");
    };
    let outside = workshop.dir.path().join("outside.wasm");
    std::fs::write(&outside, marked(&built("hostile"), "linked")).expect("a file");
    links_to(&outside);
    workshop.runtime.reload("worker").await.expect("a link to a good file");
    let linked = workshop.digest();
    assert_ne!(linked, first, "the file behind the link serves");
    for (target, says) in [
        ("/dev/zero", "not a plain file"),
        ("/", "not a plain file"),
        ("nowhere.wasm", "is a link to 'nowhere.wasm', and nothing is there"),
        ("worker.wasm", "is a link that leads back to itself"),
    ] {
        links_to(std::path::Path::new(target));
        let error = workshop.runtime.reload("worker").await.expect_err(says);
        assert!(error.to_string().contains(says), "{target}: {error}");
        assert_eq!(workshop.digest(), linked, "the version before serves on");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pipe_or_a_folder_is_not_read() {
    let mut plan = Plan::of(Vec::new());
    plan.file = None;
    let workshop = plan.start().await;
    assert!(workshop.refused().reason.contains("does not exist"), "{:?}", workshop.refused());
    std::fs::create_dir(&workshop.source).expect("a folder");
    let error = workshop.runtime.reload("worker").await.expect_err("a folder");
    assert!(error.to_string().contains("not a plain file"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_are_the_operators() {
    let mut plan = Plan::of(tiny("i32.const 96"));
    plan.limits = Limits { memory_bytes: 1 << 10, ..Limits::default() };
    let reason = plan.start().await.refused().reason;
    assert!(reason.contains("beyond its limit of 1024 bytes"), "{reason}");
    let mut plan = Plan::of(tiny("i32.const 96"));
    plan.limits = Limits { memory_bytes: 64 << 10, ..Limits::default() };
    accepted(&plan.start().await.run(json!({})).await);
}
