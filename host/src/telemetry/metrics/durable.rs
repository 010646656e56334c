//! What is counted of the database and the bus: commits, what waits, what is behind.

use std::time::Duration;

use prometheus::{Gauge, GaugeVec, Histogram, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Result};

use super::instruments::{FAST, Maker, UNITS};
use super::{Metrics, gauge};

/// The room that a database takes and has, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Of its write-ahead log.
    pub wal: u64,
    /// Of its own file, without the log.
    pub file: u64,
    /// Free on its file system.
    pub free: u64,
    /// Of its file system.
    pub size: u64,
}

pub(super) struct Durable {
    outbox: IntGauge,
    outbox_age: Gauge,
    lag: IntGaugeVec,
    bus_up: IntGaugeVec,
    dead_letters: IntCounterVec,
    ignored_events: IntCounterVec,
    parked: IntGauge,
    attention: IntGauge,
    due: IntGauge,
    held: IntGaugeVec,
    oldest_active: GaugeVec,
    commit_units: Histogram,
    commit_seconds: Histogram,
    wal_bytes: IntGaugeVec,
    file_bytes: IntGaugeVec,
    pruned: IntCounterVec,
    given_back: IntCounter,
    archive_failures: IntCounter,
    disk_free: IntGaugeVec,
    disk_size: IntGaugeVec,
    config_info: IntGaugeVec,
    processes: IntGauge,
    slots: IntGauge,
    lease: IntGauge,
}

impl Durable {
    pub(super) fn new(make: &Maker<'_>) -> Result<Self> {
        Ok(Self {
            outbox: make.one_gauge("outbox_events", "Events that are not published yet.")?,
            outbox_age: make
                .one_in_seconds("outbox_oldest_age_seconds", "Age of the oldest event that is not published yet; 0 if none.")?,
            lag: make.gauge("consumer_lag_events", "Events in a topic that this process's group has not handled yet.", &["topic"])?,
            bus_up: make.gauge("bus_up", "1 while the bus takes and delivers events.", &["bus"])?,
            dead_letters: make.counter("dead_letters_total", "Events that were moved to the dead letters.", &["topic", "consumer"])?,
            ignored_events: make.counter(
                "ignored_events_total",
                "Events that tell what did not happen to an instance that is kept here.",
                &["topic", "consumer", "reason"],
            )?,
            parked: make.one_gauge("parked_runs", "Runs that are set aside until a person looks at them.")?,
            attention: make.one_gauge("attention_instances", "Instances that ask for a person's attention.")?,
            due: make.one_gauge("timers_due", "Timers and runs whose time has come and that wait.")?,
            held: make.gauge(
                "reservations_held",
                "Units that are reserved, of any age or for so long, as far as this process has seen it.",
                &["age"],
            )?,
            oldest_active: make.seconds(
                "oldest_active_seconds",
                "Time since the last change of that unfinished instance which has not changed for longest; 0 if none.",
                &["workflow_type"],
            )?,
            commit_units: make.one_histogram("commit_units", "Writes that shared one transaction.", &UNITS)?,
            commit_seconds: make.one_histogram("sqlite_commit_seconds", "Time of one transaction, durable write included.", &FAST)?,
            wal_bytes: make.gauge("sqlite_wal_bytes", "Bytes of the write-ahead log.", &["database"])?,
            file_bytes: make.gauge("sqlite_file_bytes", "Bytes of the database's file, without its log.", &["database"])?,
            pruned: make.counter("pruned_rows_total", "Rows that were forgotten because they were old.", &["kind"])?,
            given_back: make.one_counter("sqlite_given_back_bytes_total", "Bytes that the database has given back to the file system.")?,
            archive_failures: make.one_counter(
                "archive_failures_total",
                "Times that finished instances could not be written to the archive: they stay in the database.",
            )?,
            disk_free: make.gauge("disk_free_bytes", "Bytes free on the file system of the database.", &["database"])?,
            disk_size: make.gauge("disk_size_bytes", "Bytes of the file system of the database.", &["database"])?,
            config_info: make.gauge("config_info", "The program that runs.", &["version"])?,
            processes: make.one_gauge("database_processes", "Processes that have the database open, this one among them.")?,
            slots: make.one_gauge("database_slots", "Parts of the outbox, of 64, whose events this process publishes.")?,
            lease: make.one_gauge(
                "database_lease",
                "1 while this process is sure that no other one takes it for dead; at 0 its runs are stopped.",
            )?,
        })
    }
}

impl Metrics {
    /// The version of the program that runs.
    pub fn program(&self, version: &str) {
        self.inner.durable.config_info.with_label_values(&[version]).set(1);
    }

    /// A group of `units` writes was committed.
    pub fn committed(&self, units: usize, took: Duration) {
        self.inner.durable.commit_units.observe(units as f64);
        self.inner.durable.commit_seconds.observe(took.as_secs_f64());
    }

    /// `consumer` is subscribed to `topic`: its dead letters begin at 0, and so do the events that it ignores for each of `reasons`.
    pub fn consumer(&self, topic: &str, consumer: &str, reasons: &[&str]) {
        self.inner.durable.dead_letters.with_label_values(&[topic, consumer]);
        for reason in reasons {
            self.inner.durable.ignored_events.with_label_values(&[topic, consumer, reason]);
        }
    }

