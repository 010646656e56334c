//! What the system is asked for before a customer is answered, and files that several write.

use std::collections::HashSet;

use crate::conditions::test_env::{Condition, until};
use crate::process::Home;

/// What a trace of system calls says of answers and of the write-ahead log.
#[derive(Debug, Default)]
struct Told {
    /// For each answer that something was made, whether the log was put on the disk between the answer before and it.
    answers: Vec<bool>,
}

impl Told {
    fn of(trace: &str) -> Self {
        let (mut told, mut syncing, mut is_on_disk) = (Self::default(), HashSet::new(), false);
        for line in trace.lines() {
            let thread = line.split(' ').next().unwrap_or_default();
            let is_sync = line.contains("fdatasync(") || line.contains("fsync(");
            if is_sync && line.contains("ecommerce.db-wal>") {
                if line.ends_with("<unfinished ...>") {
                    syncing.insert(thread);
                } else {
                    is_on_disk = true;
                }
            } else if line.contains("sync resumed>") {
                is_on_disk |= syncing.remove(thread);
            } else if line.contains("HTTP/1.1 201 ") && !line.contains("resumed>") {
                told.answers.push(std::mem::take(&mut is_on_disk));
            }
        }
        told
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_answered_before_it_is_on_the_disk() {
    let home = Home::new();
    let trace = home.path().join("trace");
    let file = trace.display().to_string();
    let calls = "trace=fsync,fdatasync,write,writev,sendto,sendmsg";
    let around = ["strace", "-f", "--seccomp-bpf", "-qq", "-y", "-s", "16", "-e", "signal=none", "-e", calls, "-o", &file];
    let process = home.start_under(Condition { around: &around, ..Condition::default() }).await;
    // An account is one commit with nothing after it, so what is put on the disk before the next answer is the next one's.
    let mut customer = process.client.customer("ada").await;
    for name in ["bea", "cleo", "dora"] {
        customer = process.client.customer(name).await;
    }
    let placed = customer.order("prod-008", 1, "tok_visa").await;
    assert_eq!(placed.status, reqwest::StatusCode::CREATED, "{placed:?}");
    let read = || Told::of(&std::fs::read_to_string(&trace).unwrap());
    let told = until("all answers are in the trace", async || Some(read()).filter(|told| told.answers.len() == 5)).await;
    assert!(told.answers.iter().all(|is_on_disk| *is_on_disk), "{told:?}");
}

#[test]
fn lines_of_two_who_add_to_one_file_are_all_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jsonl");
    let line = |who: usize, number: usize| format!("{who} {number} {}\n", "x".repeat(5_000));
    std::thread::scope(|scope| {
        for who in 0..4 {
            let path = &path;
            scope.spawn(move || (0..50).for_each(|number| millrace::durable::append(path, line(who, number).as_bytes()).unwrap()));
        }
    });
    let text = std::fs::read_to_string(&path).unwrap();
    let mut found: Vec<&str> = text.split_inclusive('\n').collect();
    let mut expected: Vec<String> = (0..4).flat_map(|who| (0..50).map(move |number| line(who, number))).collect();
    found.sort_unstable();
    expected.sort_unstable();
    assert!(found == expected, "{} lines", found.len());
}
