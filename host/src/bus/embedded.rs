//! The bus inside the process: what is published is handed to the subscribers before it counts as published.
//!
//! It keeps nothing. An event that a subscriber could not take stays unpublished, so the outbox behind the caller makes
//! this bus as durable as the store. Keys are delivered side by side, the events of one key one after the other.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream;
use parking_lot::RwLock;

use super::{Bus, BusError, BusHealth, Event, Lag, Receipt, Sink, Subscription, by_key, by_topic};
use crate::clock;
use crate::shutdown::Stop;

/// How the bus inside the process is set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Module name.
    pub name: String,
    /// Topics it lists, and those subscribed to or named by a trigger.
    pub topics: Vec<String>,
    /// Events under way at once; more wait in the outbox.
    pub max_queue_size: usize,
    /// How long one delivery may take.
    pub delivery_timeout: Duration,
}

/// See the module's text.
pub struct Embedded {
    deliveries_at_once: usize,
    delivery_timeout: Duration,
    listening: RwLock<Option<Listening>>,
}

#[derive(Clone)]
struct Listening {
    by_topic: Arc<HashMap<String, Vec<String>>>,
    sink: Arc<dyn Sink>,
}

impl Embedded {
    /// A bus that delivers `deliveries_at_once` keys side by side and gives a subscriber `delivery_timeout` for an event.
    #[must_use]
    pub fn new(deliveries_at_once: usize, delivery_timeout: Duration) -> Self {
        Self { deliveries_at_once: deliveries_at_once.max(1), delivery_timeout, listening: RwLock::new(None) }
    }

    async fn deliver_key(&self, listening: &Listening, events: Vec<(usize, &Event)>) -> Vec<(usize, Result<(), BusError>)> {
        let mut results = Vec::with_capacity(events.len());
        let mut held_back: Option<String> = None;
        for (index, event) in events {
            let result = match &held_back {
                Some(reason) => Err(BusError(reason.clone())),
                None => self.deliver(listening, event).await,
            };
            if let Err(BusError(reason)) = &result {
                held_back = Some(reason.clone());
            }
            results.push((index, result));
        }
        results
    }

    async fn deliver(&self, listening: &Listening, event: &Event) -> Result<(), BusError> {
        for consumer in listening.by_topic.get(&event.topic).into_iter().flatten() {
            let paused = clock::paused();
            let receipt = tokio::time::timeout(self.delivery_timeout, listening.sink.receive(consumer, event)).await;
            match receipt {
                Ok(Receipt::Done) => {}
                Ok(Receipt::Retry(reason) | Receipt::Wait(reason)) => {
                    return Err(BusError(format!("'{consumer}' could not take '{}': {reason}", event.topic)));
                }
                Ok(Receipt::Poison(reason)) => listening.sink.keep_dead_letter(consumer, event, &reason).await.map_err(BusError)?,
                // The subscriber was stopped with the whole process, and may have taken it meanwhile: it recognises what comes again.
                Err(_) if clock::paused() > paused => {
                    return Err(BusError(format!("the whole process was stopped while '{consumer}' had '{}'", event.topic)));
                }
                Err(_) => {
                    let reason = format!("'{consumer}' took longer than {:?}", self.delivery_timeout);
                    listening.sink.keep_dead_letter(consumer, event, &reason).await.map_err(BusError)?;
                }
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Bus for Embedded {
    async fn publish(&self, events: &[Event]) -> Vec<Result<(), BusError>> {
        let Some(listening) = self.listening.read().clone() else {
            return events.iter().map(|_| Err(BusError("the bus has not started".into()))).collect();
        };
        let deliveries: Vec<_> = by_key(events).into_iter().map(|batch| self.deliver_key(&listening, batch)).collect();
        let mut results: Vec<_> = stream::iter(deliveries).buffer_unordered(self.deliveries_at_once).collect::<Vec<_>>().await.concat();
        results.sort_by_key(|(index, _)| *index);
        results.into_iter().map(|(_, result)| result).collect()
    }

    async fn run(self: Arc<Self>, subscriptions: Vec<Subscription>, sink: Arc<dyn Sink>, stop: Stop) -> anyhow::Result<()> {
        *self.listening.write() = Some(Listening { by_topic: Arc::new(by_topic(subscriptions)), sink });
        stop.requested().await;
        *self.listening.write() = None;
        Ok(())
    }

    fn resubscribe(&self, _: &[String], subscriptions: Vec<Subscription>) {
        if let Some(listening) = self.listening.write().as_mut() {
            listening.by_topic = Arc::new(by_topic(subscriptions));
        }
    }

    /// What is not handled is not published, and waits in the outbox: there is never anything between.
    fn lag(&self) -> Vec<Lag> {
        let topics = self.listening.read().as_ref().map(|listening| Arc::clone(&listening.by_topic));
        topics.iter().flat_map(|topics| topics.keys()).map(|topic| Lag { topic: topic.clone(), events: 0 }).collect()
    }

    fn system(&self) -> &'static str {
        "millrace"
    }

    fn is_private(&self) -> bool {
        true
    }

    fn health(&self) -> BusHealth {
        if self.listening.read().is_some() { BusHealth::Up } else { BusHealth::Down("not started".into()) }
    }
}
