//! Every alert, caused: it is told when its cause is there, and taken back when the cause is gone. The rules are the
//! repository's, with all windows and waits sixty times shorter and with bounds that a test can reach.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use tokio::time::{Instant, sleep};

use super::promql::{Alert, Prometheus};
use super::test_env::TestEnv;
use crate::customer::{Customer, Wanted};
use crate::split_shop::Service;
use crate::workspace;

/// Bounds that are reached soon: seconds without progress, seconds in the outbox, events behind. And one that never is: what
/// else fills the disk meanwhile is none of ours.
const SOON: [(&str, &str); 4] = [
    ("oldest_active_seconds{workflow_type=\"order-processing\"} > 300", "oldest_active_seconds{workflow_type=\"order-processing\"} > 5"),
    ("outbox_oldest_age_seconds > 60", "outbox_oldest_age_seconds > 2"),
    ("consumer_lag_events) > 1000", "consumer_lag_events) > 20"),
    ("disk_free:ratio < 0.40 and", "disk_free:ratio < 0 and"),
];
/// Bounds that a healthy machine is beyond, so that nobody has to fill a disk.
const AT_ONCE: [(&str, &str); 2] = [("disk_free:ratio < 0.10", "disk_free:ratio < 1.01"), ("wal_bytes > 268435456", "wal_bytes > 0")];

/// Longest wait for an alert to be told or taken back.
const PATIENCE: Duration = Duration::from_secs(90);
const POLL: Duration = Duration::from_millis(200);
/// The component file that is broken, and what breaks it: it does what the order's city says.
const PAYMENT: &str = "payment.wasm";
const HOSTILE: &str = "hostile.wasm";
/// Runs in which the process dies before the component is set aside.
const DEATHS: usize = 3;
/// More than are handled while they are written.
const POISON: usize = 4_000;

/// What is looked at, and by whom.
struct Scene<'a> {
    env: &'a mut TestEnv,
    prometheus: Prometheus,
    customer: &'a Customer,
    /// Alerts that were told and taken back.
    seen: BTreeSet<String>,
}

/// Causes all of them.
pub async fn each_alert_is_told_and_taken_back(env: &mut TestEnv, customer: &Customer) -> anyhow::Result<()> {
    let prometheus = env.prometheus()?;
    let mut scene = Scene { env, prometheus, customer, seen: BTreeSet::new() };
    scene.machine().await?;
    scene.refused_file().await?;
    scene.late_shipment().await?;
    scene.failing_component().await?;
    scene.poison().await?;
    scene.no_broker().await?;
    scene.deaths().await?;
    scene.no_archive().await?;
    scene.nobody_listens().await?;
    // These look back for a while, so they are over last.
    scene.over(&["SwapRefused", "DeadLetters", "ErrorBudgetBurn", "ArchiveFailing", "LogLinesDropped", "TraceSpansLost"]).await?;
    let all: BTreeSet<String> =
        scene.prometheus.rules().await?.into_iter().filter(|rule| rule.kind == "alerting").map(|rule| rule.name).collect();
    ensure!(scene.seen == all, "nobody has caused {:?}", all.difference(&scene.seen).collect::<Vec<_>>());
    Ok(())
}

