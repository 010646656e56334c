//! Whether what `observability/` says is true: the rules are right, every question of a dashboard has an answer once an order
//! was placed, and every alert is told when its cause is there, and only then.

mod answers;
mod causes;
mod dashboards;
pub mod promql;
mod promtool;
mod rules;
mod test_env;

use std::path::Path;

use anyhow::bail;

use crate::customer::Customer;
use crate::split_shop::Service;
use crate::stop_signals::StopSignals;
use crate::{build, prometheus};
use test_env::TestEnv;

/// Checks all of it, with the real programs: the three processes of the shop, Kafka and Prometheus.
pub fn check() -> anyhow::Result<()> {
    prometheus::ensure_installed()?;
    promtool::check()?;
    let host = build::host(build::Profile::Dev)?;
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(with_everything_running(&host))
}

async fn with_everything_running(host: &Path) -> anyhow::Result<()> {
    let mut stop_wanted = StopSignals::listen()?;
    let mut env = TestEnv::new(host)?;
    let result = tokio::select! {
        result = walk(&mut env) => result,
        () = stop_wanted.next() => bail!("stopped"),
    };
    env.stop(&mut stop_wanted).await;
    result.map_err(|problem| problem.context(format!("the logs are in {}", env.folder().display())))
}

async fn walk(env: &mut TestEnv) -> anyhow::Result<()> {
    env.start().await?;
    let customer = Customer::register(env.address(Service::Gateway)).await?;
    answers::all_after_one_order(env, &customer).await?;
    causes::each_alert_is_told_and_taken_back(env, &customer).await
}
