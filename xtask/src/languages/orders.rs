//! Orders of one machine whose steps are written in all the languages, while each of these is swapped.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use futures::future::try_join_all;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::{LANGUAGES, file, name};
use crate::customer::{Customer, Wanted, passed};
use crate::parts::{Part, Parts, Ready};
use crate::stop_signals::StopSignals;
use crate::{http, kafka, secret};

/// The machine.
const CONFIG: &str = "configs/examples/languages.yaml";
/// How long an order may take: a busy machine has fifty to look at before it.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long a new version may take until it serves: one with an interpreter inside is compiled for that long.
const SWAP_PATIENCE: Duration = Duration::from_secs(600);
/// Between two looks at whether it serves.
const SWAP_POLL: Duration = Duration::from_millis(50);
/// Customers who order while versions are swapped.
const CUSTOMERS: u32 = 5;
/// Orders a second of all of them together where nothing else is done, as far as the machine can.
pub const ALONE: u32 = 50;
/// The same beside other tests, whose processors these are.
pub const BESIDE_OTHERS: u32 = 10;
/// Orders of one of them that are not delivered yet, at most: a machine that cannot deliver fifty a second is not asked for more and more, until
/// attempts run out of time.
const MOST_OPEN: usize = 10;
/// What nobody reads at the end of a component: it makes another version of it, by its digest.
const SECTION: &[u8] = &[0, 5, 4, b'm', b'a', b'r', b'k'];

/// Starts the machine with the steps in `folder`, and has orders pass it, so many a second.
pub async fn pass(program: &Path, folder: &Path, rate: u32) -> anyhow::Result<()> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, kafka::free_port()?));
    let machine = Part::new("languages", program, Ready::Http(address, "/readyz"))
        .arguments(["run", "--config", CONFIG])
        .environment([
            ("LISTEN", address.to_string()),
            ("DATA_DIR", folder.join("data").display().to_string()),
            ("LANGUAGES_DIR", folder.display().to_string()),
            ("JWT_SECRET", secret::load_or_create(&folder.join("secret"))?),
            ("MILLRACE_LOG_FORMAT", "text".to_owned()),
        ])
        .logging_to(&folder.join("machine.log"))?;
    let (mut stop_wanted, mut parts) = (StopSignals::listen()?, Parts::default());
    let passed = tokio::select! {
        passed = async {
            parts.start(vec![machine]).await?;
            let customer = Customer::register(address).await?;
            let id = customer.place(Wanted::default()).await?;
            let names: Vec<String> = arrived(&customer, &id).await?.into_iter().map(|(name, _)| name).collect();
            println!("an order passed {} and is delivered", names.join(", "));
            swaps(folder, address, rate).await
        } => passed,
        () = stop_wanted.next() => bail!("stopped"),
    };
    parts.stop(&mut stop_wanted).await;
    passed
}

/// Waits until an order is delivered. The components that it has passed, one of each language, with the digests of their versions.
async fn arrived(customer: &Customer, id: &str) -> anyhow::Result<Vec<(String, String)>> {
    let passed = passed(&customer.see(id, "delivered", PATIENCE).await?)?;
    let names: Vec<&String> = passed.iter().map(|(name, _)| name).collect();
    ensure!(LANGUAGES.iter().all(|language| names.contains(&&name(language))), "{id} was only looked at by {names:?}");
    Ok(passed)
}

/// Gives each step another version and then the one before again, one after the other, while orders come in all the time. Each of them is
/// delivered, and each version has looked at some.
async fn swaps(folder: &Path, address: SocketAddr, rate: u32) -> anyhow::Result<()> {
    let mut customers = Vec::new();
    for number in 0..CUSTOMERS {
        customers.push(Customer::register_as(address, &format!("customer-{number}@example.com")).await?);
    }
    let (is_open, begun, pace) = (Cell::new(true), Instant::now(), Duration::from_secs(1) * CUSTOMERS / rate);
    let swapping = async {
        let mut versions = BTreeSet::new();
        for language in LANGUAGES {
            versions.extend(swap_there_and_back(&file(folder, language), language, address, &customers[0]).await?);
        }
        is_open.set(false);
        anyhow::Ok((begun.elapsed(), versions))
    };
    let ((took, mut versions), passed) =
        tokio::try_join!(swapping, try_join_all(customers.iter().map(|customer| orders_of(customer, &is_open, pace))))?;
    let orders: u32 = passed.iter().map(|(orders, _)| orders).sum();
    versions.extend(passed.into_iter().flat_map(|(_, versions)| versions));
    for language in LANGUAGES {
        let of_it = versions.iter().filter(|(component, _)| *component == name(language)).count();
        ensure!(of_it == 2, "orders were looked at by {of_it} versions of {}, and not by 2", name(language));
    }
    println!("{orders} orders came in meanwhile, {:.0} a second, and each is delivered", f64::from(orders) / took.as_secs_f64());
    Ok(())
}

