//! How the clients of the broker are set, in one place: what librdkafka does by itself loses or delays messages.

use std::time::Duration;

use rdkafka::ClientConfig;

/// Partitions of a topic: how many processes of one group could share the work. Fixed when a topic is made, because a key
/// changes its partition when their number changes.
pub const PARTITIONS: i32 = 6;
/// Bytes of the largest event.
pub const MAX_EVENT_BYTES: usize = 16 << 20;
/// The same for the settings of topics.
pub(super) const MAX_MESSAGE_BYTES: &str = "16777216";

/// How long an event may wait for the broker's acknowledgement before it counts as not published.
const DELIVERY_TIMEOUT_MS: u32 = 10_000;
/// Longest pause between two attempts to connect.
const RECONNECT_MS: u32 = 1_000;
/// How often a client looks whether topics or partitions have changed.
const METADATA_REFRESH_MS: u32 = 5_000;
/// How often stored offsets are committed. What was done since is delivered again after a crash, and recognised.
const COMMIT_INTERVAL_MS: u32 = 1_000;
/// How often a consumer tells how far it is behind.
const STATISTICS_MS: u32 = 5_000;
/// How long the broker holds a request for events when there are none.
const FETCH_WAIT_MS: u32 = 50;
/// KiB of one partition's events that are fetched ahead.
const FETCHED_AHEAD_KIB: u32 = 1_024;
/// Pause of the fetcher while that much waits.
const FETCH_PAUSE_MS: u32 = 20;

/// How to reach the broker, and as whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Module name.
    pub name: String,
    /// `host:port`.
    pub brokers: Vec<String>,
    /// Consumer group.
    pub group_id: String,
    /// Which member of the group this is, if the config says so, and the name of the machine otherwise; another member with the same one takes
    /// its place.
    pub instance_id: Option<String>,
    /// Topics that are made at the start, beside those subscribed to.
    pub topics: Vec<String>,
    /// What the name of every topic begins with at the broker, and nowhere else.
    pub topic_prefix: String,
}

/// How often an event is delivered again to a consumer that cannot take it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patience {
    /// Deliveries before it becomes a dead letter.
    pub deliveries: u32,
    /// Wait after the first one; it doubles with each.
    pub first_wait: Duration,
    /// It never waits longer.
    pub longest_wait: Duration,
}

impl Default for Patience {
    /// About half a minute.
    fn default() -> Self {
        Self { deliveries: 12, first_wait: Duration::from_millis(100), longest_wait: Duration::from_secs(5) }
    }
}

impl Patience {
    /// Wait after that many deliveries, from 1.
    pub(super) fn wait(&self, deliveries: u32) -> Duration {
        let doubled = self.first_wait.saturating_mul(1_u32.checked_shl(deliveries.saturating_sub(1)).unwrap_or(u32::MAX));
        doubled.min(self.longest_wait)
    }
}

impl Settings {
    /// The name of this machine or container, unless the config says how this member of the group is called.
    fn member(&self) -> String {
        let machine = || hostname::get().map_or_else(|_| "only".to_owned(), |name| name.to_string_lossy().into_owned());
        self.instance_id.clone().unwrap_or_else(machine)
    }

    /// Has the process with this number among those of its machine be a member of its own, where the config does not say how it is called.
    pub(super) fn take_seat(&mut self, seat: u32) {
        if seat > 1 && self.instance_id.is_none() {
            self.instance_id = Some(format!("{}-{seat}", self.member()));
        }
    }

    /// The name that this member of the group has at the broker.
    pub(super) fn member_name(&self) -> String {
        format!("{}-{}", self.group_id, self.member())
    }

    /// What `topic` is called at the broker.
    pub(super) fn at_broker(&self, topic: &str) -> String {
        format!("{}{topic}", self.topic_prefix)
    }

    /// What a topic of the broker is called here.
    pub(super) fn name_here<'a>(&self, topic: &'a str) -> &'a str {
        topic.strip_prefix(&*self.topic_prefix).unwrap_or(topic)
    }

    /// What every client has in common.
    pub(super) fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", self.brokers.join(","))
            .set("client.id", &self.group_id)
            .set("reconnect.backoff.ms", "100")
            .set("reconnect.backoff.max.ms", RECONNECT_MS.to_string())
            .set("topic.metadata.refresh.interval.ms", METADATA_REFRESH_MS.to_string())
            .set("socket.keepalive.enable", "true")
            .set("socket.nagle.disable", "true")
            .set("log.connection.close", "false");
        config
    }

    /// One that publishes.
    pub(super) fn producer(&self) -> ClientConfig {
        let mut config = self.client();
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("linger.ms", "1")
            .set("compression.type", "lz4")
            .set("partitioner", "murmur2_random")
            .set("delivery.timeout.ms", DELIVERY_TIMEOUT_MS.to_string())
            .set("message.max.bytes", MAX_EVENT_BYTES.to_string());
        config
    }

    /// One that receives as a member of the group. The same member comes back after a restart without a rebalance.
    pub(super) fn consumer(&self) -> ClientConfig {
        let mut config = self.reader(&self.group_id);
        config
            .set("session.timeout.ms", "6000")
            .set("heartbeat.interval.ms", "2000")
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("group.instance.id", self.member_name())
            .set("enable.auto.commit", "true")
            .set("auto.commit.interval.ms", COMMIT_INTERVAL_MS.to_string())
            .set("statistics.interval.ms", STATISTICS_MS.to_string())
            .set("fetch.wait.max.ms", FETCH_WAIT_MS.to_string())
            .set("fetch.error.backoff.ms", "100")
            .set("fetch.queue.backoff.ms", FETCH_PAUSE_MS.to_string())
            .set("queued.max.messages.kbytes", FETCHED_AHEAD_KIB.to_string());
        config
    }

    /// One that reads from the first event that `group` has not got.
    pub(super) fn reader(&self, group: &str) -> ClientConfig {
        let mut config = self.client();
        config
            .set("group.id", group)
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "earliest")
            .set("fetch.message.max.bytes", MAX_EVENT_BYTES.to_string());
        config
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_take_the_largest_event() {
        assert_eq!(MAX_MESSAGE_BYTES, MAX_EVENT_BYTES.to_string());
    }

    #[test]
    fn processes_of_one_machine_are_members_of_their_own_unless_the_config_names_them() {
        let of = |instance_id: Option<&str>, seat| {
            let mut settings = Settings {
                name: "bus".into(),
                brokers: Vec::new(),
                group_id: "group".into(),
                instance_id: instance_id.map(str::to_owned),
                topics: Vec::new(),
                topic_prefix: String::new(),
            };
            settings.take_seat(seat);
            settings.member_name()
        };
        let first = of(None, 1);
        assert_eq!(of(None, 2), format!("{first}-2"));
        assert_eq!([1, 2].map(|seat| of(Some("a"), seat)), ["group-a", "group-a"]);
    }

    #[test]
    fn waits_double_up_to_the_longest() {
        let patience = Patience { deliveries: 9, first_wait: Duration::from_millis(100), longest_wait: Duration::from_millis(500) };
        let waits: Vec<u128> = [1, 2, 3, 4, 40].map(|deliveries| patience.wait(deliveries).as_millis()).to_vec();
        assert_eq!(waits, [100, 200, 400, 500, 500]);
    }
}
