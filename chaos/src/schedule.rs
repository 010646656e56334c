//! Which fault when: a function of the seed, so that a run can be done again.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::{IndexedRandom as _, SliceRandom as _};
use rand::{RngExt as _, SeedableRng as _};
use serde::{Deserialize, Serialize};

/// What is done to the program. Times are in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "snake_case")]
pub enum Fault {
    /// Killed while it works, and started again after a while.
    Kill {
        /// How long it is gone.
        down: u64,
    },
    /// Killed so soon after it has answered 201.
    KillAfterAnswer {
        /// How soon, in microseconds.
        within: u64,
    },
    /// Killed, started, and killed again before it is ready.
    KillStarting {
        /// How long after its start.
        after: u64,
    },
    /// Killed, started, and killed again when it has just become ready and takes up what was under way.
    KillRecovering {
        /// How long after it is ready.
        after: u64,
    },
    /// Everything of it stands still, and goes on.
    Pause {
        /// For how long.
        still: u64,
    },
    /// Asked to stop, and started again.
    Stop,
    /// Killed, and started with another date.
    Jump {
        /// How far the date is from the real one, in minutes.
        minutes: i64,
    },
    /// The file of a component is replaced.
    Swap {
        /// Name of the file, without `.wasm`.
        component: String,
        /// By what.
        with: Version,
    },
    /// A second process is started on the same database.
    Second,
    /// The database is copied while it is written.
    Copy,
    /// The server of the database ends all its connections.
    Disconnect,
    /// What goes between two processes does not arrive, or not as it should. Other faults may come meanwhile.
    Cut {
        /// Between which two.
        link: Link,
        /// What becomes of it.
        how: Cut,
        /// For how long.
        lasts: u64,
    },
    /// The power is cut, and the program started with what the disk has then.
    PowerCut {
        /// When.
        moment: Moment,
        /// What the disk has of what was not synced is a function of this.
        choice: u64,
    },
    /// The program kills itself at a place in its source, see `host/src/faults.rs`. It has to be built for that.
    CrashAt {
        /// Name of the place.
        point: String,
        /// The how manieth time that it comes there.
        hit: u32,
    },
}

/// When the power is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Moment {
    /// So soon after a 201, in microseconds.
    Serving(u64),
    /// So long after a start, which follows another cut.
    Starting(u64),
    /// So long after it was asked to stop.
    Stopping(u64),
}

/// What a component's file is replaced by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Version {
    /// The same component with another digest.
    Good(u8),
    /// Another component altogether.
    Foreign,
    /// Half of the file.
    Half,
    /// No component.
    Garbage,
}

/// As what the shop runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// One process, whose bus is within it.
    #[default]
    Monolith,
    /// Gateway, users-products and orders over Kafka.
    Processes,
    /// The same with three processes of orders over one PostgreSQL.
    Scale,
}

/// Whom a fault is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// All processes of the shop at once.
    #[default]
    Shop,
    /// The one that customers speak to.
    Gateway,
    /// Accounts, catalogue and stock.
    UsersProducts,
    /// Orders and their components, all processes that share them.
    Orders,
    /// One of those that share the orders, by its place from 0.
    OneOfOrders(u8),
    /// Kafka.
    Broker,
    /// PostgreSQL.
    Database,
}

/// Two processes of which the first one connects to the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Link {
    /// Accounts and catalogue of customers.
    GatewayToUsersProducts,
    /// Orders of customers.
    GatewayToOrders,
    /// Prices and stock.
    OrdersToUsersProducts,
    /// Payments.
    OrdersToBank,
    /// Events of orders.
    OrdersToBroker,
    /// Events of accounts.
    UsersProductsToBroker,
    /// Orders of customers, where several processes share them.
    GatewayToOneOfOrders(u8),
    /// The database that several processes share.
    OneOfOrdersToDatabase(u8),
}

impl Link {
    /// All of the shop as three processes.
    pub const ALL: [Self; 6] = [
        Self::GatewayToUsersProducts,
        Self::GatewayToOrders,
        Self::OrdersToUsersProducts,
        Self::OrdersToBank,
        Self::OrdersToBroker,
        Self::UsersProductsToBroker,
    ];

    /// All of a shop of that shape.
    pub fn of(shape: Shape) -> Vec<Self> {
        match shape {
            Shape::Monolith => Vec::new(),
            Shape::Processes => Self::ALL.to_vec(),
            Shape::Scale => {
                let shared = Self::ALL.into_iter().filter(|link| *link != Self::GatewayToOrders);
                shared
                    .chain((0..SHARING).flat_map(|place| [Self::GatewayToOneOfOrders(place), Self::OneOfOrdersToDatabase(place)]))
                    .collect()
            }
        }
    }
}