/// Orders at the customer's pace, until there is nothing more to swap. How many orders were delivered, which is all of them, and what they passed.
async fn orders_of(customer: &Customer, is_open: &Cell<bool>, pace: Duration) -> anyhow::Result<(u32, BTreeSet<(String, String)>)> {
    let (placed, mut under_way) = mpsc::channel(MOST_OPEN);
    let place = async move {
        let mut pace = interval(pace);
        pace.set_missed_tick_behavior(MissedTickBehavior::Skip);
        while is_open.get() {
            pace.tick().await;
            placed.send(customer.place(Wanted::default()).await?).await.context("nobody waits for the order")?;
        }
        anyhow::Ok(())
    };
    let arrive = async {
        let (mut orders, mut versions) = (0, BTreeSet::new());
        while let Some(id) = under_way.recv().await {
            versions.extend(arrived(customer, &id).await?);
            orders += 1;
        }
        anyhow::Ok((orders, versions))
    };
    tokio::try_join!(place, arrive).map(|((), passed)| passed)
}

/// Puts the same component in its place with a section more, and then as it was, once an order has passed the other version; what that order has passed.
async fn swap_there_and_back(
    file: &Path,
    language: &str,
    address: SocketAddr,
    customer: &Customer,
) -> anyhow::Result<Vec<(String, String)>> {
    let known = fs::read(file).with_context(|| format!("{} cannot be read", file.display()))?;
    let there = swap(file, &[known.as_slice(), SECTION].concat(), &name(language), address).await?;
    let passed = arrived(customer, &customer.place(Wanted::default()).await?).await?;
    let back = swap(file, &known, &name(language), address).await?;
    println!(
        "{language}: another version serves after {:.1} s, the one before again after {:.1} s",
        there.as_secs_f64(),
        back.as_secs_f64()
    );
    Ok(passed)
}

/// Puts this in the place of a component, and waits until it serves. How long that took.
async fn swap(file: &Path, version: &[u8], component: &str, address: SocketAddr) -> anyhow::Result<Duration> {
    let (part, before, begun) = (file.with_extension("part"), swapped(address, component).await?, Instant::now());
    fs::write(&part, version).and_then(|()| fs::rename(&part, file)).with_context(|| format!("{} cannot be written", file.display()))?;
    while swapped(address, component).await? == before {
        ensure!(begun.elapsed() < SWAP_PATIENCE, "the new version of {} does not serve after {SWAP_PATIENCE:?}", file.display());
        sleep(SWAP_POLL).await;
    }
    Ok(begun.elapsed())
}

/// How many new files of a component were put in use. One that was refused is an error.
async fn swapped(address: SocketAddr, component: &str) -> anyhow::Result<u64> {
    let figures = http::client()?.get(format!("http://{address}/metrics")).send().await?.error_for_status()?.text().await?;
    let swaps = |outcome: &str| {
        let begin = format!("component_swaps_total{{component=\"{component}\",outcome=\"{outcome}\"}} ");
        // What has never happened is not told. The name may have the namespace of the config before it.
        figures.lines().find_map(|line| line.split_once(begin.as_str())?.1.parse::<u64>().ok()).unwrap_or(0)
    };
    ensure!(swaps("refused") == 0, "the new version of {component} was refused");
    Ok(swaps("swapped"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace;

    #[test]
    fn the_machine_of_the_examples_has_a_step_in_each_language() {
        let config = fs::read_to_string(workspace::root().join(CONFIG)).expect("the config");
        for language in LANGUAGES {
            let source = format!("source: ${{LANGUAGES_DIR:-../../target/languages}}/in-{language}/in-{language}.wasm");
            assert!(
                config.contains(&source) && config.contains(&format!("toStates: [in_{language}], handler: step-{language}}}")),
                "{language}"
            );
        }
    }
}
