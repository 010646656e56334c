//! A file changes while its component works.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use millrace::runtime::{ComponentSettings, Source, SwapEvent};
use serde_json::json;
use tokio::sync::broadcast::Receiver;

use crate::fixtures::{built, marked, of_version, tiny};
use crate::workshop::{PATIENCE, Plan, Workshop, accepted, next};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_file_serves_and_was_remembered_before() {
    let mut workshop = Plan::of(built("hostile")).start().await;
    let first = workshop.digest();
    let mut events = workshop.watch();
    workshop.replace(&marked(&built("hostile"), "2"));
    let SwapEvent::Swapped { component, active, previous, took } = next(&mut events).await else { panic!("refused") };
    assert_eq!((component.as_str(), active.name.as_str(), previous), ("worker", "hostile", Some(first.clone())));
    assert!(took < PATIENCE);
    let remembered = workshop.remembered.lock().clone();
    assert_eq!(remembered, vec![("worker".to_owned(), first), ("worker".to_owned(), active.digest.clone())]);
    assert_eq!(workshop.run(json!({ "mode": "accept" })).await.digest, active.digest);
    workshop.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_in_flight_keep_their_version() {
    let hostile = built("hostile");
    let mut workshop = Plan::of(hostile.clone()).start().await;
    let first = workshop.digest();
    let mut events = workshop.watch();
    let slow = workshop.run(json!({ "mode": "slow", "ms": 1_500 }));
    let swap = async {
        workshop.replace(&marked(&hostile, "2"));
        next(&mut events).await
    };
    let (report, event) = tokio::join!(slow, swap);
    assert!(matches!(event, SwapEvent::Swapped { .. }), "{event:?}");
    assert_eq!(report.digest, first);
    assert_eq!(accepted(&report)["slept"], true);
    assert_ne!(workshop.run(json!({ "mode": "accept" })).await.digest, first);
    workshop.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_hangs_in_every_place_does_not_keep_its_replacement_waiting() {
    let hostile = built("hostile");
    let mut plan = Plan::of(hostile.clone());
    plan.runs = 2;
    let workshop = plan.start().await;
    let first = workshop.digest();
    let hung = join_all((0..2).map(|_| workshop.run(json!({ "mode": "sleep" }))));
    let replaced = async {
        // Stands in line behind those that hang.
        let waiting = workshop.run(json!({ "mode": "accept", "value": 1 }));
        let swapped = async {
            workshop.replace(&marked(&hostile, "2"));
            workshop.runtime.reload("worker").await.expect("it is good");
            workshop.run(json!({ "mode": "accept", "value": 2 })).await
        };
        let (waiting, next) = tokio::join!(waiting, swapped);
        for (report, value) in [(&waiting, 1), (&next, 2)] {
            assert_eq!(accepted(report)["echo"], json!(value));
            assert_ne!(report.digest, first);
        }
    };
    tokio::select! {
        // Those that hang are there first.
        biased;
        _ = hung => panic!("the replacement has waited until the time-out of the version before"),
        () = replaced => {}
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_run_is_lost_by_swaps_under_load() {
    let versions = [built("hostile"), marked(&built("hostile"), "2")];
    let mut workshop = Plan::of(versions[0].clone()).start().await;
    let mut events = workshop.watch();
    let done = AtomicBool::new(false);
    let workers = join_all((0..4).map(|_| async {
        let mut digests = Vec::new();
        while !done.load(Ordering::Relaxed) {
            let report = workshop.run(json!({ "mode": "accept", "value": 1 })).await;
            accepted(&report);
            digests.push(report.digest);
        }
        digests
    }));
    let swaps = async {
        let mut served = vec![workshop.digest()];
        for round in 1..7 {
            workshop.replace(&versions[round % 2]);
            let SwapEvent::Swapped { active, .. } = next(&mut events).await else { panic!("refused") };
            served.push(active.digest);
        }
        done.store(true, Ordering::Relaxed);
        served
    };
    let (digests, served) = tokio::join!(workers, swaps);
    let known: Vec<&String> = served.iter().take(2).collect();
    let all: Vec<&String> = digests.iter().flatten().collect();
    assert!(all.len() > 20 && all.iter().all(|digest| known.contains(digest)), "{} runs", all.len());
    assert!(known.iter().all(|digest| all.contains(digest)), "each version ran");
    workshop.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_files_leave_the_version_before_serving_and_are_told_once() {
    let hostile = built("hostile");
    let mut workshop = Plan::of(hostile.clone()).start().await;
    let first = workshop.digest();
    let mut events = workshop.watch();
    for (file, says) in [
        (b"garbage".to_vec(), "is a text file"),
        (of_version("0.3.0"), "was built for millrace:step@0.3.0"),
        (hostile[..1_000].to_vec(), "not written completely"),
    ] {
        workshop.replace(&file);
        let SwapEvent::Refused { digest, reason, serving, .. } = next(&mut events).await else { panic!("{says}: taken") };
        assert!(reason.contains(says), "{reason}");
        assert_eq!((digest.is_some(), serving.as_ref()), (true, Some(&first)));
        assert_eq!(workshop.run(json!({ "mode": "accept" })).await.digest, first);
        workshop.replace(&file);
    }
    // The same bad file again told nothing: the next event is of the next good one.
    workshop.replace(&marked(&hostile, "good again"));
    let event = next(&mut events).await;
    assert!(matches!(event, SwapEvent::Swapped { .. }), "{event:?}");
    assert_eq!(workshop.status().refused, None);
    workshop.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn going_back_to_the_file_that_serves_ends_the_refusal() {
    let hostile = built("hostile");
    let mut workshop = Plan::of(hostile.clone()).start().await;
    let mut events = workshop.watch();
    workshop.replace(b"garbage");
    assert!(matches!(next(&mut events).await, SwapEvent::Refused { .. }));
    workshop.replace(&hostile);
    workshop.runtime.reload("worker").await.expect("the file is good");
    assert_eq!(workshop.status().refused, None);
    workshop.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_with_a_bad_file_serves_the_last_good_version() {
    let workshop = Plan::of(built("hostile")).own_cache().start().await;
    let good = workshop.remembered.lock().clone();
    let digest = workshop.digest();
    let dir = workshop.end().await;
    let workshop = Plan::of(b"half written".to_vec()).own_cache().start_in(dir, good).await;
    assert_eq!(workshop.digest(), digest);
    assert!(workshop.refused().reason.contains("is a text file"), "{:?}", workshop.refused());
    assert_eq!(workshop.run(json!({ "mode": "accept" })).await.digest, digest);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_known_version_comes_back_at_once_or_from_its_copy() {
    let hostile = built("hostile");
    let workshop = Plan::of(hostile.clone()).own_cache().start().await;
    let first = workshop.digest();
    workshop.replace(&marked(&hostile, "newer"));
    workshop.runtime.reload("worker").await.expect("it is good");
    let second = workshop.digest();
    let mut events = workshop.runtime.events();
    workshop.runtime.activate("worker", &first).await.expect("it is known");
    let SwapEvent::Swapped { active, previous, .. } = next(&mut events).await else { panic!("refused") };
    assert_eq!((active.digest, previous), (first.clone(), Some(second.clone())));
    assert_eq!(workshop.run(json!({ "mode": "accept" })).await.digest, first);

    // After a restart nothing but the copy knows of the second version.
    let good = vec![("worker".to_owned(), first)];
    let dir = workshop.end().await;
    let workshop = Plan::of(hostile).own_cache().start_in(dir, good).await;
    workshop.runtime.activate("worker", &second).await.expect("its copy is there");
    assert_eq!(workshop.digest(), second);
    for unknown in ["../../etc/passwd".to_owned(), "0".repeat(64)] {
        workshop.runtime.activate("worker", &unknown).await.expect_err("nobody knows it");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_cannot_be_remembered_serves_only_once_it_can() {
    let plan = Plan::of(built("hostile"));
    let works = Arc::clone(&plan.remembers);
    works.store(false, Ordering::Relaxed);
    let mut workshop = plan.start().await;
    assert_eq!(workshop.status().active, None);
    let reason = workshop.refused().reason;
    assert!(reason.contains("could not be recorded") && reason.contains("the disk is full"), "{reason}");
    let mut events = workshop.watch();
    works.store(true, Ordering::Relaxed);
    let event = next(&mut events).await;
    assert!(matches!(event, SwapEvent::Swapped { .. }), "{event:?}");
    workshop.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_served_before_serves_again_without_being_loaded_again() {
    let mut workshop = Plan::of(tiny("i32.const 96")).own_cache().start().await;
    let first = workshop.digest();
    let mut events = workshop.watch();
    workshop.replace(&marked(&tiny("i32.const 96"), "2"));
    let event = next(&mut events).await;
    assert!(matches!(event, SwapEvent::Swapped { .. }), "{event:?}");
    assert_eq!(workshop.runtime.compilations().len(), 2);
    // As where many versions came after it.
    let copy = workshop.dir.path().join("cache/components").join(format!("{first}.wasm"));
    std::fs::remove_file(&copy).expect("there was a copy");
    workshop.replace(&tiny("i32.const 96"));
    let event = next(&mut events).await;
    assert!(matches!(event, SwapEvent::Swapped { .. }), "{event:?}");
    assert_eq!(workshop.digest(), first);
    accepted(&workshop.run(json!({})).await);
    assert_eq!(workshop.runtime.compilations(), [], "its code was loaded again");
    assert!(copy.is_file(), "a restart with a bad file has nothing to go back to");
    workshop.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_program_finds_what_its_child_compiled() {
    let workshop = Plan::of(built("hostile")).own_cache().start().await;
    accepted(&workshop.run(json!({ "mode": "accept" })).await);
    let cache = workshop.dir.path().join("cache");
    let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&cache).expect("a folder"));
    assert_eq!(mode & 0o777, 0o700, "others can write what is run");
    let compiled = std::fs::read_dir(cache.join("compiled")).expect("a folder").map(|entry| entry.expect("an entry").path());
    assert_eq!(compiled.count(), 1, "one file of code for one component");
    let cached = |workshop: &Workshop| workshop.runtime.compilations().iter().map(|compilation| compilation.cached).collect::<Vec<_>>();
    assert_eq!(cached(&workshop), [false]);
    let good = workshop.remembered.lock().clone();
    let workshop = Plan::of(built("hostile")).own_cache().start_in(workshop.end().await, good).await;
    assert_eq!(cached(&workshop), [true], "it was compiled again");
}

/// A compiler that notes beside itself how it was called each time.
fn noting(folder: &Path) -> (PathBuf, PathBuf) {
    let (draft, program, calls) = (folder.join("draft"), folder.join("compiler"), folder.join("calls"));
    let script = format!("#!/bin/sh\necho \"$@\" >> '{}'\nexec '{}' \"$@\"\n", calls.display(), env!("CARGO_BIN_EXE_millrace"));
    std::fs::write(&draft, script).expect("a script");
    // By another process: what this one has open for writing, it may hand on to one that it starts meanwhile, and then it cannot be started.
    let installed = std::process::Command::new("install").args(["-m", "755"]).args([&draft, &program]).status();
    assert!(installed.expect("it starts").success());
    (program, calls)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn compiling_stands_back_behind_what_is_served_and_not_where_a_start_or_a_save_waits_for_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let (program, calls) = noting(folder.path());
    let mut plan = Plan::of(tiny("i32.const 96")).own_cache();
    plan.compiler = Some(program);
    let workshop = plan.start().await;
    accepted(&workshop.run(json!({})).await);
    workshop.replace(&marked(&tiny("i32.const 96"), "newer"));
    workshop.runtime.reload("worker").await.expect("it is good");
    let calls = || std::fs::read_to_string(&calls).expect("it was called");
    assert_eq!(calls(), "compiler\ncompiler --stand-back\n");
    // Whoever saves a config with another component waits for its code.
    let source = folder.path().join("another.wasm");
    std::fs::write(&source, marked(&tiny("i32.const 96"), "another")).expect("a file");
    let another = ComponentSettings { name: "another".into(), source: Source::File(source), ..workshop.settings.clone() };
    drop(workshop.runtime.arrange(&[workshop.settings.clone(), another]).await.expect("they are good"));
    assert_eq!(calls(), "compiler\ncompiler --stand-back\ncompiler\n");
    workshop.replace(&marked(&tiny("i32.const 96"), "newest"));
    workshop.runtime.reload("worker").await.expect("it is good");
    assert!(calls().ends_with("compiler\ncompiler --stand-back\n"), "nobody waits any more: {}", calls());
}

/// How far a process stands back behind others, as Linux tells.
fn niceness(process: u32) -> i32 {
    let told = std::fs::read_to_string(format!("/proc/{process}/stat")).expect("it is there");
    // The name before them may have spaces in it.
    let fields = told.rsplit(") ").next().expect("it has fields").split(' ').nth(16);
    fields.and_then(|nice| nice.parse().ok()).expect("a number")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_compiler_that_is_to_stand_back_does_so_before_it_reads_anything() {
    let own = niceness(std::process::id());
    for (arguments, wanted) in [(&["compiler"][..], own), (&["compiler", "--stand-back"][..], own.max(10))] {
        let mut compiler = tokio::process::Command::new(env!("CARGO_BIN_EXE_millrace"));
        let mut child = compiler.args(arguments).stdin(std::process::Stdio::piped()).kill_on_drop(true).spawn().expect("it starts");
        let id = child.id().expect("it runs");
        // Which it does after that, before it waits for a component.
        let is_limited = || {
            let limits = std::fs::read_to_string(format!("/proc/{id}/limits")).unwrap_or_default();
            limits.lines().any(|line| line.starts_with("Max cpu time") && line.split_whitespace().nth(4) != Some("unlimited"))
        };
        let waits = async {
            while !is_limited() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, waits).await.expect("it limits itself");
        assert_eq!(niceness(id), wanted, "{arguments:?}");
        child.kill().await.expect("it runs until its component has come");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_that_comes_later_is_found() {
    let mut plan = Plan::of(Vec::new());
    plan.file = None;
    let mut workshop = plan.start().await;
    let folder = workshop.source.parent().expect("it has one").to_owned();
    std::fs::remove_dir(&folder).expect("removed");
    let mut events = workshop.watch();
    std::fs::create_dir(&folder).expect("a folder");
    std::fs::write(&workshop.source, tiny("i32.const 96")).expect("a file");
    let event = next(&mut events).await;
    assert!(matches!(event, SwapEvent::Swapped { .. }), "{event:?}");
    workshop.end().await;
}

/// Writes a file in its place, as a copy over a slow link does: in so many pieces, with a pause after each.
async fn write_slowly(workshop: &Workshop, bytes: &[u8], pieces: usize, pause: Duration) {
    use std::io::Write as _;
    let before = workshop.digest();
    let mut file = std::fs::File::create(&workshop.source).expect("the file");
    for piece in bytes.chunks(bytes.len().div_ceil(pieces)) {
        assert_eq!((workshop.digest(), workshop.status().refused), (before.clone(), None), "half a file was looked at");
        file.write_all(piece).expect("a piece");
        tokio::time::sleep(pause).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_written_slowly_is_taken_when_it_is_whole_and_not_refused_before() {
    let hostile = built("hostile");
    // Pauses longer than changes are gathered, and none at all: each for longer than a file that stays cut off is waited for.
    let writers = [(6, Duration::from_millis(600)), (360, Duration::from_millis(10))];
    join_all(writers.map(async |(pieces, pause)| {
        let mut workshop = Plan::of(hostile.clone()).start().await;
        let mut events = workshop.watch();
        let whole = marked(&hostile, "slow");
        write_slowly(&workshop, &whole, pieces, pause).await;
        let SwapEvent::Swapped { active, .. } = next(&mut events).await else { panic!("{:?}", workshop.status()) };
        assert_eq!(active.size, whole.len() as u64);
        assert_eq!(workshop.run(json!({ "mode": "accept" })).await.digest, active.digest);
        assert!(events.is_empty(), "one new file is one event");
        workshop.end().await;
    }))
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_replaced_all_the_time_ends_at_its_last_version() {
    let first = tiny("i32.const 96");
    let workshop = {
        let mut workshop = Plan::of(first.clone()).own_cache().start().await;
        let _ = workshop.watch();
        Arc::new(workshop)
    };
    let mut every = tokio::time::interval(Duration::from_millis(5));
    let versions: Vec<Vec<u8>> = (0..100).map(|version| marked(&first, &version.to_string())).collect();
    let mut ran = 0;
    for version in &versions {
        every.tick().await;
        workshop.replace(version);
        accepted(&workshop.run(json!({})).await);
        ran += 1;
    }
    let mut events = workshop.runtime.events();
    workshop.replace(&marked(&first, "last"));
    let last = async {
        loop {
            let SwapEvent::Swapped { active, .. } = next(&mut events).await else { panic!("refused") };
            if active.size == (first.len() + 11) as u64 {
                return active.digest;
            }
        }
    };
    let last = tokio::time::timeout(PATIENCE, last).await.expect("the last version serves");
    assert_eq!((ran, workshop.run(json!({})).await.digest), (100, last));
}

/// The next event, if it is about that component; else the one after it that is.
async fn next_of(events: &mut Receiver<SwapEvent>, wanted: &str) -> SwapEvent {
    loop {
        let event = next(events).await;
        let (SwapEvent::Swapped { component, .. } | SwapEvent::Refused { component, .. }) = &event;
        if component == wanted {
            return event;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_two_components_of_a_file_that_could_not_take_it_is_looked_at_again_though_the_other_one_has_taken_it() {
    let plan = Plan::of(tiny("i32.const 96"));
    let forgets = Arc::clone(&plan.forgets);
    let mut workshop = plan.start().await;
    let another = ComponentSettings { name: "another".into(), ..workshop.settings.clone() };
    let arranged = workshop.runtime.arrange(&[workshop.settings.clone(), another]).await.expect("they are good");
    workshop.runtime.put(arranged);
    let (mut of_one, mut of_other) = (workshop.runtime.events(), workshop.runtime.events());
    forgets.lock().insert("another".into());
    workshop.watch();
    workshop.replace(&marked(&tiny("i32.const 96"), "2"));
    let SwapEvent::Refused { reason, .. } = next_of(&mut of_one, "another").await else { panic!("it was recorded") };
    assert!(reason.contains("could not be recorded"), "{reason}");
    assert!(matches!(next_of(&mut of_other, "worker").await, SwapEvent::Swapped { .. }));
    forgets.lock().clear();
    assert!(matches!(next_of(&mut of_one, "another").await, SwapEvent::Swapped { .. }));
    let serving = ["another", "worker"].map(|name| workshop.runtime.digest(name));
    assert_eq!(serving[0], serving[1]);
    workshop.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_component_is_not_written_where_the_config_has_the_missing_file_of_another_one() {
    let workshop = Plan::of(tiny("i32.const 96")).start().await;
    let serving = workshop.digest();
    std::fs::remove_file(&workshop.source).expect("it is gone");
    // The same place by another way.
    let folder = workshop.source.parent().expect("it has a folder");
    let place = folder.join("../components/worker.wasm");
    let file = marked(&tiny("i32.const 96"), "new");
    let new = workshop.runtime.introduce("fraud", place, Bytes::from(file.clone())).await.expect("it is good");
    let told = workshop.runtime.put_newcomer_in_place("fraud", &new.digest).await.expect_err("it is another one's").to_string();
    assert!(told.contains("the file of its component 'worker'") && told.contains("another name"), "{told}");
    assert!(!workshop.source.exists() && workshop.digest() == serving, "nothing is written");

    let free = folder.join("fraud.wasm");
    workshop.runtime.introduce("fraud", free.clone(), Bytes::from(file.clone())).await.expect("it is good");
    for _ in 0..2 {
        assert_eq!(workshop.runtime.put_newcomer_in_place("fraud", &new.digest).await.expect("it is free"), free);
        assert_eq!(std::fs::read(&free).expect("a file"), file);
    }
    std::fs::remove_file(&free).and_then(|()| std::os::unix::fs::symlink(folder.join("nowhere"), &free)).expect("a link");
    let told = workshop.runtime.put_newcomer_in_place("fraud", &new.digest).await.expect_err("a link to nothing is there").to_string();
    assert!(told.contains("there is another file"), "{told}");
    workshop.end().await;
}
