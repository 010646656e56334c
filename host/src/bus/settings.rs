//! Which bus a process has.

use std::sync::Arc;

use anyhow::Context as _;

use super::embedded::{self, Embedded};
use super::kafka::{self, Kafka};
use super::{Bus, Member};

/// Which bus a process has, and how it is set. Each kind has its settings beside its code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settings {
    /// Inside the process.
    Embedded(embedded::Settings),
    /// Apache Kafka.
    Kafka(kafka::Settings),
}

impl Settings {
    /// Name of its module.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Embedded(settings) => &settings.name,
            Self::Kafka(settings) => &settings.name,
        }
    }

    /// The group of consumers that the process is in, where there are groups.
    #[must_use]
    pub fn group(&self) -> Option<&str> {
        match self {
            Self::Embedded(_) => None,
            Self::Kafka(settings) => Some(&settings.group_id),
        }
    }

    /// Topics that are known.
    #[must_use]
    pub fn topics(&self) -> &[String] {
        match self {
            Self::Embedded(settings) => &settings.topics,
            Self::Kafka(settings) => &settings.topics,
        }
    }

    /// The same with these topics.
    #[must_use]
    pub fn with_topics(self, topics: Vec<String>) -> Self {
        match self {
            Self::Embedded(settings) => Self::Embedded(embedded::Settings { topics, ..settings }),
            Self::Kafka(settings) => Self::Kafka(kafka::Settings { topics, ..settings }),
        }
    }

    /// The bus, which does nothing until it runs. `member` is what this process is among those that share its work.
    ///
    /// # Errors
    /// The settings are not accepted.
    pub fn build(&self, member: Member) -> anyhow::Result<Arc<dyn Bus>> {
        Ok(match self {
            Self::Embedded(settings) => Arc::new(Embedded::new(settings.max_queue_size, settings.delivery_timeout)),
            Self::Kafka(settings) => Arc::new(Kafka::new(settings.clone(), member).with_context(|| format!("module '{}'", settings.name))?),
        })
    }
}
