//! What is shown, as tables of text: computed from two readings, the same for a screen and for a file.

use std::fmt;
use std::time::Duration;

use super::reading::Reading;

/// Characters between two columns.
const GAP: usize = 2;

/// Characters that the text in the last column of a table has room for, however narrow the screen.
const LEAST_TEXT: usize = 16;

/// How a piece of text is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Title,
    Head,
    Plain,
    Good,
    Warning,
    Bad,
}

/// A value, or any other piece of a line.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Cell {
    pub text: String,
    pub tone: Tone,
}

/// Rows under a title.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Table {
    pub title: &'static str,
    pub head: Vec<&'static str>,
    /// Columns that are left out where there is no room for all, the first one first.
    pub least: &'static [&'static str],
    pub rows: Vec<Vec<Cell>>,
}

/// Everything.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Page {
    pub tables: Vec<Table>,
}

impl Cell {
    fn plain(text: impl Into<String>) -> Self {
        Self { text: text.into(), tone: Tone::Plain }
    }

    /// A number that should be 0.
    fn ailing(count: f64, tone: Tone) -> Self {
        Self { text: whole(count), tone: if count > 0.0 { tone } else { Tone::Plain } }
    }
}

/// Two readings of one process.
struct Pair<'a> {
    before: &'a Reading,
    now: &'a Reading,
}

impl Page {
    /// Of processes that were read twice, in the same sequence.
    pub fn of(before: &[Reading], now: &[Reading]) -> Self {
        let pairs: Vec<Pair<'_>> = before.iter().zip(now).map(|(before, now)| Pair { before, now }).collect();
        let tables = [processes(&pairs), ailments(&pairs), workflows(&pairs), waiting(&pairs), components(&pairs), steps(&pairs)];
        Self { tables: tables.into_iter().filter(|table| !table.rows.is_empty()).collect() }
    }
}

impl Pair<'_> {
    fn seconds(&self) -> f64 {
        let between = self.now.at.zip(self.before.at).map(|(now, before)| now.duration_since(before));
        between.unwrap_or(Duration::ZERO).as_secs_f64().max(1e-3)
    }

    /// Increase of a counter in a second.
    fn rate(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        ((self.now.sum(name, labels) - self.before.sum(name, labels)) / self.seconds()).max(0.0)
    }

    /// A quantile of what was observed between the readings, or, if nothing was, ever.
    fn quantile(&self, name: &str, labels: &[(&str, &str)], quantile: f64) -> Cell {
        let ever = self.now.distribution(name, labels);
        let lately = ever.since(&self.before.distribution(name, labels));
        Cell::plain(lately.quantile(quantile).or_else(|| ever.quantile(quantile)).map_or_else(|| "-".into(), duration))
    }

    fn name(&self) -> &str {
        self.now.url.split_once("://").map_or(self.now.url.as_str(), |(_, rest)| rest)
    }
}

fn processes(pairs: &[Pair<'_>]) -> Table {
    let row = |pair: &Pair<'_>| {
        let name = Cell::plain(pair.name());
        if pair.now.problem.is_some() {
            return vec![name, Cell { text: "no answer".into(), tone: Tone::Bad }];
        }
        let tone = match pair.now.health.as_str() {
            "healthy" => Tone::Good,
            "degraded" => Tone::Warning,
            _ => Tone::Bad,
        };
        let errors = pair.now.by("http_requests_total", "status_code");
        let before = pair.before.by("http_requests_total", "status_code");
        let failed: f64 =
            errors.iter().filter(|(code, _)| code.starts_with('5')).map(|(code, n)| n - before.get(code).unwrap_or(&0.0)).sum();
        vec![
            name,
            Cell { text: pair.now.health.clone(), tone },
            Cell::plain(pair.now.values("config_info", "version", &[]).join(", ")),
            Cell::plain(rate(pair.rate("http_requests_total", &[]))),
            Cell { text: rate(failed.max(0.0) / pair.seconds()), tone: if failed > 0.0 { Tone::Bad } else { Tone::Plain } },
            pair.quantile("http_request_duration_seconds", &[], 0.95),
            Cell::plain(bytes(pair.now.sum("process_resident_memory_bytes", &[]))),
        ]
    };
    Table {
        title: "Processes",
        head: vec!["process", "health", "version", "requests/s", "5xx/s", "p95", "memory"],
        least: &["version", "memory"],
        rows: pairs.iter().map(row).collect(),
    }
}

