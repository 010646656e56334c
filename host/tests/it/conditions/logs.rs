//! A log that nobody reads or that cannot be written, and a collector of traces that is not there: the shop goes on and says so.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use reqwest::StatusCode;
use rustix::process::Signal;
use serde_json::Value;

use super::test_env::{Condition, Conditioned, until};
use crate::kafka_broker::free_port;
use crate::observability::scraped::Scraped;
use crate::process::Home;

/// A process that is told to stop has ended by then.
const STOPPED: Duration = Duration::from_secs(10);

/// A pipe whose reader has gone.
fn broken_pipe() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

/// Customers register and buy, and all probes answer.
async fn the_shop_goes_on(process: &Conditioned, name: &str) {
    let customer = process.client.customer(name).await;
    for _ in 0..3 {
        customer.order_until("prod-001", 1, "tok_visa", &["delivered"]).await;
    }
    for probe in ["/livez", "/readyz", "/healthz"] {
        assert_eq!(process.client.get(probe).await.status, StatusCode::OK, "{probe}");
    }
}

/// The log's check says all of `words`.
async fn is_degraded(process: &Conditioned, words: &[&str]) {
    until("the log's check is degraded", || async {
        let health = process.client.get("/healthz").await.body;
        let check = &health["checks"]["log"];
        let message = check["message"].as_str().unwrap();
        (check["status"] == "degraded" && words.iter().all(|word| message.contains(word)) && health["status"] == "degraded").then_some(())
    })
    .await;
}

async fn dropped(process: &Conditioned) -> f64 {
    Scraped::of(&process.client).await.value("ecommerce_log_lines_dropped_total", &[]).unwrap()
}

async fn ends(mut process: Conditioned) {
    process.signal(Signal::TERM);
    let status = process.ended_within(STOPPED).await.expect("it ends when it is told to");
    assert_eq!(status.code(), Some(0));
}

/// Keeps the lines of a log as they come.
fn kept(log: impl Read + Send + 'static) -> Arc<Mutex<Vec<Value>>> {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let keeping = Arc::clone(&lines);
    std::thread::spawn(move || {
        for line in BufReader::new(log).lines().map_while(Result::ok) {
            keeping.lock().push(serde_json::from_str(&line).unwrap_or(Value::String(line)));
        }
    });
    lines
}

