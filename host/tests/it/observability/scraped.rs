//! Metrics as Prometheus would see them.

use std::time::{Duration, Instant};

use prometheus_parse::{Scrape, Value};

use crate::client::{Client, PATIENCE};

/// What `/metrics` answered.
pub struct Scraped {
    pub text: String,
    scrape: Scrape,
}

impl Scraped {
    pub async fn of(client: &Client) -> Self {
        let answer = client.get("/metrics").await;
        let text = answer.body.as_str().unwrap().to_owned();
        let scrape = Scrape::parse(text.lines().map(|line| Ok(line.to_owned()))).unwrap();
        Self { text, scrape }
    }

    /// Scrapes until `holds`.
    pub async fn until(client: &Client, what: &str, holds: impl Fn(&Self) -> bool) -> Self {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let scraped = Self::of(client).await;
            if holds(&scraped) {
                return scraped;
            }
            assert!(Instant::now() < deadline, "{what}:\n{}", scraped.text);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The sum of the series of `name` with these labels; of a histogram, how many were observed. None if there is no such series.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let of = |sample: &&prometheus_parse::Sample| {
            sample.metric == name && labels.iter().all(|(name, value)| sample.labels.get(name) == Some(value))
        };
        let values = self.scrape.samples.iter().filter(of).map(|sample| match &sample.value {
            Value::Counter(value) | Value::Gauge(value) | Value::Untyped(value) => *value,
            Value::Histogram(counts) => counts.last().map_or(0.0, |last| last.count),
            Value::Summary(_) => panic!("there are no summaries"),
        });
        values.reduce(|sum, value| sum + value)
    }

    /// Series of `name`.
    pub fn series(&self, name: &str) -> Vec<String> {
        let of = self.scrape.samples.iter().filter(|sample| sample.metric == name);
        of.map(|sample| format!("{:?}", sample.labels)).collect()
    }

    /// Lines that are numbers.
    pub fn size(&self) -> usize {
        self.text.lines().filter(|line| !line.starts_with('#')).count()
    }
}
