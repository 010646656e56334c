//! The figures that Millrace is designed for, measured on the real program: `cargo xtask bench`.
//!
//! A release build of the program runs as a process of its own; this one is its only client, on the same machine. Absolute
//! times depend on the machine, so every figure stands beside its goal.
//!
//! `cargo bench -p millrace --bench goals -- orders` measures one part alone, see [`PARTS`]. With `MILLRACE_BIN` it measures that program in
//! the place of the one that was built with it: two versions are compared by measuring them in turns.
#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "a program of its own: it prints, and spawns what it likes")]

#[path = "../../tests/kafka_broker/mod.rs"]
#[expect(clippy::unwrap_used, reason = "shared with the tests")]
mod kafka_broker;
mod load;
mod server;
mod table;

use std::time::{Duration, Instant};

use kafka_broker::{Driver, KafkaBroker};
use load::{Connection, Latencies};
use server::Server;
use table::{Goal, Table};

/// Orders placed one after the other on an idle system.
const SEQUENTIAL: usize = 500;
/// Orders placed by many clients at once.
const BURST: usize = 10_000;
const CLIENTS: usize = 64;
/// Connections and time of the read benches.
const READERS: usize = 32;
const READ_FOR: Duration = Duration::from_secs(5);

/// What is measured, by the names that may be asked for; all of it if none is.
const PARTS: [&str; 5] = ["start", "orders", "reads", "gateway", "kafka"];

/// How orders get on, and how fast they are meant to.
struct Bus {
    name: &'static str,
    /// Milliseconds from POST to delivered, p50 and p99.
    delivered: (f64, f64),
    orders_per_second: f64,
    executions_per_second: Option<f64>,
    /// Milliseconds of CPU time of the program for each order.
    cpu: Option<f64>,
}

const EMBEDDED: Bus =
    Bus { name: "embedded bus", delivered: (5.0, 20.0), orders_per_second: 2_000.0, executions_per_second: Some(12_000.0), cpu: Some(0.4) };
const KAFKA: Bus = Bus { name: "Kafka told", delivered: (15.0, 50.0), orders_per_second: 800.0, executions_per_second: None, cpu: None };
const KAFKA_ALONE: Bus =
    Bus { name: "Kafka alone drives", delivered: (15.0, 50.0), orders_per_second: 800.0, executions_per_second: None, cpu: None };