fn ailments(pairs: &[Pair<'_>]) -> Table {
    let rows = pairs.iter().flat_map(|pair| {
        let tell = |(module, message): &(String, String)| {
            vec![Cell::plain(pair.name()), Cell::plain(module.clone()), Cell { text: message.clone(), tone: Tone::Warning }]
        };
        let silent = pair.now.problem.iter().map(|problem| ("-".to_owned(), problem.clone()));
        silent.chain(pair.now.ailments.iter().cloned()).map(|ailment| tell(&ailment)).collect::<Vec<_>>()
    });
    Table { title: "Not well", head: vec!["process", "module", "what it says"], least: &[], rows: rows.collect() }
}

fn workflows(pairs: &[Pair<'_>]) -> Table {
    let rows = pairs.iter().flat_map(|pair| {
        let of = |(workflow, active): (String, f64)| {
            let labels = [("workflow_type", workflow.as_str())];
            let mut states: Vec<(String, f64)> = pair
                .now
                .values("workflow_instances", "state", &labels)
                .into_iter()
                .map(|state| {
                    let count = pair.now.sum("workflow_instances", &[labels[0], ("state", &state)]);
                    (state, count)
                })
                .filter(|(_, count)| *count > 0.0)
                .collect();
            states.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
            let states: Vec<String> = states.into_iter().map(|(state, count)| format!("{state} {}", whole(count))).collect();
            vec![
                Cell::plain(workflow.clone()),
                Cell::plain(whole(active)),
                Cell::plain(duration(pair.now.sum("oldest_active_seconds", &labels))),
                Cell::plain(states.join("  ")),
            ]
        };
        pair.now.by("active_workflows", "workflow_type").into_iter().map(of).collect::<Vec<_>>()
    });
    Table { title: "Workflows", head: vec!["workflow", "unfinished", "longest still", "by state"], least: &[], rows: rows.collect() }
}

fn waiting(pairs: &[Pair<'_>]) -> Table {
    let has_database = |pair: &&Pair<'_>| !pair.now.values("disk_size_bytes", "database", &[]).is_empty();
    let row = |pair: &Pair<'_>| {
        let now = pair.now;
        let lag = now.by("consumer_lag_events", "topic").values().sum::<f64>();
        let bus = now.by("bus_up", "bus");
        let bus_up = bus.values().all(|up| *up > 0.0);
        let commits = pair.rate("commit_units_count", &[]);
        let free = now.sum("disk_free_bytes", &[]);
        let nearly_full = free < 0.05 * now.sum("disk_size_bytes", &[]);
        vec![
            Cell::plain(pair.name()),
            Cell::plain(whole(now.sum("outbox_events", &[]))),
            Cell::plain(duration(now.sum("outbox_oldest_age_seconds", &[]))),
            match (bus.is_empty(), bus_up) {
                (true, _) => Cell::plain("-"),
                (_, true) => Cell { text: "up".into(), tone: Tone::Good },
                (_, false) => Cell { text: "down".into(), tone: Tone::Bad },
            },
            Cell::plain(whole(lag)),
            Cell::plain(whole(now.sum("timers_due", &[]))),
            Cell::ailing(now.sum("parked_runs", &[]), Tone::Bad),
            Cell::ailing(now.sum("attention_instances", &[]), Tone::Warning),
            Cell::ailing(now.sum("dead_letters_total", &[]), Tone::Bad),
            Cell::plain(rate(commits)),
            pair.quantile("sqlite_commit_seconds", &[], 0.95),
            Cell { text: bytes(free), tone: if nearly_full { Tone::Bad } else { Tone::Plain } },
        ]
    };
    Table {
        title: "Waiting",
        head: vec![
            "process",
            "outbox",
            "oldest",
            "bus",
            "lag",
            "due",
            "parked",
            "attention",
            "dead letters",
            "commits/s",
            "commit p95",
            "disk free",
        ],
        least: &["commits/s", "due", "commit p95", "disk free", "oldest"],
        rows: pairs.iter().filter(has_database).map(row).collect(),
    }
}

fn components(pairs: &[Pair<'_>]) -> Table {
    let rows = pairs.iter().flat_map(|pair| {
        let of = |name: String| component(pair, &name);
        pair.now.by("component_runs_total", "component").into_keys().map(of).collect::<Vec<_>>()
    });
    Table {
        title: "Components",
        head: vec!["component", "version", "digest", "runs/s", "failed", "denied", "p50", "p95", "overhead p95", "swaps", "breaker"],
        least: &["overhead p95", "swaps", "p50", "denied", "version"],
        rows: rows.collect(),
    }
}

fn component(pair: &Pair<'_>, name: &str) -> Vec<Cell> {
    let labels = [("component", name)];
    let sum = |metric: &str, label: &str, values: &[&str]| -> f64 {
        values.iter().map(|value| pair.now.sum(metric, &[labels[0], (label, value)])).sum()
    };
    let breaker = match (pair.now.sum("component_quarantined", &labels), pair.now.sum("breaker_state", &labels)) {
        (quarantined, _) if quarantined > 0.0 => Cell { text: "quarantined".into(), tone: Tone::Bad },
        (_, 0.0) => Cell { text: "closed".into(), tone: Tone::Good },
        (_, 1.0) => Cell { text: "half open".into(), tone: Tone::Warning },
        _ => Cell { text: "open".into(), tone: Tone::Bad },
    };
    vec![
        Cell::plain(name),
        Cell::plain(pair.now.values("component_info", "version", &labels).join(", ")),
        Cell::plain(pair.now.values("component_info", "digest", &labels).join(", ")),
        Cell::plain(rate(pair.rate("component_runs_total", &labels))),
        Cell::ailing(sum("component_runs_total", "outcome", &["trap", "timeout", "transient", "permanent"]), Tone::Warning),
        Cell::ailing(sum("component_runs_total", "outcome", &["denied"]), Tone::Warning),
        pair.quantile("component_run_duration_seconds", &labels, 0.5),
        pair.quantile("component_run_duration_seconds", &labels, 0.95),
        pair.quantile("step_overhead_seconds", &labels, 0.95),
        Cell::plain(whole(sum("component_swaps_total", "outcome", &["swapped"]))),
        breaker,
    ]
}

/// What takes longest, slowest first.
fn steps(pairs: &[Pair<'_>]) -> Table {
    let mut slow: Vec<(f64, Vec<Cell>)> = pairs
        .iter()
        .flat_map(|pair| {
            let operations = pair.now.values("module_operation_duration_seconds", "module", &[("operation", "process")]);
            operations.into_iter().map(|module| step(pair, &module)).collect::<Vec<_>>()
        })
        .collect();
    slow.sort_by(|a, b| b.0.total_cmp(&a.0));
    Table {
        title: "Steps, slowest first",
        head: vec!["step", "done", "per second", "p50", "p95"],
        least: &["p50"],
        rows: slow.into_iter().map(|(_, row)| row).collect(),
    }
}

fn step(pair: &Pair<'_>, module: &str) -> (f64, Vec<Cell>) {
    const NAME: &str = "module_operation_duration_seconds";
    let labels = [("module", module), ("operation", "process")];
    let ever = pair.now.distribution(NAME, &labels);
    let row = vec![
        Cell::plain(module),
        Cell::plain(whole(ever.count())),
        Cell::plain(rate(ever.since(&pair.before.distribution(NAME, &labels)).count() / pair.seconds())),
        pair.quantile(NAME, &labels, 0.5),
        pair.quantile(NAME, &labels, 0.95),
    ];
    (ever.quantile(0.95).unwrap_or(0.0), row)
}

fn whole(count: f64) -> String {
    // An empty sum is -0.
    format!("{:.0}", count + 0.0)
}

fn rate(per_second: f64) -> String {
    if per_second == 0.0 {
        "0".into()
    } else if per_second < 10.0 {
        format!("{per_second:.1}")
    } else {
        format!("{per_second:.0}")
    }
}

fn duration(seconds: f64) -> String {
    match seconds {
        s if s <= 0.0 => "0".into(),
        s if s < 1e-3 => format!("{:.0} us", s * 1e6),
        s if s < 1.0 => format!("{:.1} ms", s * 1e3),
        s if s < 120.0 => format!("{s:.1} s"),
        s => format!("{:.0} min", s / 60.0),
    }
}

fn bytes(count: f64) -> String {
    match count {
        n if n < 1_048_576.0 => format!("{:.0} KiB", n / 1_024.0),
        n if n < 10_737_418_240.0 => format!("{:.0} MiB", n / 1_048_576.0),
        n => format!("{:.0} GiB", n / 1_073_741_824.0),
    }
}

impl Page {
    /// What is shown where a line has room for `width` characters.
    pub fn lines(&self, width: usize) -> Vec<Vec<Cell>> {
        let mut lines = Vec::new();
        for table in &self.tables {
            if !lines.is_empty() {
                lines.push(Vec::new());
            }
            lines.push(vec![Cell { text: table.title.to_owned(), tone: Tone::Title }]);
            lines.extend(table.lines(width));
        }
        lines
    }
}

impl fmt::Display for Page {
    /// All columns, without colours.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in self.lines(usize::MAX) {
            let text: String = line.into_iter().map(|piece| piece.text).collect();
            writeln!(f, "{}", text.trim_end())?;
        }
        Ok(())
    }
}

impl Table {
    /// Head and rows, in columns.
    fn lines(&self, width: usize) -> Vec<Vec<Cell>> {
        let columns = self.columns(width);
        let head: Vec<Cell> = self.head.iter().map(|&name| Cell { text: name.to_owned(), tone: Tone::Head }).collect();
        let line = |cells: &Vec<Cell>| {
            let there = columns.iter().filter_map(|&(column, width)| Some((cells.get(column)?, width)));
            there.map(|(cell, width)| Cell { text: format!("{:GAP$}{:width$}", "", cell.text), tone: cell.tone }).collect()
        };
        let rows = std::iter::once(&head).chain(&self.rows).flat_map(|row| wrapped(row, &columns));
        rows.map(|row| line(&row)).collect()
    }

    /// The columns for which there is room, and their widths in characters.
    fn columns(&self, width: usize) -> Vec<(usize, usize)> {
        let mut columns: Vec<(usize, usize)> = (0..self.head.len()).map(|column| (column, self.width(column))).collect();
        for least in self.least {
            if columns.iter().map(|(_, width)| width + GAP).sum::<usize>() <= width {
                break;
            }
            columns.retain(|&(column, _)| self.head[column] != *least);
        }
        // What is still too long is the text at the end, which goes on below itself.
        if let Some(((_, last), before)) = columns.split_last_mut() {
            let left = width.saturating_sub(before.iter().map(|(_, width)| width + GAP).sum::<usize>() + GAP);
            *last = (*last).min(left.max(LEAST_TEXT));
        }
        columns
    }

    fn width(&self, column: usize) -> usize {
        let cells = self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.text.chars().count());
        cells.chain([self.head[column].len()]).max().unwrap_or(0)
    }
}

/// A row as those that it takes where the text in its last column has only so much room.
fn wrapped(row: &[Cell], columns: &[(usize, usize)]) -> Vec<Vec<Cell>> {
    let Some(&(last, width)) = columns.last() else { return Vec::new() };
    let Some(cell) = row.get(last).filter(|cell| cell.text.chars().count() > width) else { return vec![row.to_vec()] };
    // Between words only, so that a path or an address stays whole where it fits.
    let between_words = textwrap::Options::new(width)
        .word_separator(textwrap::WordSeparator::AsciiSpace)
        .word_splitter(textwrap::WordSplitter::NoHyphenation);
    let pieces = textwrap::wrap(&cell.text, between_words);
    let of = |(number, piece): (usize, &std::borrow::Cow<'_, str>)| {
        let cells = row.iter().enumerate().map(|(column, cell)| {
            let text = match (column == last, number) {
                (true, _) => piece.to_string(),
                (false, 0) => cell.text.clone(),
                (false, _) => String::new(),
            };
            Cell { text, tone: cell.tone }
        });
        cells.collect()
    };
    pieces.iter().enumerate().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::super::reading::tests::reading;
    use super::*;

    fn text(runs: u32, breaker: u32) -> String {
        format!(
            "# TYPE s_config_info gauge\ns_config_info{{version=\"0.1.0\"}} 1\n\
             # TYPE s_active_workflows gauge\ns_active_workflows{{workflow_type=\"returns\"}} 3\n\
             # TYPE s_workflow_instances gauge\ns_workflow_instances{{workflow_type=\"returns\",state=\"waiting\"}} 2\n\
             s_workflow_instances{{workflow_type=\"returns\",state=\"packed\"}} 1\n\
             # TYPE s_component_info gauge\ns_component_info{{component=\"pay\",version=\"1.2.0\",digest=\"0123456789ab\"}} 1\n\
             # TYPE s_component_runs_total counter\ns_component_runs_total{{component=\"pay\",outcome=\"accepted\"}} {runs}\n\
             s_component_runs_total{{component=\"pay\",outcome=\"trap\"}} 4\n\
             # TYPE s_breaker_state gauge\ns_breaker_state{{component=\"pay\"}} {breaker}\n"
        )
    }

    #[test]
    fn a_page_says_who_does_what_in_which_version() {
        let (mut before, now) = (reading(&text(10, 0)), reading(&text(60, 2)));
        before.at = now.at.and_then(|at| at.checked_sub(Duration::from_secs(10)));
        let page = Page::of(&[before], &[now]).to_string();
        for part in ["a:1", "healthy", "returns", "waiting 2  packed 1", "pay", "1.2.0", "0123456789ab", "5.0", "open"] {
            assert!(page.contains(part), "no '{part}' in\n{page}");
        }
        assert!(!page.contains("Not well"), "{page}");
    }

    #[test]
    fn where_there_is_little_room_what_matters_least_is_left_out() {
        let page = Page::of(&[reading(&text(10, 0))], &[reading(&text(60, 2))]);
        let components = |width: usize| {
            let lines = page.lines(width).into_iter().map(|line| line.into_iter().map(|piece| piece.text).collect::<String>());
            lines.skip_while(|line| line != "Components").skip(1).take(2).collect::<Vec<_>>()
        };
        assert!(components(200)[0].contains("overhead p95") && components(200)[0].contains("swaps"));
        let narrow = components(80);
        assert!(narrow.iter().all(|line| line.chars().count() <= 80), "{narrow:?}");
        assert!(!narrow[0].contains("overhead p95"), "{narrow:?}");
        for (head, value) in [("component", "pay"), ("digest", "0123456789ab"), ("failed", "4"), ("breaker", "open")] {
            let at = narrow[0].find(head).unwrap();
            assert!(narrow[1][at..].starts_with(value), "{head} in {narrow:?}");
        }
    }

    #[test]
    fn a_long_reason_goes_on_in_the_next_line() {
        let reason = "the disk is full: nothing can be written, and what is new is refused until there is room again on /var/lib/millrace";
        let ill = || Reading { url: "http://b:2".into(), ailments: vec![("persistence".into(), reason.into())], ..Reading::default() };
        let page = Page::of(&[ill()], &[ill()]);
        let lines: Vec<String> = page.lines(60).into_iter().map(|line| line.into_iter().map(|piece| piece.text).collect()).collect();
        let told: Vec<&String> = lines.iter().skip_while(|line| *line != "Not well").skip(2).collect();
        assert!(told.len() > 1 && lines.iter().all(|line| line.trim_end().chars().count() <= 60), "{lines:#?}");
        let words: Vec<&str> = told.iter().flat_map(|line| line.split_whitespace()).skip(2).collect();
        assert_eq!(words.join(" "), reason);
        assert!(page.to_string().contains(reason), "as text it is one line");
    }

    #[test]
    fn who_does_not_answer_is_said_so() {
        let silent = || Reading { url: "http://b:2".into(), problem: Some("connection refused".into()), ..Reading::default() };
        let page = Page::of(&[silent()], &[silent()]).to_string();
        assert!(page.contains("b:2") && page.contains("no answer") && page.contains("connection refused"), "{page}");
    }

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!([0.0, 15e-6, 0.0123, 3.21, 600.0].map(duration), ["0", "15 us", "12.3 ms", "3.2 s", "10 min"]);
        assert_eq!([2_048.0, 5_242_880.0, 21_474_836_480.0].map(bytes), ["2 KiB", "5 MiB", "20 GiB"]);
        assert_eq!([0.0, 0.25, 123.4].map(rate), ["0", "0.2", "123"]);
    }
}
