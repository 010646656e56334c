//! Orders of one machine whose steps are written in all the languages, while each of these is swapped.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};

use super::{LANGUAGES, file, name};
use crate::customer::{Customer, Wanted};
use crate::parts::{Part, Parts, Ready};
use crate::stop_signals::StopSignals;
use crate::{http, kafka, secret};

/// The machine.
const CONFIG: &str = "configs/examples/languages.yaml";
/// How long an order may take: each step of the first one is run for the first time.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a new version may take until it serves: one with an interpreter inside is compiled for that long.
const SWAP_PATIENCE: Duration = Duration::from_secs(600);
/// Orders while one version is swapped, at most.
const ORDERS: u32 = 8;
/// Between two of them.
const BETWEEN_ORDERS: Duration = Duration::from_millis(300);

/// Starts the machine with the steps in `folder`, and has orders pass it.
pub async fn pass(program: &Path, folder: &Path) -> anyhow::Result<()> {
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
            customer.wait_for(&id, "delivered", PATIENCE).await?;
            let passed = customer.components_of(&id).await?;
            ensure!(LANGUAGES.iter().all(|language| passed.contains(&name(language))), "the order was only looked at by {passed:?}");
            println!("an order passed {} and is delivered", passed.join(", "));
            swaps(folder, address, &customer).await
        } => passed,
        () = stop_wanted.next() => bail!("stopped"),
    };
    parts.stop(&mut stop_wanted).await;
    passed
}

/// Gives each step another version, one after the other, while orders come in all the time. Each of them is delivered.
async fn swaps(folder: &Path, address: SocketAddr, customer: &Customer) -> anyhow::Result<()> {
    let mut orders = Vec::new();
    for language in LANGUAGES {
        let (file, begun) = (file(folder, language), Instant::now());
        let before = swapped(address, &name(language)).await?;
        renew(&file)?;
        let mut left = ORDERS;
        while swapped(address, &name(language)).await? == before {
            ensure!(begun.elapsed() < SWAP_PATIENCE, "the new version of {} does not serve after {SWAP_PATIENCE:?}", file.display());
            if left > 0 {
                orders.push(customer.place(Wanted::default()).await?);
                left -= 1;
            }
            tokio::time::sleep(BETWEEN_ORDERS).await;
        }
        orders.push(customer.place(Wanted::default()).await?);
        println!("{language}: another version serves after {:.1} s", begun.elapsed().as_secs_f64());
    }
    for id in &orders {
        customer.wait_for(id, "delivered", PATIENCE).await?;
    }
    println!("{} orders came in meanwhile, and each is delivered", orders.len());
    Ok(())
}

/// Puts the same component there with a section more, which nobody reads: another version, by its digest.
fn renew(file: &Path) -> anyhow::Result<()> {
    const SECTION: &[u8] = &[0, 5, 4, b'm', b'a', b'r', b'k'];
    let mut component = fs::read(file).with_context(|| format!("{} cannot be read", file.display()))?;
    component.extend_from_slice(SECTION);
    let part = file.with_extension("part");
    fs::write(&part, component).and_then(|()| fs::rename(&part, file)).with_context(|| format!("{} cannot be written", file.display()))
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