/// What becomes of what goes through a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cut {
    /// Connections are reset, and new ones too.
    Reset,
    /// Nothing arrives, in either direction, until it is over: then all of it does.
    Hold,
    /// What is asked arrives, and no answer does; at the end connections are reset.
    LoseAnswers,
    /// Everything arrives later, by so many milliseconds.
    Slow(u64),
}

/// A fault and when it is due, in milliseconds since the run began. One that is due while another one lasts comes after it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Due {
    /// When.
    pub at: u64,
    /// To whom.
    #[serde(default)]
    pub on: Target,
    /// What.
    #[serde(flatten)]
    pub fault: Fault,
}

/// Everything of a run that is not left to chance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// What it is made from; the clients take their own numbers from it too.
    pub seed: u64,
    /// As what the shop runs.
    #[serde(default)]
    pub shape: Shape,
    /// How many buy at the same time.
    #[serde(default = "customers")]
    pub customers: u64,
    /// So many orders are placed at once, and nothing else is done; 0 where customers buy in their own time.
    #[serde(default)]
    pub burst: u64,
    /// How long customers buy, in milliseconds.
    pub span: u64,
    /// In the sequence in which they are due.
    pub faults: Vec<Due>,
}

/// How many buy at the same time where nothing else is said.
const fn customers() -> u64 {
    6
}

/// Between two swaps where a run has nothing but swaps, in milliseconds, and how many buy meanwhile.
const SWAPS: (u64, u64) = (20, 24);
/// How many place a burst, and when after its begin the program is killed, in milliseconds: most of it is under way then.
const BURST: (u64, u64) = (250, 3_000);
/// Between two faults, in milliseconds.
const PAUSES: std::ops::Range<u64> = 300..1_500;
/// The same where several processes have to become ready.
const LONGER_PAUSES: std::ops::Range<u64> = 500..2_200;
/// How many processes share the orders where several do.
pub const SHARING: u8 = 3;
/// How long one of them is away for which another one is to step in, stands still, or has no database, in milliseconds: longer than until the
/// others take it for dead.
const LONGER_THAN_THE_LEASE: std::ops::Range<u64> = 11_000..15_000;
/// A process that is gone for longer is started again while other things happen, in milliseconds.
pub const AWAY_FROM: u64 = 5_000;
/// Between two places in which the program kills itself, in milliseconds.
const CRASHES_EVERY: u64 = 1_500;
/// Between two cuts of the power, in milliseconds: half a second of that is a start.
const CUTS_EVERY: std::ops::Range<u64> = 700..1_300;
/// The components of the shop.
pub const COMPONENTS: [&str; 4] = ["inventory", "payment", "shipping", "notify"];