    /// `consumer` ignores an event of `topic`, because it is not true; the reason is one of those given for the consumer.
    pub fn ignored_event(&self, topic: &str, consumer: &str, reason: &str) {
        self.inner.durable.ignored_events.with_label_values(&[topic, consumer, reason]).inc();
    }

    /// `consumer` will never take an event of `topic`; both are names of the config.
    pub fn dead_letter(&self, topic: &str, consumer: &str) {
        self.inner.durable.dead_letters.with_label_values(&[topic, consumer]).inc();
    }

    /// Events that are not published yet, and the age of the oldest.
    pub fn set_outbox(&self, events: u64, oldest: Duration) {
        self.inner.durable.outbox.set(gauge(events));
        self.inner.durable.outbox_age.set(oldest.as_secs_f64());
    }

    /// What waits for a person (runs, instances), and what is due and waits for this process.
    pub fn set_waiting(&self, parked: u64, attention: u64, due: u64) {
        self.inner.durable.parked.set(gauge(parked));
        self.inner.durable.attention.set(gauge(attention));
        self.inner.durable.due.set(gauge(due));
    }

    /// Units that are reserved for as long as `age` says, or longer.
    pub fn set_held(&self, age: &str, units: u64) {
        self.inner.durable.held.with_label_values(&[age]).set(gauge(units));
    }

    /// For how long an unfinished instance of `workflow` has not changed, at most.
    pub fn set_oldest_active(&self, workflow: &str, age: Duration) {
        self.inner.durable.oldest_active.with_label_values(&[workflow]).set(age.as_secs_f64());
    }

    /// Whether the bus, by the name of its module, takes and delivers events.
    pub fn set_bus_up(&self, bus: &str, up: bool) {
        self.inner.durable.bus_up.with_label_values(&[bus]).set(i64::from(up));
    }

    /// Events of `topic` that this process's group has not handled yet.
    pub fn set_lag(&self, topic: &str, events: u64) {
        self.inner.durable.lag.with_label_values(&[topic]).set(gauge(events));
    }

    /// `rows` of a kind were forgotten because they were old.
    pub fn pruned(&self, kind: &str, rows: u64) {
        self.inner.durable.pruned.with_label_values(&[kind]).inc_by(rows);
    }

    /// The database has given `bytes` back to the file system.
    pub fn given_back(&self, bytes: u64) {
        self.inner.durable.given_back.inc_by(bytes);
    }

    /// How many processes have the database, how much of the outbox is this one's, and whether it is sure of what it has.
    pub fn set_group(&self, processes: usize, slots: u32, lease: bool) {
        let durable = &self.inner.durable;
        durable.processes.set(gauge(processes as u64));
        durable.slots.set(i64::from(slots));
        durable.lease.set(i64::from(lease));
    }

    /// Finished instances could not be written to the archive.
    pub fn archive_failed(&self) {
        self.inner.durable.archive_failures.inc();
    }

    /// The room of a database, by the name of its module.
    pub fn set_space(&self, database: &str, space: Space) {
        let durable = &self.inner.durable;
        durable.wal_bytes.with_label_values(&[database]).set(gauge(space.wal));
        durable.file_bytes.with_label_values(&[database]).set(gauge(space.file));
        durable.disk_free.with_label_values(&[database]).set(gauge(space.free));
        durable.disk_size.with_label_values(&[database]).set(gauge(space.size));
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::telemetry::metrics) const EXPECTED: &[&str] = &[
        "outbox_events 4",
        "outbox_oldest_age_seconds 1.5",
        "consumer_lag_events{topic=\"t\"} 9",
        "bus_up{bus=\"b\"} 1",
        "dead_letters_total{consumer=\"c\",topic=\"t\"} 1",
        "ignored_events_total{consumer=\"c\",reason=\"r\",topic=\"t\"} 1",
        "parked_runs 1",
        "attention_instances 2",
        "timers_due 3",
        "reservations_held{age=\"24h\"} 7",
        "oldest_active_seconds{workflow_type=\"w\"} 60",
        "commit_units_bucket{le=\"4\"} 1",
        "sqlite_commit_seconds_count 1",
        "sqlite_wal_bytes{database=\"d\"} 1",
        "sqlite_file_bytes{database=\"d\"} 4",
        "pruned_rows_total{kind=\"k\"} 5",
        "sqlite_given_back_bytes_total 6",
        "archive_failures_total 1",
        "database_processes 2",
        "database_slots 32",
        "database_lease 1",
        "disk_free_bytes{database=\"d\"} 2",
        "disk_size_bytes{database=\"d\"} 3",
        "config_info{version=\"0.1.0\"} 1",
    ];

    pub(in crate::telemetry::metrics) fn record(metrics: &Metrics) {
        metrics.program("0.1.0");
        metrics.committed(3, Duration::from_millis(2));
        metrics.consumer("t", "c", &["r"]);
        metrics.dead_letter("t", "c");
        metrics.ignored_event("t", "c", "r");
        metrics.set_outbox(4, Duration::from_millis(1500));
        metrics.set_waiting(1, 2, 3);
        metrics.set_held("24h", 7);
        metrics.set_oldest_active("w", Duration::from_secs(60));
        metrics.set_bus_up("b", true);
        metrics.set_lag("t", 9);
        metrics.pruned("k", 5);
        metrics.given_back(6);
        metrics.archive_failed();
        metrics.set_group(2, 32, true);
        metrics.set_space("d", Space { wal: 1, file: 4, free: 2, size: 3 });
    }
}