impl Scene<'_> {
    async fn machine(&mut self) -> anyhow::Result<()> {
        self.env.hurry(&[SOON.as_slice(), AT_ONCE.as_slice()].concat()).await?;
        self.told(&["DiskFilling", "WalGrowing"]).await?;
        self.env.hurry(&SOON).await?;
        self.over(&["DiskFilling", "WalGrowing"]).await
    }

    async fn refused_file(&mut self) -> anyhow::Result<()> {
        self.quiet("SwapRefused").await?;
        self.env.replace_component(PAYMENT, b"this is no component")?;
        self.told(&["SwapRefused"]).await?;
        self.env.replace_component(PAYMENT, &good_payment()?)
    }

    /// The carrier does not answer throughout the first visit; the next one is in some seconds.
    async fn late_shipment(&mut self) -> anyhow::Result<()> {
        self.quiet("OrderStuck").await?;
        let order = self.customer.place(Wanted { zip: "99997", ..Wanted::default() }).await?;
        self.told(&["OrderStuck"]).await?;
        self.customer.wait_for(&order, "delivered", PATIENCE).await?;
        self.over(&["OrderStuck"]).await
    }

    async fn failing_component(&mut self) -> anyhow::Result<()> {
        self.quiet("BreakerOpen").await?;
        self.env.replace_component(PAYMENT, &hostile()?)?;
        let deadline = Instant::now() + PATIENCE;
        while !self.is_told("BreakerOpen").await? {
            ensure!(Instant::now() < deadline, "a component that always fails is run for ever");
            self.customer.place(Wanted { city: "panic", ..Wanted::default() }).await?;
            sleep(POLL).await;
        }
        self.told(&["BreakerOpen"]).await?;
        self.env.replace_component(PAYMENT, &good_payment()?)?;
        self.over(&["BreakerOpen"]).await
    }

    /// As much as it takes for the consumer to be behind for a while, on whatever machine.
    async fn poison(&mut self) -> anyhow::Result<()> {
        self.quiet("DeadLetters").await?;
        let deadline = Instant::now() + PATIENCE;
        while !self.is_told("ConsumerLag").await? {
            ensure!(Instant::now() < deadline, "a consumer that is behind is not told of");
            self.env.produce("order.paid", "this is no event\n".repeat(POISON).as_bytes())?;
        }
        self.told(&["DeadLetters", "ConsumerLag"]).await?;
        self.over(&["ConsumerLag"]).await
    }

    async fn no_broker(&mut self) -> anyhow::Result<()> {
        self.quiet("BusDown").await?;
        self.env.stop_kafka().await?;
        let order = self.customer.place(Wanted::default()).await?;
        self.customer.wait_for(&order, "delivered", PATIENCE).await?;
        self.told(&["BusDown", "OutboxAge"]).await?;
        self.env.start_kafka().await?;
        self.over(&["BusDown", "OutboxAge"]).await
    }

    /// The process dies three times in one run; then it stays away while customers want to order.
    async fn deaths(&mut self) -> anyhow::Result<()> {
        self.quiet("TargetDown").await?;
        self.env.replace_component(PAYMENT, &hostile()?)?;
        let order = self.order_that_sleeps().await?;
        for death in 1..=DEATHS {
            self.until_inside_a_component(&order).await?;
            self.env.kill(Service::Orders).await?;
            if death < DEATHS {
                self.env.start_service(Service::Orders).await?;
            }
        }
        self.refused_orders().await?;
        self.env.start_service(Service::Orders).await?;
        self.told(&["ComponentQuarantined"]).await?;
        self.over(&["TargetDown"]).await?;
        self.env.replace_component(PAYMENT, &good_payment()?)?;
        self.customer.wait_for(&order, "delivered", PATIENCE).await?;
        self.over(&["ComponentQuarantined"]).await
    }

    /// What has ended is old at once, and the archive cannot be written; customers do not notice.
    async fn no_archive(&mut self) -> anyhow::Result<()> {
        self.quiet("ArchiveFailing").await?;
        self.env.kill(Service::Orders).await?;
        self.env.start_without_archive().await?;
        let order = self.customer.place(Wanted::default()).await?;
        self.customer.wait_for(&order, "delivered", PATIENCE).await?;
        self.told(&["ArchiveFailing"]).await?;
        self.env.kill(Service::Orders).await?;
        self.env.start_service(Service::Orders).await
    }

    /// What a process says of itself is lost, its log and its traces; customers do not notice.
    async fn nobody_listens(&mut self) -> anyhow::Result<()> {
        self.quiet("LogLinesDropped").await?;
        self.quiet("TraceSpansLost").await?;
        self.env.kill(Service::Gateway).await?;
        self.env.start_unheard(Service::Gateway).await?;
        let deadline = Instant::now() + PATIENCE;
        while !(self.is_told("LogLinesDropped").await? && self.is_told("TraceSpansLost").await?) {
            ensure!(Instant::now() < deadline, "what is lost is not told of: {:#?}", self.prometheus.firing().await?);
            let (status, _) = self.customer.order(Wanted::default()).await?;
            ensure!(status == 201, "without a log an order is answered {status}");
            sleep(POLL).await;
        }
        self.told(&["LogLinesDropped", "TraceSpansLost"]).await?;
        self.env.kill(Service::Gateway).await?;
        self.env.start_service(Service::Gateway).await
    }

    /// An order that is inside the component for as long as it may. One that came before the component was swapped is
    /// delivered; the next one is not.
    async fn order_that_sleeps(&self) -> anyhow::Result<String> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let order = self.customer.place(Wanted { city: "sleep", ..Wanted::default() }).await?;
            if self.customer.wait_for(&order, "delivered", Duration::from_secs(2)).await.is_err() {
                return Ok(order);
            }
        }
        bail!("the component was not swapped")
    }

    async fn until_inside_a_component(&self, order: &str) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while !self.env.is_inside_a_component(order) {
            ensure!(Instant::now() < deadline, "{order} is not run");
            sleep(POLL).await;
        }
        Ok(())
    }

    /// Customers come until both speeds of the alert are told.
    async fn refused_orders(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let (status, _) = self.customer.order(Wanted::default()).await?;
            ensure!(status == 502, "without orders an order is answered {status}");
            let told = self.prometheus.firing().await?;
            let windows =
                told.iter().filter(|alert| alert.labels["alertname"] == "ErrorBudgetBurn" && alert.labels["slo"] == "order_accepted");
            if windows.count() == 2 {
                return self.told(&["ErrorBudgetBurn", "TargetDown"]).await;
            }
            ensure!(Instant::now() < deadline, "orders fail and nobody is told: {told:#?}");
            sleep(POLL).await;
        }
    }

    /// Before its cause an alert must not be there.
    async fn quiet(&self, alert: &str) -> anyhow::Result<()> {
        ensure!(!self.is_told(alert).await?, "{alert} is told without a cause");
        Ok(())
    }

    async fn is_told(&self, alert: &str) -> anyhow::Result<bool> {
        Ok(self.prometheus.firing().await?.iter().any(|told| told.labels["alertname"] == alert))
    }

    /// Waits until all of them are told, and reads them.
    async fn told(&mut self, alerts: &[&str]) -> anyhow::Result<()> {
        let begun = Instant::now();
        for &alert in alerts {
            loop {
                let told = self.prometheus.firing().await?;
                if let Some(found) = told.iter().find(|told| told.labels["alertname"] == alert) {
                    read(found)?;
                    break;
                }
                ensure!(begun.elapsed() < PATIENCE, "{alert} is not told; there is {told:#?}");
                sleep(POLL).await;
            }
            println!("  {alert:<22} told after {:>4.1} s", begun.elapsed().as_secs_f64());
        }
        Ok(())
    }

    /// Waits until none of them is told any more.
    async fn over(&mut self, alerts: &[&str]) -> anyhow::Result<()> {
        let begun = Instant::now();
        for &alert in alerts {
            while self.is_told(alert).await? {
                ensure!(begun.elapsed() < PATIENCE, "{alert} is still told: {:#?}", self.prometheus.firing().await?);
                sleep(POLL).await;
            }
            println!("  {alert:<22} over after {:>4.1} s", begun.elapsed().as_secs_f64());
            self.seen.insert(alert.to_owned());
        }
        Ok(())
    }
}

