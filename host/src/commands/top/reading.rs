//! Asking processes how they are, and finding numbers in what they answer.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures::future::join_all;
use prometheus_parse::{HistogramCount, Scrape, Value};
use reqwest::StatusCode;
use reqwest::header::{AUTHORIZATION, HeaderValue};

use super::address;
use crate::commands::http_client;

/// The metric that every process has; what comes before its name is the prefix of all.
const MARK: &str = "_config_info";

/// Asks some processes.
pub(super) struct Reader {
    client: reqwest::Client,
    limit: Duration,
    urls: Vec<String>,
    /// What is sent to `/metrics`, and nowhere else.
    token: Option<HeaderValue>,
}

/// What one process has answered.
#[derive(Default)]
pub(super) struct Reading {
    /// Where it is.
    pub url: String,
    /// When it was asked.
    pub at: Option<Instant>,
    /// Why there is no answer.
    pub problem: Option<String>,
    /// `healthy`, `degraded`, `unhealthy`, or what else it says.
    pub health: String,
    /// Checks of modules that are not up: name and message.
    pub ailments: Vec<(String, String)>,
    pub samples: Vec<Sample>,
}

pub(super) struct Sample {
    /// Without the prefix.
    name: String,
    labels: BTreeMap<String, String>,
    value: Value,
}

/// Counts of a histogram below each of its bounds, in their sequence.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Distribution(pub Vec<(f64, f64)>);

impl Reader {
    /// Of processes at these addresses, each of which may take as long as `limit`, and is sent the `token` if there is one.
    ///
    /// # Errors
    /// One is no address of a process, or the token is none.
    pub fn new(urls: &[String], token: Option<&str>, limit: Duration) -> anyhow::Result<Self> {
        // The processes themselves, whatever proxy the environment names.
        let client = http_client(limit)?;
        let urls = urls.iter().map(|url| address::base(url)).collect::<anyhow::Result<_>>()?;
        Ok(Self { client, limit, urls, token: token.map(bearer).transpose()? })
    }

    /// Asks all at once.
    pub async fn read(&self) -> Vec<Reading> {
        join_all(self.urls.iter().map(|url| self.read_one(url))).await
    }

    async fn read_one(&self, url: &str) -> Reading {
        let mut reading = Reading { url: url.to_owned(), at: Some(Instant::now()), ..Reading::default() };
        match self.fetch(url, &mut reading).await {
            Ok(()) => {}
            Err(error) => reading.problem = Some(address::reason(&error, self.limit)),
        }
        reading
    }

    async fn fetch(&self, url: &str, reading: &mut Reading) -> anyhow::Result<()> {
        let request = self.client.get(format!("{url}/metrics"));
        let request = self.token.iter().fold(request, |request, token| request.header(AUTHORIZATION, token));
        let metrics = request.send().await?;
        let status = metrics.status();
        match (status, &self.token) {
            (StatusCode::UNAUTHORIZED, None) => {
                anyhow::bail!("/metrics answers 401: give its token with --metrics-token or METRICS_SECRET")
            }
            (StatusCode::UNAUTHORIZED, Some(_)) => anyhow::bail!("/metrics answers 401: it has another token than the one given"),
            _ => {}
        }
        anyhow::ensure!(
            status.is_success(),
            "/metrics answers {}: this is no process of Millrace, or its config has no metrics.collector, or it does not tell them to everybody",
            status.as_u16()
        );
        let metrics = metrics.text().await?;
        reading.samples = parse(&metrics)?;
        // Unhealthy is 503, and the body says why all the same.
        let health: serde_json::Value = self.client.get(format!("{url}/healthz")).send().await?.json().await.unwrap_or_default();
        reading.health = health["status"].as_str().unwrap_or("unknown").to_owned();
        let checks = health["checks"].as_object().into_iter().flatten();
        let ailing = checks.filter(|(_, check)| check["status"] != "up");
        reading.ailments = ailing.map(|(name, check)| (name.clone(), check["message"].as_str().unwrap_or_default().to_owned())).collect();
        Ok(())
    }
}

/// The header that a token is sent in.
fn bearer(token: &str) -> anyhow::Result<HeaderValue> {
    anyhow::ensure!(
        token.chars().all(|character| character.is_ascii_graphic()),
        "the metrics token has a character that none can have: it is 16 to 256 visible ASCII characters, as in the metrics.collector's config"
    );
    let mut header = HeaderValue::from_str(&format!("Bearer {token}"))?;
    header.set_sensitive(true);
    Ok(header)
}

fn parse(text: &str) -> anyhow::Result<Vec<Sample>> {
    let scrape = Scrape::parse(text.lines().map(|line| Ok(line.to_owned()))).context("/metrics is not in Prometheus's format")?;
    let mark = scrape.samples.iter().find_map(|sample| sample.metric.strip_suffix(MARK));
    let prefix = format!("{}_", mark.context("these are not the metrics of Millrace: there is no *_config_info")?);
    let samples = scrape.samples.into_iter().map(|sample| Sample {
        name: sample.metric.strip_prefix(&prefix).unwrap_or(&sample.metric).to_owned(),
        labels: sample.labels.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
        value: sample.value,
    });
    Ok(samples.collect())
}

impl Reading {
    /// The series of `name` and its value, by the value of `label`; those with the same are added up.
    pub fn by(&self, name: &str, label: &str) -> BTreeMap<String, f64> {
        let mut found = BTreeMap::new();
        for sample in self.of(name) {
            if let (Some(value), Some(number)) = (sample.labels.get(label), number(&sample.value)) {
                *found.entry(value.clone()).or_default() += number;
            }
        }
        found
    }

