//! A component that does what the field `mode` of its job's data says: the four answers, and everything that a sandbox must survive.
//!
//! An order of the shop has no such field, so in the place of a shop's component it does what the city of its address says.

use std::time::Duration;

use serde_json::{Value, json};

use bindings::world::*;

#[expect(unsafe_code, reason = "generated: the canonical ABI moves values by pointers")]
mod bindings {
    //! Generated from `wit/step.wit`.
    wit_bindgen::generate!({ path: "../../../wit", world: "step" });

    use super::Hostile;
    export!(Hostile);

    pub mod world {
        //! What the component uses of it.
        pub use super::Guest;
        pub use super::millrace::step::log::{Level, write};
        pub use super::millrace::step::types::{Description, Failure, Job, Outcome, Rejection};
    }
}

struct Hostile;

impl Guest for Hostile {
    fn describe() -> Description {
        Description {
            name: "hostile".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: "Does what its job asks for.".into(),
            config_schema: json!({ "type": "object" }).to_string(),
        }
    }

    fn process(job: Job) -> Result<Outcome, Failure> {
        let data: Value = serde_json::from_str(&job.data).map_err(|error| Failure::Permanent(format!("data: {error}")))?;
        let mode = data["mode"].as_str().or(data["shipping"]["city"].as_str()).unwrap_or("accept").to_owned();
        answer(&mode, &data, &job).unwrap_or_else(|| attack(&mode))
    }
}

/// The answers of a component that behaves.
fn answer(mode: &str, data: &Value, job: &Job) -> Option<Result<Outcome, Failure>> {
    let answer = match mode {
        "accept" => {
            accepted(&json!({ "echo": data["value"], "key": job.idempotency_key, "attempt": job.attempt, "deadline": job.deadline }))
        }
        "config" => accepted(&serde_json::from_str(&job.config).unwrap_or_default()),
        "reject" => Ok(Outcome::Rejected(Rejection {
            code: "insufficient_funds".into(),
            reason: "the card has no money\u{1b}[31m".into(),
            details: json!({ "last4": "0002" }).to_string(),
        })),
        "bad code" => Ok(Outcome::Rejected(Rejection { code: "not a code".into(), reason: String::new(), details: "{}".into() })),
        "transient" => Err(Failure::Transient("try again".into())),
        "permanent" => Err(Failure::Permanent("never".into())),
        "long reason" => Err(Failure::Permanent("no ".repeat(10_000))),
        "slow" => {
            std::thread::sleep(Duration::from_millis(data["ms"].as_u64().unwrap_or(50)));
            accepted(&json!({ "slept": true }))
        }
        "busy" => accepted(&json!({ "sum": busy(data["rounds"].as_u64().unwrap_or(1_000_000)) })),
        "probe" => accepted(&probe()),
        _ => return None,
    };
    Some(answer)
}

/// The attacks. Those that come back answer as if nothing had been.
fn attack(mode: &str) -> Result<Outcome, Failure> {
    match mode {
        "spin" => spin(),
        "recurse" => return accepted(&json!({ "depth": recurse(1) })),
        "grow" => grow(),
        "panic" => std::panic::panic_any("nobody expects this"),
        "exit" => std::process::exit(0),
        "abort" => std::process::abort(),
        "sleep" => std::thread::sleep(Duration::from_secs(3_600)),
        "log flood" => (0..20_000).for_each(|line| write(Level::Info, &format!("line {line} {}", "x".repeat(200)))),
        "log once" => write(Level::Warn, &"a long line\n".repeat(2_000)),
        "call flood" => (0..u64::MAX).for_each(|_| {
            std::hint::black_box(wasip2::clocks::monotonic_clock::now());
        }),
        "stdout flood" => (0..200).for_each(|_| println(&"x".repeat(4_096))),
        "print" => {
            println("counted 3 lines");
            complain("and told of one\nwhich is two");
            print("without an end");
        }
        "random flood" => (0..u64::MAX).for_each(|_| drop(wasip2::random::random::get_random_bytes(6_000))),
        "handle leak" => (0..u64::MAX).for_each(|_| std::mem::forget(wasip2::clocks::monotonic_clock::subscribe_duration(u64::MAX))),
        "huge result" => return Ok(Outcome::Accepted("x".repeat(32 << 20))),
        "large result" => return accepted(&json!({ "filler": "x".repeat(300 << 10) })),
        "not json" => return Ok(Outcome::Accepted("<h1>hello</h1>".into())),
        "not an object" => return Ok(Outcome::Accepted("[1, 2]".into())),
        "deep json" => return Ok(Outcome::Accepted(format!("{{\"a\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000)))),
        "200000 strings" => return accepted(&json!({ "list": vec![""; 200_000] })),
        other => return Err(Failure::Permanent(format!("no such mode: {other}"))),
    }
    accepted(&json!({ "survived": true }))
}

#[expect(clippy::unnecessary_wraps, reason = "the answer's type")]
fn accepted(results: &Value) -> Result<Outcome, Failure> {
    Ok(Outcome::Accepted(results.to_string()))
}

fn println(text: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stdout(), "{text}");
}

fn print(text: &str) {
    use std::io::Write as _;
    let _ = write!(std::io::stdout(), "{text}");
    let _ = std::io::stdout().flush();
}

fn complain(text: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "{text}");
}

fn spin() {
    let mut count = 0_u64;
    loop {
        count = std::hint::black_box(count.wrapping_add(1));
    }
}

fn busy(rounds: u64) -> u64 {
    (0..rounds).fold(0, |sum, round| std::hint::black_box(sum ^ round.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
}

#[expect(unconditional_recursion, reason = "this is the attack")]
fn recurse(depth: u64) -> u64 {
    std::hint::black_box(recurse(std::hint::black_box(depth + 1)) + 1)
}

fn grow() {
    let mut kept = Vec::new();
    loop {
        kept.push(std::hint::black_box(vec![1_u8; 1 << 20]));
    }
}

/// What there is to be found outside.
fn probe() -> Value {
    let files = ["/etc/passwd", "/proc/self/environ", "Cargo.toml"].iter().filter(|path| std::fs::read_to_string(path).is_ok()).count();
    let folders = ["/", ".", "/tmp"].iter().filter(|path| std::fs::read_dir(path).is_ok()).count();
    json!({
        "env": std::env::vars().count(),
        "args": std::env::args().count(),
        "files": files,
        "folders": folders,
        "sockets": sockets(),
        "preopens": wasip2::filesystem::preopens::get_directories().len(),
        "written": std::fs::write("/tmp/hostile", "x").is_ok() || std::fs::write("hostile", "x").is_ok(),
        "stdin": std::io::read_to_string(std::io::stdin()).unwrap_or_default(),
    })
}

/// How many ways there are to another machine, or to be asked by one.
fn sockets() -> usize {
    use std::net::{TcpListener, TcpStream, ToSocketAddrs as _, UdpSocket};
    let ways = [
        TcpStream::connect("127.0.0.1:80").is_ok(),
        TcpListener::bind("127.0.0.1:0").is_ok(),
        UdpSocket::bind("127.0.0.1:0").is_ok(),
        "localhost:80".to_socket_addrs().is_ok(),
    ];
    ways.into_iter().filter(|way| *way).count()
}
