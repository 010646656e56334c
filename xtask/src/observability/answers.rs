//! Whether every question that people are told to ask, that a dashboard asks and that a rule asks has an answer after one order.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use tokio::time::{Instant, sleep};

use super::promql::{Prometheus, Rule};
use super::test_env::TestEnv;
use super::{dashboards, promtool};
use crate::customer::{Customer, Wanted};
use crate::http;
use crate::split_shop::Service;

/// What the walk through the shop tells people to ask.
const OF_THE_WALK: [&str; 4] = [
    "up",
    "ecommerce_orders_module_operation_duration_seconds_bucket",
    "ecommerce_gateway_http_request_duration_seconds_count",
    "ecommerce_users_products_http_request_duration_seconds_count",
];
const ALL_UP: &str = "count(up{job=~\"gateway|users-products|orders\"} == 1) == 3";
/// A rate has its first value after two looks, a rule after that.
const PATIENCE: Duration = Duration::from_secs(45);
const POLL: Duration = Duration::from_millis(500);
/// How long an order may take on a machine that does other things too.
const DELIVERY: Duration = Duration::from_secs(20);

/// A question and who asks it.
struct Question {
    asked_by: String,
    expression: String,
}

/// Places one order, then asks everything.
pub async fn all_after_one_order(env: &TestEnv, customer: &Customer) -> anyhow::Result<()> {
    customer.browse().await?;
    let order = customer.place(Wanted::default()).await?;
    customer.wait_for(&order, "delivered", DELIVERY).await?;

    let prometheus = env.prometheus()?;
    let rules = prometheus.rules().await?;
    let questions = questions(&rules)?;
    println!("{} questions after one order", questions.len());
    until_all_are_answered(&prometheus, questions).await?;
    let rules = prometheus.rules().await?;
    if let Some(broken) = rules.iter().find(|rule| !rule.last_error.is_empty()) {
        bail!("{}: {}", broken.name, broken.last_error);
    }
    let told = prometheus.firing().await?;
    ensure!(told.is_empty(), "all is well, and yet there is {told:#?}");
    for service in Service::ALL {
        check_metrics(service, env).await?;
    }
    Ok(())
}

fn questions(rules: &[Rule]) -> anyhow::Result<Vec<Question>> {
    let mut questions: Vec<Question> =
        OF_THE_WALK.iter().chain([&ALL_UP]).map(|&expression| Question::new("the walk", expression)).collect();
    for board in dashboards::all()? {
        for panel in &board.panels {
            let asked_by = format!("{} ({}): {}", board.title, board.uid, panel.title);
            questions.extend(panel.targets.iter().map(|target| Question::new(&asked_by, &target.question())));
        }
    }
    for rule in rules {
        let asked_by = format!("rule {}", rule.name);
        match rule.kind.as_str() {
            "recording" => questions.push(Question::new(&asked_by, &rule.name)),
            _ => questions.extend(series_in(&rule.query).iter().map(|name| Question::new(&asked_by, name))),
        }
    }
    Ok(questions)
}

impl Question {
    fn new(asked_by: &str, expression: &str) -> Self {
        Self { asked_by: asked_by.to_owned(), expression: expression.to_owned() }
    }
}

/// The series that an alert looks at. Alerts are quiet when all is well, but what they look at must be there.
fn series_in(expression: &str) -> Vec<&str> {
    let is_in_name = |character: char| character.is_ascii_alphanumeric() || "_:".contains(character);
    let words = expression.split(|character| !is_in_name(character));
    words.filter(|word| *word == "up" || word.starts_with("millrace:")).collect()
}

async fn until_all_are_answered(prometheus: &Prometheus, mut open: Vec<Question>) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut still_open = Vec::new();
        for question in open {
            // What is not a number is no answer: a panel shows nothing for it.
            if !prometheus.values(&question.expression).await?.iter().any(|value| value.is_finite()) {
                still_open.push(question);
            }
        }
        open = still_open;
        if open.is_empty() {
            return Ok(());
        }
        if Instant::now() > deadline {
            let open: Vec<String> = open.iter().map(|question| format!("{}\n    {}", question.asked_by, question.expression)).collect();
            bail!("{} questions have no answer:\n  {}", open.len(), open.join("\n  "));
        }
        sleep(POLL).await;
    }
}

async fn check_metrics(service: Service, env: &TestEnv) -> anyhow::Result<()> {
    let response = http::client()?.get(format!("http://{}/metrics", env.address(service))).send().await?;
    let text = response.error_for_status()?.text().await.with_context(|| service.name())?;
    promtool::check_metrics(service.name(), &text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_alert_looks_at_is_found_in_it() {
        let alert = "up == 0 and max_over_time(up[1d]) == 1 or sum by (job) (millrace:slo_errors:ratio_rate1h{slo=\"a\"}) > on (slo) 14.4";
        assert_eq!(series_in(alert), ["up", "up", "millrace:slo_errors:ratio_rate1h"]);
    }
}
