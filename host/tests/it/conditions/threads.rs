//! Threads are limited, by `ulimit -u`, systemd's TasksMax= or the pids of a container.

use std::time::Duration;

use super::test_env::until;
use crate::process::Home;

/// Far more than a start that is refused takes, and less than anybody waits for one that hangs.
const LIMIT: Duration = Duration::from_secs(60);
/// Threads that a start asks for beside a worker for each core, before it begins.
const ASKED_FOR: usize = 11;

#[tokio::test(flavor = "multi_thread")]
async fn a_start_without_threads_ends_and_says_so() {
    let home = Home::new();
    let all = ASKED_FOR + std::thread::available_parallelism().unwrap().get();
    // Refused are: the first, one of those that are only asked for, those of the log, and those that tasks run in.
    for number in [1, 6, all, all + 1, all + 2, all + 3] {
        let inject = format!("inject=clone3:error=EAGAIN:when={number}+");
        let around = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=clone3", "-e", &inject];
        let mut process = home.spawn_under(super::test_env::Condition { around: &around, ..Default::default() });
        let status = process.ended_within(LIMIT).await.unwrap_or_else(|| panic!("it hangs without thread {number}"));
        assert!(matches!(status.code(), Some(1 | 101)), "{number}: {status}");
        let log = until("it has said why", async || Some(process.kept_log()).filter(|log| log.contains("thread"))).await;
        if number <= all {
            assert!(
                status.code() == Some(1) && log.contains("TasksMax=") && log.contains(&format!("needs {all} threads beside")),
                "{number}: {log}"
            );
        }
    }
}
