//! Components made by hand that break each rule of WebAssembly and of the canonical ABI.

use std::time::Duration;

use millrace::runtime::{Limit, Limits};
use serde_json::json;

use crate::fixtures::{tiny, tiny_with, with_memory, with_realloc};
use crate::workshop::{Plan, accepted, transient};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tiny_step_answers() {
    let workshop = Plan::of(tiny("i32.const 96")).start().await;
    assert!(accepted(&workshop.run(json!({})).await).is_empty());
    let about = workshop.runtime.active("worker").expect("it serves");
    assert_eq!((about.name.as_str(), about.version.as_str(), about.config_schema), ("tiny", "1.0.0", json!({})));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_trap_ends_the_run_and_nothing_else() {
    for (body, says) in [
        ("unreachable", "unreachable"),
        ("i32.const 1 i32.const 0 i32.div_s", "divide by zero"),
        ("i32.const 0x80000000 i32.const -1 i32.div_s", "overflow"),
        ("i32.const -1 i32.load", "out of bounds memory access"),
        ("f32.const nan i32.trunc_f32_s", "invalid conversion"),
        ("i32.const 9 call_indirect $table (result i32)", "out of bounds"),
        ("i32.const 1 call_indirect $table (result i32)", "uninitialized"),
        ("i32.const 0 call_indirect $table (result i32)", "type mismatch"),
        // Answers that lie: an address beyond the memory, a text that is not UTF-8, a variant that does not exist.
        ("i32.const 65532", "out of bounds"),
        ("(i32.store (i32.const 104) (i32.const 65000)) (i32.store (i32.const 108) (i32.const 65000)) (i32.const 96)", "out of bounds"),
        ("(i32.store8 (i32.const 80) (i32.const 0xff)) (i32.const 96)", "utf-8"),
        ("(i32.store8 (i32.const 96) (i32.const 7)) (i32.const 96)", "discriminant"),
    ] {
        let table = "(table $table 2 funcref) (elem (i32.const 0) $f) (func $f (param f64))";
        let workshop = Plan::of(tiny_with(table, body)).start().await;
        let report = workshop.run(json!({})).await;
        assert!(transient(&report).contains(says), "{body}: {:?}", report.verdict);
        assert_eq!(report.limit, Some(Limit::Trap), "{body}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_count_as_memory() {
    let body = "(loop $more (br_if $more (i32.ne (table.grow $t (ref.null func) (i32.const 1000)) (i32.const -1)))) unreachable";
    let mut plan = Plan::of(tiny_with("(table $t 1 funcref)", body));
    plan.limits = Limits { memory_bytes: 200_000, ..Limits::default() };
    let report = plan.start().await.run(json!({})).await;
    assert_eq!(report.limit, Some(Limit::Table), "{report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_huge_first_memory_is_refused_at_once() {
    let workshop = Plan::of(with_memory("(memory (export \"memory\") 20000)")).start().await;
    assert!(workshop.status().active.is_none());
    assert!(workshop.refused().reason.contains("wanted 1310720000 bytes of memory"), "{:?}", workshop.refused());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bulk_memory_loops_end_at_their_timeout() {
    let body = "(loop $again (memory.fill (i32.const 0) (i32.const 7) (i32.const 33554432)) (br $again)) unreachable";
    let workshop = Plan::of(with_memory_and("(memory (export \"memory\") 600)", body)).start().await;
    let report = workshop.run_within(json!({}), Duration::from_millis(200)).await;
    assert!(matches!(report.limit, Some(Limit::Cpu | Limit::Wall)), "{report:?}");
    assert!(report.wall < Duration::from_secs(2), "after {:?}", report.wall);
}

fn with_memory_and(memory: &str, body: &str) -> Vec<u8> {
    crate::fixtures::tiny_from(|core| core.replace("(memory (export \"memory\") 1)", memory), body)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_function_that_spins_never_serves() {
    let workshop = Plan::of(tiny_with("(func $spin (loop $l (br $l))) (start $spin)", "i32.const 96")).start().await;
    assert!(workshop.refused().reason.contains("`describe` computed for more than 2s"), "{:?}", workshop.refused());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_allocator_that_spins_or_lies_ends_the_run() {
    let spins = Plan::of(with_realloc("(loop $l (br $l)) unreachable")).start().await;
    let report = spins.run_within(json!({}), Duration::from_millis(100)).await;
    assert!(matches!(report.limit, Some(Limit::Cpu | Limit::Wall)), "{report:?}");
    let lies = Plan::of(with_realloc("(drop (local.get $at)) (i32.const -16)")).start().await;
    let report = lies.run(json!({})).await;
    assert!(transient(&report).contains("realloc return"), "{report:?}");
}