fn main() -> anyhow::Result<()> {
    // Cargo adds `--bench`.
    let asked: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    if let Some(unknown) = asked.iter().find(|part| !PARTS.contains(&part.as_str())) {
        anyhow::bail!("'{unknown}' is nothing that is measured here: {}", PARTS.join(", "));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let table = runtime.block_on(measure(&|part| asked.is_empty() || asked.iter().any(|asked| asked == part)))?;
    println!("{table}");
    Ok(())
}

async fn measure(wants: &(dyn Fn(&str) -> bool + Sync)) -> anyhow::Result<Table> {
    let mut table = Table::default();
    if ["start", "orders", "reads"].into_iter().any(wants) {
        one_process(wants, &mut table).await?;
    }
    if wants("gateway") {
        through_the_gateway(&mut table).await?;
    }
    if wants("kafka") {
        over_kafka(&mut table).await?;
    }
    Ok(table)
}

async fn one_process(wants: &(dyn Fn(&str) -> bool + Sync), table: &mut Table) -> anyhow::Result<()> {
    let mut server = Server::start().await?;
    if wants("start") {
        start_up(&mut server, table).await?;
        table.add("memory, idle", Goal::at_most(60.0, "MB"), server.memory_mb()?);
    }
    if wants("orders") {
        let token = server.register("bench").await?;
        one_by_one(&server, &token, &EMBEDDED, table).await?;
        all_at_once(&server, &token, &EMBEDDED, table).await?;
        table.add("memory, after 10,000 orders", Goal::at_most(100.0, "MB"), server.memory_mb()?);
        list(&server, &token, table).await?;
    }
    if wants("reads") {
        reads(&server, "/api/products", "GET /api/products, 32 connections", (15_000.0, 10.0), table).await?;
        reads(&server, "/", "page at /, 32 connections", (30_000.0, 10.0), table).await?;
    }
    if wants("start") {
        swaps(&server, table).await?;
    }
    Ok(())
}

/// What a customer reads passes two processes.
async fn through_the_gateway(table: &mut Table) -> anyhow::Result<()> {
    let catalogue = Server::start_catalogue().await?;
    let gateway = Server::start_gateway(catalogue.address()).await?;
    reads(&gateway, "/api/products/prod-001", "GET a product through the gateway, 32 connections", (5_000.0, 20.0), table).await
}

/// The same orders with a real broker beside the program, on the same cores.
async fn over_kafka(table: &mut Table) -> anyhow::Result<()> {
    let broker = tokio::task::spawn_blocking(KafkaBroker::start).await?;
    for (driver, prefix, bus) in [(Driver::CommitAndEvents, "told", &KAFKA), (Driver::Events, "driven", &KAFKA_ALONE)] {
        let server = Server::start_over_kafka(&broker.address(), prefix, driver).await?;
        let token = server.register("bench").await?;
        one_by_one(&server, &token, bus, table).await?;
        all_at_once(&server, &token, bus, table).await?;
    }
    Ok(())
}

async fn start_up(server: &mut Server, table: &mut Table) -> anyhow::Result<()> {
    let mut times = Latencies::default();
    for _ in 0..5 {
        times.add(server.restart().await?);
    }
    table.add("start to ready, compiled cache warm, p50", Goal::at_most(100.0, "ms"), times.percentile_ms(50.0));
    Ok(())
}

/// The idle system: what one customer waits for.
async fn one_by_one(server: &Server, token: &str, bus: &Bus, table: &mut Table) -> anyhow::Result<()> {
    let mut connection = Connection::open(server.address(), token).await?;
    let (mut acknowledged, mut delivered) = (Latencies::default(), Latencies::default());
    for _ in 0..SEQUENTIAL {
        let began = Instant::now();
        let id = connection.place_order().await?;
        acknowledged.add(began.elapsed());
        connection.follow_to_the_end(&id).await?;
        delivered.add(began.elapsed());
    }
    let Bus { name, delivered: (p50, p99), .. } = bus;
    table.add(&format!("POST acknowledged durably, {name}, p50"), Goal::at_most(1.0, "ms"), acknowledged.percentile_ms(50.0));
    table.add(&format!("POST acknowledged durably, {name}, p99"), Goal::at_most(10.0, "ms"), acknowledged.percentile_ms(99.0));
    table.add(&format!("POST to delivered, {name}, p50"), Goal::at_most(*p50, "ms"), delivered.percentile_ms(50.0));
    table.add(&format!("POST to delivered, {name}, p99"), Goal::at_most(*p99, "ms"), delivered.percentile_ms(99.0));
    Ok(())
}

/// The system at its limit: orders until the last is delivered, every one right.
async fn all_at_once(server: &Server, token: &str, bus: &Bus, table: &mut Table) -> anyhow::Result<()> {
    let runs_before = server.runs_done().await?;
    let delivered_before = server.delivered().await?;
    let used_before = server.used()?;
    let began = Instant::now();
    let placing = (0..CLIENTS).map(|_| {
        let (address, token) = (server.address(), token.to_owned());
        tokio::spawn(async move {
            let mut connection = Connection::open(address, &token).await?;
            for _ in 0..BURST / CLIENTS {
                connection.place_order().await?;
            }
            anyhow::Ok(())
        })
    });
    for client in futures::future::join_all(placing).await {
        client??;
    }
    let placed = BURST / CLIENTS * CLIENTS;
    let accepted = began.elapsed();
    server.wait_until_idle().await?;
    let took = began.elapsed();
    let delivered = server.delivered().await? - delivered_before;
    anyhow::ensure!(delivered == placed as u64, "{delivered} of {placed} orders were delivered");
    let runs = server.runs_done().await? - runs_before;
    // What was said about the orders belongs to what they cost, and is told after they have gone on.
    server.wait_until_told().await?;
    let used = server.used()?;
    let Bus { name, orders_per_second, executions_per_second, cpu, .. } = bus;
    let executions = executions_per_second.map_or(Goal::none("/s"), |goal| Goal::at_least(goal, "/s"));
    table.add(&format!("orders accepted per second, 64 clients, {name}"), Goal::none("/s"), per_second(placed as u64, accepted));
    let delivered = format!("orders per second, POST to delivered, {name}");
    table.add(&delivered, Goal::at_least(*orders_per_second, "/s"), per_second(placed as u64, took));
    table.add(&format!("durable step executions per second, {name}"), executions, per_second(runs, took));
    let goal = cpu.map_or(Goal::none("ms"), |goal| Goal::at_most(goal, "ms"));
    let (user, system) = (each(used.user - used_before.user, placed), each(used.system - used_before.system, placed));
    table.add(&format!("CPU an order, {name}"), goal, (user + system) * 1_000.0);
    table.add(&format!("CPU an order of the system's own, {name}"), Goal::none("ms"), system * 1_000.0);
    table.add(&format!("written for an order, {name}"), Goal::none("KB"), each(used.written - used_before.written, placed) / 1_000.0);
    table.add(&format!("changes of threads for an order, {name}"), Goal::none(""), each(used.switches - used_before.switches, placed));
    Ok(())
}

async fn list(server: &Server, token: &str, table: &mut Table) -> anyhow::Result<()> {
    let mut connection = Connection::open(server.address(), token).await?;
    let mut times = Latencies::default();
    for _ in 0..500 {
        let began = Instant::now();
        connection.get("/api/orders").await?;
        times.add(began.elapsed());
    }
    table.add("list of a user's orders, 10,000 in the store, p99", Goal::at_most(20.0, "ms"), times.percentile_ms(99.0));
    Ok(())
}

async fn reads(server: &Server, path: &'static str, what: &str, (rate, p99): (f64, f64), table: &mut Table) -> anyhow::Result<()> {
    let until = Instant::now() + READ_FOR;
    let reading = (0..READERS).map(|_| {
        let address = server.address();
        tokio::spawn(async move {
            let mut connection = Connection::open(address, "").await?;
            let mut times = Latencies::default();
            while Instant::now() < until {
                let began = Instant::now();
                connection.get(path).await?;
                times.add(began.elapsed());
            }
            anyhow::Ok(times)
        })
    });
    let mut times = Latencies::default();
    for reader in futures::future::join_all(reading).await {
        times.merge(reader??);
    }
    table.add(what, Goal::at_least(rate, "/s"), per_second(times.len() as u64, READ_FOR));
    table.add(&format!("{what}, p99"), Goal::at_most(p99, "ms"), times.percentile_ms(99.0));
    Ok(())
}

/// A new version of a component: from the file's change to the first answer of `/healthz` that names it.
async fn swaps(server: &Server, table: &mut Table) -> anyhow::Result<()> {
    let (mut new, mut back) = (Latencies::default(), Latencies::default());
    for round in 0..10_u32 {
        new.add(server.swap_payment(Some(round)).await?);
        back.add(server.swap_payment(None).await?);
    }
    table.add("component saved to serving, never seen before, p50", Goal::at_most(200.0, "ms"), new.percentile_ms(50.0));
    table.add("component saved to serving, known version, p50", Goal::none("ms"), back.percentile_ms(50.0));
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "a share to print")]
fn each(of_all: f64, count: usize) -> f64 {
    of_all / count as f64
}

#[expect(clippy::cast_precision_loss, reason = "a rate to print")]
fn per_second(count: u64, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}