impl Schedule {
    /// That of a seed, for so long.
    pub fn of(shape: Shape, seed: u64, span: Duration) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let span = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        let pauses = if shape == Shape::Monolith { PAUSES } else { LONGER_PAUSES };
        let mut faults = Vec::new();
        let mut at = random.random_range(pauses.clone());
        while at < span {
            let (on, fault) = match shape {
                Shape::Monolith => (Target::Shop, fault(&mut random)),
                Shape::Processes => fault_among_processes(&mut random),
                Shape::Scale => fault_among_several(&mut random),
            };
            faults.push(Due { at, on, fault });
            at += random.random_range(pauses.clone());
        }
        Self { seed, shape, customers: customers(), burst: 0, span, faults }
    }

    /// One in which the program kills itself at each of these places, the how manieth time that it comes there `hits` says; without any a number
    /// that the seed decides, as it does the sequence. Of several processes it is the one that comes there.
    pub fn of_crash_points(shape: Shape, seed: u64, points: &[String], hits: &[u32]) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let every = if shape == Shape::Monolith { CRASHES_EVERY } else { 2 * CRASHES_EVERY };
        let mut crashes = Vec::new();
        for point in points {
            let any = [random.random_range(1..8)];
            // The last steps of a stop, and of a start, are made once.
            let hits = match point.as_str() {
                "in-recovery" | "before-the-last-checkpoint" => &[1][..],
                _ if hits.is_empty() => &any[..],
                _ => hits,
            };
            crashes.extend(hits.iter().map(|hit| Fault::CrashAt { point: point.clone(), hit: *hit }));
        }
        crashes.shuffle(&mut random);
        let on = |fault: &Fault| match (shape, fault) {
            (Shape::Monolith, _) => Target::Shop,
            (_, Fault::CrashAt { point, .. }) if point == "in-stock-release" => Target::UsersProducts,
            (Shape::Processes, _) => Target::Orders,
            (Shape::Scale, _) => Target::OneOfOrders(0),
        };
        let due = |(place, fault): (u64, Fault)| Due { at: 500 + place * every, on: on(&fault), fault };
        let faults: Vec<Due> = (0..).zip(crashes).map(due).collect();
        Self { seed, shape, customers: customers(), burst: 0, span: 500 + faults.len() as u64 * every, faults }
    }

    /// One in which components are replaced so many times, fifty times a second, by good versions and by what must not serve.
    pub fn of_swaps(seed: u64, number: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let (every, customers) = SWAPS;
        let swap = |place: u64| {
            let component = (*COMPONENTS.choose(&mut random).unwrap_or(&"payment")).to_owned();
            Due { at: 500 + place * every, on: Target::Orders, fault: Fault::Swap { component, with: version(&mut random) } }
        };
        Self { seed, shape: Shape::Monolith, customers, burst: 0, span: 1_000 + number * every, faults: (0..number).map(swap).collect() }
    }

    /// One in which the power is cut so many times, and nothing else happens.
    pub fn of_power_cuts(seed: u64, number: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let (mut at, mut faults) = (0, Vec::new());
        for _ in 0..number {
            at += random.random_range(CUTS_EVERY);
            let moment = match random.random_range(0..20) {
                0..15 => Moment::Serving(random.random_range(0..30_000)),
                15..18 => Moment::Starting(random.random_range(0..600)),
                _ => Moment::Stopping(random.random_range(0..400)),
            };
            faults.push(Due { at, on: Target::Shop, fault: Fault::PowerCut { moment, choice: random.random() } });
        }
        Self { seed, shape: Shape::Monolith, customers: customers(), burst: 0, span: at + 1_000, faults }
    }

    /// One in which so many orders are placed as fast as 250 customers can, and the program is killed while they are under way.
    pub fn of_burst(shape: Shape, seed: u64, orders: u64) -> Self {
        let (customers, at) = BURST;
        let killed = Due { at, on: Target::Shop, fault: Fault::Kill { down: 0 } };
        Self { seed, shape, customers: customers.min(orders.max(1)), burst: orders, span: at, faults: vec![killed] }
    }

    /// Whether the power is cut, so that it has to be known what is on the disk.
    pub fn cuts_power(&self) -> bool {
        self.faults.iter().any(|due| matches!(due.fault, Fault::PowerCut { .. }))
    }

    /// Whether the program is never disturbed but by files.
    pub fn is_of_swaps(&self) -> bool {
        self.faults.iter().all(|due| matches!(due.fault, Fault::Swap { .. }))
    }

    /// The same with these faults only.
    pub fn with(&self, faults: Vec<Due>) -> Self {
        Self { faults, ..self.clone() }
    }
}

fn fault(random: &mut StdRng) -> Fault {
    match random.random_range(0..100) {
        0..26 => Fault::Kill { down: random.random_range(0..300) },
        26..48 => Fault::KillAfterAnswer { within: random.random_range(0..20_000) },
        48..55 => Fault::KillStarting { after: random.random_range(0..400) },
        55..65 => Fault::KillRecovering { after: random.random_range(0..60) },
        65..75 => Fault::Pause { still: random.random_range(100..2_500) },
        75..82 => Fault::Stop,
        82..86 => Fault::Jump { minutes: *[-1_500, -60, 0, 60, 1_500].choose(random).unwrap_or(&0) },
        86..96 => Fault::Swap { component: (*COMPONENTS.choose(random).unwrap_or(&"payment")).to_owned(), with: version(random) },
        96..98 => Fault::Second,
        _ => Fault::Copy,
    }
}

