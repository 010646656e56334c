//! What the shop is made of: its configs, its catalogue, and what its processes are told.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, ensure};
use serde_json::json;

/// Units of each product at the start. One is scarce: it is asked for more often than it is there.
pub const STOCK: [(&str, u64, i64); 4] =
    [("cable", 999, 100_000), ("keyboard", 14_999, 100_000), ("licence", 1, 10_000_000), ("scarce", 25_000, 60)];
/// How long things are kept. A date that jumps forward between two processes cannot be told from time that has passed, and jumps add up.
const KEPT: [&str; 4] = ["RETAIN_EVENTS", "RETAIN_RUNS", "RETAIN_IDEMPOTENCY_KEYS", "RETAIN_RESERVATIONS"];
/// Longer than any token has to be.
const SECRET: &str = "a secret of a shop that nobody buys from, 64 characters and more";
/// What orders and users-products share.
pub const INTERNAL_SECRET: &str = "what the processes of this shop share and nobody else";

/// What every process of the shop is told.
pub fn variables() -> Vec<(String, String)> {
    let told = [
        ("OPERATOR_LISTEN", "127.0.0.1:0"),
        ("JWT_SECRET", SECRET),
        ("RATE_LIMIT_PER_MINUTE", "1000000"),
        ("RATE_LIMIT_BURST", "100000"),
        ("PAYMENT_RETRY_AFTER", "200ms"),
        ("SHIPPING_RETRY_AFTER", "200ms"),
    ];
    let kept = KEPT.map(|name| (name, "10000h"));
    told.into_iter().chain(kept).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// The catalogue.
pub fn products() -> serde_json::Value {
    let product = |&(id, cents, stock): &(&str, u64, i64)| {
        let price = format!("{}.{:02}", cents / 100, cents % 100).parse::<serde_json::Number>().ok();
        json!({"id": id, "state": "active", "data": {"name": id, "price": price, "category": "Things", "description": id, "image": "/x.svg", "stock": stock}})
    };
    STOCK.iter().map(product).collect()
}

/// A config of the shop as the repository has it.
pub fn config(repository: &Path, name: &str) -> anyhow::Result<String> {
    let path = repository.join("configs").join(name);
    fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
}

/// The same over a database of PostgreSQL that the variable `DATABASE_URL` names: what `docs/scale.md` has an operator change.
pub fn over_postgres(config: &str) -> anyhow::Result<String> {
    let dsn = config.lines().find(|line| line.trim_start().starts_with("dsn:")).context("a config without a database")?;
    let indent = &dsn[..dsn.len() - dsn.trim_start().len()];
    let changed = config.replace("driver: sqlite", "driver: postgres").replace(dsn, &format!("{indent}dsn: \"${{DATABASE_URL}}\""));
    Ok(changed.lines().filter(|line| !line.trim_start().starts_with("createIfMissing:")).flat_map(|line| [line, "\n"]).collect())
}

/// The same, but payments go to the bank, and what waits waits shorter: a run is some seconds long.
pub fn config_of_orders(repository: &Path, name: &str, bank: &str) -> anyhow::Result<String> {
    let mut text = config(repository, name)?;
    let payment = "      description: Charges the customer through the payment gateway\n";
    let charges = format!("{payment}      capabilities: {{http: [{{service: bank, url: \"{bank}\"}}]}}\n");
    for (before, after) in [
        (payment, charges.as_str()),
        (
            "      maxRetries: 2\n      retryBackoffMs: 1000\n      timeoutSeconds: 30\n",
            "      maxRetries: 1\n      retryBackoffMs: 50\n      timeoutSeconds: 1\n",
        ),
        ("            maxAttempts: 3\n", "            maxAttempts: 2\n"),
    ] {
        ensure!(text.contains(before), "configs/{name} has no longer what is changed here: {before}");
        text = text.replace(before, after);
    }
    Ok(text)
}