    /// The sum of the series of `name` that have these labels.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.with(name, labels).filter_map(|sample| number(&sample.value)).sum()
    }

    /// Values of `label` that the series of `name` have.
    pub fn values(&self, name: &str, label: &str, labels: &[(&str, &str)]) -> Vec<String> {
        self.with(name, labels).filter_map(|sample| sample.labels.get(label).cloned()).collect()
    }

    /// The histogram `name` over all series that have these labels.
    pub fn distribution(&self, name: &str, labels: &[(&str, &str)]) -> Distribution {
        let mut sums: Vec<(f64, f64)> = Vec::new();
        for sample in self.with(name, labels) {
            let Value::Histogram(counts) = &sample.value else { continue };
            if sums.is_empty() {
                sums = counts.iter().map(|HistogramCount { less_than, .. }| (*less_than, 0.0)).collect();
            }
            sums.iter_mut().zip(counts).for_each(|(sum, count)| sum.1 += count.count);
        }
        Distribution(sums)
    }

    fn of(&self, name: &str) -> impl Iterator<Item = &Sample> {
        self.samples.iter().filter(move |sample| sample.name == name)
    }

    fn with(&self, name: &str, labels: &[(&str, &str)]) -> impl Iterator<Item = &Sample> {
        self.of(name).filter(move |sample| labels.iter().all(|(name, value)| sample.labels.get(*name).is_some_and(|has| has == value)))
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Counter(number) | Value::Gauge(number) | Value::Untyped(number) => Some(*number),
        Value::Histogram(_) | Value::Summary(_) => None,
    }
}

impl Distribution {
    /// What was added since `before`.
    pub fn since(&self, before: &Self) -> Self {
        if before.0.len() != self.0.len() {
            return self.clone();
        }
        // A process that was started again counts from 0.
        let added: Vec<_> = self.0.iter().zip(&before.0).map(|(now, before)| (now.0, now.1 - before.1)).collect();
        if added.iter().any(|(_, count)| *count < 0.0) { self.clone() } else { Self(added) }
    }

    /// How many were observed.
    pub fn count(&self) -> f64 {
        self.0.last().map_or(0.0, |(_, count)| *count)
    }

    /// The value below which the share `quantile` lies, as Prometheus estimates it: evenly spread within a bucket.
    pub fn quantile(&self, quantile: f64) -> Option<f64> {
        let rank = quantile * self.count();
        if self.count() <= 0.0 {
            return None;
        }
        let (mut below, mut counted) = (0.0, 0.0);
        for (bound, count) in &self.0 {
            if *count >= rank {
                let inside = count - counted;
                let share = if inside > 0.0 { (rank - counted) / inside } else { 1.0 };
                return Some(if bound.is_finite() { below + (bound - below) * share } else { below });
            }
            (below, counted) = (*bound, *count);
        }
        None
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    const TEXT: &str = "\
# HELP shop_orders_config_info The program that runs.
# TYPE shop_orders_config_info gauge
shop_orders_config_info{version=\"0.1.0\"} 1
# HELP shop_orders_component_runs_total Runs.
# TYPE shop_orders_component_runs_total counter
shop_orders_component_runs_total{component=\"pay\",outcome=\"accepted\"} 90
shop_orders_component_runs_total{component=\"pay\",outcome=\"trap\"} 10
# HELP shop_orders_took_seconds Time.
# TYPE shop_orders_took_seconds histogram
shop_orders_took_seconds_bucket{component=\"pay\",le=\"0.1\"} 50
shop_orders_took_seconds_bucket{component=\"pay\",le=\"1\"} 100
shop_orders_took_seconds_bucket{component=\"pay\",le=\"+Inf\"} 100
shop_orders_took_seconds_sum{component=\"pay\"} 30
shop_orders_took_seconds_count{component=\"pay\"} 100
# HELP process_resident_memory_bytes Memory.
# TYPE process_resident_memory_bytes gauge
process_resident_memory_bytes 1048576
";

    pub(in crate::commands::top) fn reading(text: &str) -> Reading {
        Reading {
            url: "http://a:1".into(),
            at: Some(Instant::now()),
            health: "healthy".into(),
            samples: parse(text).unwrap(),
            ..Reading::default()
        }
    }

    #[test]
    fn numbers_are_found_whatever_the_prefix() {
        let reading = reading(TEXT);
        assert_eq!(reading.by("component_runs_total", "component")["pay"], 100.0);
        assert_eq!(reading.sum("component_runs_total", &[("outcome", "trap")]), 10.0);
        assert_eq!(reading.sum("process_resident_memory_bytes", &[]), 1_048_576.0);
        assert_eq!(reading.values("config_info", "version", &[]), ["0.1.0"]);
    }

    #[test]
    fn quantiles_are_estimated_within_their_bucket() {
        let took = reading(TEXT).distribution("took_seconds", &[("component", "pay")]);
        assert_eq!(took.count(), 100.0);
        assert!((took.quantile(0.25).unwrap() - 0.05).abs() < 1e-9 && (took.quantile(0.75).unwrap() - 0.55).abs() < 1e-9);
        assert_eq!(took.since(&took).quantile(0.5), None, "nothing was added");
        assert_eq!(Distribution(vec![(1.0, 0.0), (f64::INFINITY, 5.0)]).quantile(0.9), Some(1.0));
    }

    #[test]
    fn a_process_that_was_started_again_counts_from_nothing() {
        let (before, now) = (Distribution(vec![(1.0, 9.0)]), Distribution(vec![(1.0, 2.0)]));
        assert_eq!(now.since(&before), now);
    }

    #[test]
    fn other_metrics_are_named_as_such() {
        let error = parse("# TYPE up gauge\nup 1\n").err().unwrap().to_string();
        assert!(error.contains("not the metrics of Millrace"), "{error}");
    }
}