fn fault_among_processes(random: &mut StdRng) -> (Target, Fault) {
    let on = match random.random_range(0..20) {
        0..10 => Target::Orders,
        10..14 => Target::UsersProducts,
        14..17 => Target::Gateway,
        _ => Target::Shop,
    };
    match random.random_range(0..100) {
        0..20 => (on, Fault::Kill { down: random.random_range(0..600) }),
        20..36 => (on, Fault::KillAfterAnswer { within: random.random_range(0..20_000) }),
        36..42 => (on, Fault::KillStarting { after: random.random_range(0..400) }),
        42..50 => (on, Fault::KillRecovering { after: random.random_range(0..60) }),
        50..57 => (Target::Broker, Fault::Kill { down: random.random_range(0..2_000) }),
        57..61 => (Target::Broker, Fault::Pause { still: random.random_range(100..4_000) }),
        61..68 => (on, Fault::Pause { still: random.random_range(100..2_500) }),
        68..74 => (on, Fault::Stop),
        74..87 => {
            let link = *Link::ALL.choose(random).unwrap_or(&Link::OrdersToBroker);
            let how = cut(random);
            (Target::Shop, Fault::Cut { link, how, lasts: random.random_range(200..3_000) })
        }
        // What stands in for the library of dates does not reach every wait of Kafka's client, which would be told two dates at once.
        87..89 => (Target::Gateway, Fault::Jump { minutes: *[-1_500, -60, 0, 60, 1_500].choose(random).unwrap_or(&0) }),
        89..96 => (
            Target::Orders,
            Fault::Swap { component: (*COMPONENTS.choose(random).unwrap_or(&"payment")).to_owned(), with: version(random) },
        ),
        96..98 => (if random.random_bool(0.5) { Target::Orders } else { Target::UsersProducts }, Fault::Second),
        _ => (Target::Orders, Fault::Copy),
    }
}

fn fault_among_several(random: &mut StdRng) -> (Target, Fault) {
    let one = Target::OneOfOrders(random.random_range(0..SHARING));
    let on = match random.random_range(0..20) {
        0..14 => one,
        14..16 => Target::UsersProducts,
        16 => Target::Gateway,
        17..19 => Target::Orders,
        _ => Target::Shop,
    };
    match random.random_range(0..100) {
        0..22 => (on, Fault::Kill { down: random.random_range(0..600) }),
        22..42 => (on, Fault::KillAfterAnswer { within: random.random_range(0..20_000) }),
        42..48 => (on, Fault::KillStarting { after: random.random_range(0..400) }),
        48..54 => (on, Fault::KillRecovering { after: random.random_range(0..60) }),
        54..66 => (one, Fault::Kill { down: random.random_range(LONGER_THAN_THE_LEASE) }),
        66..69 => (Target::Broker, Fault::Kill { down: random.random_range(0..2_000) }),
        69..73 => (Target::Database, Fault::Kill { down: random.random_range(0..2_000) }),
        73..76 => (one, Fault::Pause { still: random.random_range(LONGER_THAN_THE_LEASE) }),
        76..81 => (on, Fault::Pause { still: random.random_range(100..2_500) }),
        81..85 => (on, Fault::Stop),
        85..93 => {
            let link = *Link::of(Shape::Scale).choose(random).unwrap_or(&Link::OrdersToBroker);
            (Target::Shop, Fault::Cut { link, how: cut(random), lasts: random.random_range(200..3_000) })
        }
        93..95 => {
            let link = Link::OneOfOrdersToDatabase(random.random_range(0..SHARING));
            (Target::Shop, Fault::Cut { link, how: cut(random), lasts: random.random_range(LONGER_THAN_THE_LEASE) })
        }
        95..97 => (Target::Database, Fault::Disconnect),
        _ => (
            Target::Orders,
            Fault::Swap { component: (*COMPONENTS.choose(random).unwrap_or(&"payment")).to_owned(), with: version(random) },
        ),
    }
}

fn cut(random: &mut StdRng) -> Cut {
    match random.random_range(0..4) {
        0 => Cut::Reset,
        1 => Cut::Hold,
        2 => Cut::LoseAnswers,
        _ => Cut::Slow(random.random_range(20..400)),
    }
}