/// What a person reads must be filled in, and lead to a page that is there.
fn read(alert: &Alert) -> anyhow::Result<()> {
    for name in ["summary", "description", "runbook_url"] {
        let text = alert.annotations.get(name).with_context(|| format!("there is no {name}: {alert:#?}"))?;
        ensure!(!text.contains("<no value>") && !text.contains("error expanding") && !text.contains("  "), "{name}: {text}");
    }
    let page = workspace::root().join(&alert.annotations["runbook_url"]);
    ensure!(page.exists(), "{} is not there", page.display());
    Ok(())
}

fn good_payment() -> anyhow::Result<Vec<u8>> {
    installed(PAYMENT)
}

/// The hostile component under the name of the one whose place it takes: under its own it would be refused.
fn hostile() -> anyhow::Result<Vec<u8>> {
    let mut file = installed(HOSTILE)?;
    let (own, other) = (b"hostile", b"payment");
    let places: Vec<usize> = file.windows(own.len()).enumerate().filter(|(_, bytes)| bytes == own).map(|(at, _)| at).collect();
    for at in places {
        file[at..at + own.len()].copy_from_slice(other);
    }
    Ok(file)
}

fn installed(file: &str) -> anyhow::Result<Vec<u8>> {
    let path = workspace::installed_components().join(file);
    fs::read(&path).with_context(|| format!("{} is not built: cargo xtask build --components --fixtures", path.display()))
}
