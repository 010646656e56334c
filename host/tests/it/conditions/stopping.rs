//! How a process ends: a balancer that still sends, a second Ctrl-C, clients and components that take their time, a reader like `head`.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use rustix::process::Signal;
use serde_json::json;

use super::test_env::{Condition, Conditioned, until};
use crate::process::Home;
use crate::test_app::{SECRET, built, repository};

/// From the end of the delay to the end of the process, whatever hangs.
const STOPPED: Duration = Duration::from_secs(10);

/// The config `name` of the repository with `what` replaced by `with`, in a file of `home`.
fn changed(home: &Home, name: &str, what: &str, with: &str) -> PathBuf {
    let text = std::fs::read_to_string(repository().join(name)).unwrap();
    assert!(text.contains(what), "'{what}' is in {name}");
    // Beside the original there are files that it names.
    let text = text.replace(what, with).replace("../", &format!("{}/", repository().display()));
    let file = home.path().join("changed.yaml");
    std::fs::write(&file, text).unwrap();
    file
}

/// Sends the first bytes of a request and no more.
fn half_a_request(process: &Conditioned, bytes: &str) -> TcpStream {
    let mut stream = TcpStream::connect(process.client.base().strip_prefix("http://").unwrap()).unwrap();
    stream.write_all(bytes.as_bytes()).unwrap();
    stream
}

const HALF_A_BODY: &str = "POST /api/jobs HTTP/1.1\r\nhost: shop\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{";