fn version(random: &mut StdRng) -> Version {
    match random.random_range(0..6) {
        0..3 => Version::Good(random.random_range(1..=250)),
        3 => Version::Foreign,
        4 => Version::Half,
        _ => Version::Garbage,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_one_schedule_and_another_seed_another_one() {
        let minute = Duration::from_secs(60);
        for shape in [Shape::Monolith, Shape::Processes, Shape::Scale] {
            assert_eq!(Schedule::of(shape, 7, minute), Schedule::of(shape, 7, minute));
            assert_ne!(Schedule::of(shape, 7, minute).faults, Schedule::of(shape, 8, minute).faults);
        }
    }

    #[test]
    fn a_few_schedules_together_have_every_kind_of_fault() {
        let text = |shape, seed| serde_json::to_string(&Schedule::of(shape, seed, Duration::from_secs(60))).expect("JSON");
        let one = (0..8).map(|seed| text(Shape::Monolith, seed)).collect::<String>();
        let kinds = ["kill", "kill_after_answer", "kill_starting", "kill_recovering", "pause", "stop", "jump", "swap", "second", "copy"];
        for kind in kinds {
            assert!(one.contains(&format!("\"fault\":\"{kind}\"")), "{kind}");
        }
        let several = (0..12).map(|seed| text(Shape::Processes, seed)).collect::<String>();
        for kind in kinds.into_iter().chain(["cut"]) {
            assert!(several.contains(&format!("\"fault\":\"{kind}\"")), "{kind}");
        }
        for target in ["shop", "gateway", "users_products", "orders", "broker"] {
            assert!(several.contains(&format!("\"on\":\"{target}\"")), "{target}");
        }
        for cut in ["\"reset\"", "\"hold\"", "\"lose_answers\"", "{\"slow\":"] {
            assert!(several.contains(&format!("\"how\":{cut}")), "{cut}");
        }
        let sharing = (0..12).map(|seed| text(Shape::Scale, seed)).collect::<String>();
        for kind in ["kill", "kill_after_answer", "kill_starting", "kill_recovering", "pause", "stop", "swap", "cut", "disconnect"] {
            assert!(sharing.contains(&format!("\"fault\":\"{kind}\"")), "{kind}");
        }
        for place in 0..SHARING {
            for of_one in [format!("\"on\":{{\"one_of_orders\":{place}}}"), format!("\"link\":{{\"one_of_orders_to_database\":{place}}}")] {
                assert!(sharing.contains(&of_one), "{of_one}");
            }
        }
        // Several processes over one database are what is wanted there, and such a database is copied by other means.
        assert!(!sharing.contains("\"second\"") && !sharing.contains("\"copy\""));
    }

    #[test]
    fn a_schedule_of_crash_points_has_each_at_each_number_and_what_happens_once_at_the_first() {
        let points = ["answered", "in-recovery", "in-stock-release"].map(str::to_owned);
        for shape in [Shape::Monolith, Shape::Processes] {
            let schedule = Schedule::of_crash_points(shape, 1, &points, &[1, 2, 7]);
            let mut crashes: Vec<(&str, u32)> = schedule
                .faults
                .iter()
                .filter_map(|due| match &due.fault {
                    Fault::CrashAt { point, hit } => Some((point.as_str(), *hit)),
                    _ => None,
                })
                .collect();
            crashes.sort_unstable();
            let release = "in-stock-release";
            assert_eq!(
                crashes,
                [("answered", 1), ("answered", 2), ("answered", 7), ("in-recovery", 1), (release, 1), (release, 2), (release, 7)]
            );
        }
        assert_eq!(Schedule::of_crash_points(Shape::Monolith, 1, &points, &[]).faults.len(), 3);
    }

    #[test]
    fn a_schedule_of_swaps_has_nothing_else() {
        let schedule = Schedule::of_swaps(1, 100);
        assert!(schedule.faults.len() == 100 && schedule.is_of_swaps());
        assert!(!Schedule::of(Shape::Monolith, 1, Duration::from_secs(60)).is_of_swaps());
    }

    #[test]
    fn a_schedule_of_a_burst_has_all_its_orders_and_one_kill() {
        for orders in [3, 5_000] {
            let schedule = Schedule::of_burst(Shape::Monolith, 1, orders);
            assert!(
                schedule.burst == orders
                    && schedule.customers <= orders
                    && matches!(schedule.faults[..], [Due { fault: Fault::Kill { .. }, .. }])
            );
        }
        assert_eq!(Schedule::of(Shape::Monolith, 1, Duration::from_secs(60)).burst, 0);
    }

    #[test]
    fn a_schedule_of_power_cuts_has_them_at_every_moment_and_nothing_else() {
        let schedule = Schedule::of_power_cuts(1, 100);
        assert!(schedule.faults.len() == 100 && schedule.cuts_power());
        assert_eq!(schedule, Schedule::of_power_cuts(1, 100));
        let text = serde_json::to_string(&schedule).expect("JSON");
        assert_eq!(serde_json::from_str::<Schedule>(&text).expect("a schedule"), schedule);
        for moment in ["serving", "starting", "stopping"] {
            assert!(text.contains(moment), "{moment}");
        }
        assert!(!Schedule::of(Shape::Monolith, 1, Duration::from_secs(60)).cuts_power());
    }

    #[test]
    fn a_schedule_that_was_written_is_read_as_it_was() {
        for shape in [Shape::Monolith, Shape::Processes, Shape::Scale] {
            let schedule = Schedule::of(shape, 3, Duration::from_secs(20));
            let text = serde_json::to_string(&schedule).expect("JSON");
            assert_eq!(serde_json::from_str::<Schedule>(&text).expect("a schedule"), schedule);
        }
    }
}