/// The first line whose message is `message`.
async fn line(lines: &Arc<Mutex<Vec<Value>>>, message: &str) -> Value {
    until(message, || async { lines.lock().iter().find(|line| line["message"] == message).cloned() }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_whose_reader_is_gone_from_the_start_costs_its_lines_and_nothing_else() {
    let home = Home::new();
    let process = home.start_under(Condition { log: Some(broken_pipe()), ..Condition::default() }).await;
    the_shop_goes_on(&process, "ada").await;
    is_degraded(&process, &["stderr", "Broken pipe"]).await;
    assert!(dropped(&process).await >= 10.0);
    ends(process).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_whose_reader_goes_later_costs_its_lines_and_nothing_else() {
    let home = Home::new();
    let mut process = home.start_under(Condition { log: Some(Stdio::piped()), ..Condition::default() }).await;
    assert_eq!(process.client.get("/healthz").await.body["checks"]["log"]["status"], "up");
    drop(process.log());
    the_shop_goes_on(&process, "ada").await;
    is_degraded(&process, &["stderr", "Broken pipe"]).await;
    assert!(dropped(&process).await >= 3.0);
    ends(process).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_on_a_full_disk_costs_its_lines_and_nothing_else() {
    let home = Home::new();
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let process = home.start_under(Condition { log: Some(full.into()), ..Condition::default() }).await;
    the_shop_goes_on(&process, "ada").await;
    is_degraded(&process, &["stderr", "No space left on device"]).await;
    assert!(dropped(&process).await >= 10.0);
    ends(process).await;
}

/// A process whose log is a full pipe that nobody reads, and that has dropped lines already.
async fn stalled(home: &Home) -> Conditioned {
    let verbose = [("MILLRACE_LOG", "trace")];
    let process = home.start_under(Condition { log: Some(Stdio::piped()), variables: &verbose, ..Condition::default() }).await;
    let customer = process.client.customer("bea").await;
    until("lines are dropped", || async {
        customer.order_until("prod-001", 1, "tok_visa", &["delivered"]).await;
        (dropped(&process).await > 0.0).then_some(())
    })
    .await;
    process
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_stalls_holds_up_nobody_and_the_end_neither() {
    let home = Home::new();
    let process = stalled(&home).await;
    the_shop_goes_on(&process, "ada").await;
    is_degraded(&process, &["nobody has read stderr for", "were dropped"]).await;
    ends(process).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_a_reader_gets_on_again_lines_flow_and_one_says_how_many_were_dropped() {
    let home = Home::new();
    let mut process = stalled(&home).await;
    let lines = kept(process.log());
    let told = line(&lines, "log lines were dropped").await;
    assert!(told["dropped"].as_u64().unwrap() > 0 && told["level"] == "WARN", "{told}");
    the_shop_goes_on(&process, "ada").await;
    until("the log is well", || async { (process.client.get("/healthz").await.body["checks"]["log"]["status"] == "up").then_some(()) })
        .await;
    assert!(lines.lock().iter().all(Value::is_object), "every line is whole");
    process.signal(Signal::TERM);
    line(&lines, "stopping").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_comes_back_is_written_to_again() {
    let home = Home::new();
    let place = home.path().join("log");
    rustix::fs::mknodat(rustix::fs::CWD, &place, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR, 0).unwrap();
    let open = |place: &Path| std::fs::OpenOptions::new().read(true).write(true).open(place).unwrap();
    // Opened both ways, so that neither end waits for the other one.
    let reader = open(&place);
    let writer = std::fs::OpenOptions::new().write(true).open(&place).unwrap();
    let process = home.start_under(Condition { log: Some(writer.into()), ..Condition::default() }).await;
    drop(reader);
    the_shop_goes_on(&process, "ada").await;
    is_degraded(&process, &["Broken pipe"]).await;
    let lines = kept(open(&place));
    let told = line(&lines, "log lines were dropped").await;
    assert!(told["dropped"].as_u64().unwrap() > 0 && told["reason"].as_str().unwrap().contains("Broken pipe"), "{told}");
    let before = dropped(&process).await;
    the_shop_goes_on(&process, "bea").await;
    assert_eq!(dropped(&process).await, before);
    let message = format!("lines are written to stderr; {before} were dropped before");
    until("the log is well", || async { (process.client.get("/healthz").await.body["checks"]["log"]["message"] == message).then_some(()) })
        .await;
}

#[tokio::test]
async fn a_start_that_fails_ends_whoever_reads_why() {
    let home = Home::new();
    let nowhere = home.path().join("nowhere.yaml");
    let mut process = home.spawn_under(Condition { config: nowhere, log: Some(broken_pipe()), ..Condition::default() });
    assert_eq!(process.ended_within(STOPPED).await.expect("it ends").code(), Some(1));
}

/// A process that exports to a collector which is not there, and the lines of its log.
async fn without_a_collector(home: &Home, more: &[(&str, &str)]) -> (Conditioned, Arc<Mutex<Vec<Value>>>, u16) {
    let port = free_port();
    let endpoint = format!("http://me:hush@127.0.0.1:{port}/base?key=hush");
    let mut variables = vec![
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=hush"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "300"),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
    ];
    variables.extend(more);
    let mut process = home.start_under(Condition { log: Some(Stdio::piped()), variables: &variables, ..Condition::default() }).await;
    let lines = kept(process.log());
    (process, lines, port)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_away_costs_spans_which_are_counted_and_told_once() {
    let home = Home::new();
    let (process, lines, port) =
        without_a_collector(&home, &[("OTEL_BSP_MAX_QUEUE_SIZE", "20"), ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "10")]).await;
    the_shop_goes_on(&process, "ada").await;
    let told = line(&lines, "spans are not exported and are lost").await;
    let collector = told["collector"].as_str().unwrap();
    assert!(collector.contains(&format!("http://127.0.0.1:{port}/base")) && collector.contains("OTEL_EXPORTER_OTLP_ENDPOINT"), "{told}");
    assert!(told["reason"].as_str().unwrap().contains("refused"), "{told}");
    let lost = |scraped: &Scraped| scraped.value("ecommerce_trace_spans_lost_total", &[]) > Some(20.0);
    Scraped::until(&process.client, "more spans are lost than the queue has places", lost).await;
    the_shop_goes_on(&process, "bea").await;
    ends(process).await;
    let lines = lines.lock();
    let count = lines.iter().filter(|line| line["message"] == "spans are not exported and are lost").count();
    assert_eq!(count, 1);
    assert!(lines.iter().all(|line| !line.to_string().contains("hush")), "{lines:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_on_the_way_to_the_collector_is_named_unless_no_proxy_excepts_it() {
    let home = Home::new();
    let proxy = format!("http://you:hush@127.0.0.1:{}", free_port());
    let (process, lines, _) = without_a_collector(&home, &[("HTTP_PROXY", &proxy)]).await;
    the_shop_goes_on(&process, "ada").await;
    let told = line(&lines, "spans are not exported and are lost").await;
    let collector = told["collector"].as_str().unwrap();
    assert!(collector.contains(&proxy.replace("you:hush@", "")) && collector.contains("NO_PROXY") && !collector.contains("hush"), "{told}");
    drop(process);
    let (process, lines, _) = without_a_collector(&home, &[("HTTP_PROXY", &proxy), ("NO_PROXY", "127.0.0.1")]).await;
    the_shop_goes_on(&process, "bea").await;
    let told = line(&lines, "spans are not exported and are lost").await;
    assert!(!told.to_string().contains("NO_PROXY"), "{told}");
}

#[tokio::test]
async fn a_protocol_that_is_not_spoken_is_refused_at_the_start() {
    let home = Home::new();
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")];
    let mut process = home.spawn_under(Condition { log: Some(Stdio::piped()), variables: &variables, ..Condition::default() });
    assert_eq!(process.ended_within(STOPPED).await.expect("it ends").code(), Some(1));
    let mut said = String::new();
    process.log().read_to_string(&mut said).unwrap();
    assert!(said.contains("OTEL_EXPORTER_OTLP_PROTOCOL is 'grpc'") && said.contains("http/protobuf"), "{said}");
}