/// Half a request that the process has begun to answer: it has asked for the body.
fn a_request_under_way(process: &Conditioned, path: &str) -> TcpStream {
    let head = HALF_A_BODY.trim_end_matches('{').replace("/api/jobs", path).replace("host: shop", "host: shop\r\nexpect: 100-continue");
    let mut stream = half_a_request(process, &head);
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(std::str::from_utf8(&answer).unwrap(), "HTTP/1.1 100");
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn half_requests_and_a_slow_component_do_not_hold_up_the_end() {
    let home = Home::new();
    std::fs::copy(built("hostile.wasm"), home.component("hostile.wasm")).unwrap();
    let config = changed(&home, "host/tests/it/configs/jobs.yaml", "timeoutSeconds: 1", "timeoutSeconds: 30");
    let mut process = home.start_under(Condition { config: config.clone(), ..Condition::default() }).await;
    let customer = process.client.customer("ada").await;
    let job = customer.post("/api/jobs", &json!({"mode": "sleep"})).await;
    home.until_inside_a_component("jobs", job.body["id"].as_str().unwrap()).await;
    let _head = half_a_request(&process, "GET /api/jobs/1 HTTP/1.1\r\nhost: shop\r\n");
    let _body = half_a_request(&process, HALF_A_BODY);
    let _other = a_request_under_way(&process, "/api/auth/login");
    let told = Instant::now();
    process.signal(Signal::TERM);
    let status = process.ended_within(STOPPED).await.expect("it ends within its limit");
    assert_eq!((status.code(), told.elapsed() < STOPPED), (Some(0), true), "ended after {:?}", told.elapsed());
    // What was under way is not lost.
    let process = home.start_under(Condition { config, ..Condition::default() }).await;
    let customer = process.client.with_token(customer.token());
    assert_eq!(customer.get(&format!("/api/jobs/{}", job.body["id"].as_str().unwrap())).await.body["state"], "working");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopping_process_says_so_first_and_serves_for_a_while() {
    let home = Home::new();
    let config = changed(&home, "configs/monolith.yaml", "idleTimeout: 60s", "idleTimeout: 60s\n      shutdownDelay: 3s");
    let mut process = home.start_under(Condition { config, ..Condition::default() }).await;
    let customer = process.client.customer("ada").await;
    let told = Instant::now();
    process.signal(Signal::TERM);
    let refused = until("/readyz answers 503", || async {
        let answer = process.client.get("/readyz").await;
        (answer.status == StatusCode::SERVICE_UNAVAILABLE).then_some(answer)
    })
    .await;
    assert_eq!(refused.body["reason"], "stopping");
    // Over new connections too: a balancer has not heard of it yet.
    let late = TcpStream::connect(process.client.base().strip_prefix("http://").unwrap());
    assert!(late.is_ok(), "the listener is open");
    customer.order_until("prod-001", 1, "tok_visa", &["delivered"]).await;
    assert_eq!(process.client.get("/livez").await.status, StatusCode::OK);
    assert!(told.elapsed() < Duration::from_secs(3), "the order was delivered in time to prove something: {:?}", told.elapsed());
    drop(late);
    let status = process.ended_within(Duration::from_secs(3) + STOPPED).await.expect("it ends after the delay");
    assert_eq!(status.code(), Some(0));
    assert!(told.elapsed() >= Duration::from_secs(3), "it has served for the whole delay: {:?}", told.elapsed());
}

/// The first signal is answered by a line that says what a second one does; the second ends the process at once.
async fn a_second_one_ends_it(signal: Signal, code: i32) {
    let home = Home::new();
    let mut process = home.start_under(Condition { log: Some(Stdio::piped()), ..Condition::default() }).await;
    let _open = a_request_under_way(&process, "/api/auth/login");
    let mut log = process.log();
    process.signal_alone(signal);
    let mut said = String::new();
    let mut part = [0; 4096];
    while !said.contains("another SIGTERM or Ctrl-C ends the process at once") {
        let length = log.read(&mut part).unwrap();
        assert!(length > 0, "the log ends: {said}");
        said.push_str(&String::from_utf8_lossy(&part[..length]));
    }
    // As long as a person needs at least: closer ones are one and the same.
    assert!(process.ended_within(Duration::from_millis(300)).await.is_none(), "half a request is waited for");
    process.signal_alone(signal);
    let status = process.ended_within(Duration::from_secs(2)).await.expect("it ends at once");
    assert_eq!(status.code(), Some(code));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_ctrl_c_ends_the_process_at_once_and_the_first_says_so() {
    a_second_one_ends_it(Signal::INT, 130).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_sigterm_ends_the_process_at_once_and_the_first_says_so() {
    a_second_one_ends_it(Signal::TERM, 143).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_has_seen_enough_is_no_failure_of_a_command() {
    let home = Home::new();
    let monolith = repository().join("configs/monolith.yaml").display().to_string();
    // Once with a database, for those that look into it.
    let mut process = home.start_under(Condition::default()).await;
    process.signal(Signal::TERM);
    process.ended_within(STOPPED).await.unwrap();
    let commands: [&[&str]; 7] = [
        &["schema"],
        &["openapi", &monolith],
        &["validate", &monolith],
        &["validate", "--format", "json", &monolith],
        &["top", "--once", "--interval", "0.1", "http://127.0.0.1:9"],
        &["quarantined", "list", "--config", &monolith],
        &["dlq", "list", "--config", &monolith],
    ];
    for command in commands {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = Command::new(env!("CARGO_BIN_EXE_millrace"))
            .args(command)
            .env("DATA_DIR", home.path().join("data"))
            .env("COMPONENTS_DIR", home.path().join("components"))
            .env("JWT_SECRET", SECRET)
            .stdout(writer)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
            .wait_with_output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), said.as_ref()), (Some(141), ""), "{command:?}");
    }
}

#[test]
fn a_command_whose_output_finds_no_room_says_so_and_fails() {
    let monolith = repository().join("configs/monolith.yaml").display().to_string();
    let commands: [&[&str]; 4] =
        [&["schema"], &["openapi", &monolith], &["validate", "--without-components", &monolith], &["completions", "bash"]];
    for command in commands {
        // Of this file the system says that its disk is full.
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_millrace"));
        let output = process.args(command).env("JWT_SECRET", SECRET).stdout(full).stderr(Stdio::piped()).spawn().unwrap();
        let output = output.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{command:?}: {said}");
        assert!(said.contains("stdout cannot be written: No space left on device"), "{command:?}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn signals_that_other_programs_take_for_a_wish_do_not_end_a_service() {
    let home = Home::new();
    // Away from the terminal that a test may have.
    let mut process =
        home.start_under(Condition { around: &["env", "--default-signal=HUP", "setsid", "--wait"], ..Condition::default() }).await;
    for (signal, name) in [(Signal::HUP, "SIGHUP"), (Signal::USR1, "SIGUSR1"), (Signal::USR2, "SIGUSR2")] {
        process.signal_inside(signal);
        until("it is said to change nothing", || async {
            let log = process.kept_log();
            log.lines().any(|line| line.contains("this signal changes nothing") && line.contains(name)).then_some(())
        })
        .await;
    }
    process.client.customer("ada").await.order_until("prod-008", 1, "tok_visa", &["delivered"]).await;
    process.signal_inside(Signal::TERM);
    assert_eq!(process.ended_within(STOPPED).await.expect("it ends").code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_launcher_that_blocks_signals_keeps_nobody_from_stopping_the_process() {
    let home = Home::new();
    for signal in [Signal::TERM, Signal::INT] {
        let mut process = home.start_under(Condition { around: &["env", "--block-signal"], ..Condition::default() }).await;
        process.client.get("/api/products").await;
        process.signal_alone(signal);
        let status = process.ended_within(STOPPED).await.expect("it ends");
        assert_eq!(status.code(), Some(0), "{signal:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_launcher_that_ignores_its_children_keeps_no_component_from_being_compiled() {
    let home = Home::new();
    let around = ["env", "--ignore-signal=CHLD"];
    let mut process = home.start_under(Condition { around: &around, ..Condition::default() }).await;
    process.client.customer("ada").await.order_until("prod-008", 1, "tok_visa", &["delivered"]).await;
    process.signal(Signal::TERM);
    assert_eq!(process.ended_within(STOPPED).await.expect("it ends").code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_may_not_grow_is_a_disk_that_is_full() {
    let home = Home::new();
    let process = home.start_under(Condition { around: &["prlimit", "--fsize=1500000", "--"], ..Condition::default() }).await;
    let customer = process.client.customer("ada").await;
    let mut placed = Vec::new();
    let refused = loop {
        let answer = customer.order("prod-005", 1, "tok_visa").await;
        if answer.status != StatusCode::CREATED {
            break answer;
        }
        placed.push(answer.body["id"].as_str().unwrap().to_owned());
        assert!(placed.len() < 1_000, "its log has no end");
    };
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE, "{refused:?}");
    assert_eq!(customer.get("/api/orders").await.status, StatusCode::OK, "reads go on");
    drop(process);
    let process = home.start_under(Condition::default()).await;
    let customer = process.client.with_token(customer.token());
    for id in placed {
        customer.wait_for("orders", &id, &["delivered"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_in_a_folder_that_is_gone_says_so() {
    let home = Home::new();
    let mut process = home
        .spawn_under(Condition { around: &["sh", "-c", "mkdir gone; cd gone; rmdir ../gone; exec \"$@\"", "sh"], ..Condition::default() });
    assert_eq!(process.ended_within(STOPPED).await.expect("it ends").code(), Some(1));
    assert!(process.kept_log().contains("the working directory is gone"), "{}", process.kept_log());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_test_has_started_away_from_its_terminal_ends_with_the_test() {
    let home = Home::new();
    let process = home.start_under(Condition { around: &["setsid", "--wait"], ..Condition::default() }).await;
    let client = process.client.clone();
    drop(process);
    until("nobody listens", || async { client.try_send(reqwest::Method::GET, "/livez", None, &[]).await.err() }).await;
}
