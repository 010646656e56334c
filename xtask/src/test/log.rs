//! What stages write, shown as if they ran one after the other: that of the first one as it comes, and of each further one when those before
//! it have ended.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

/// Shows logs, one whole log after the other.
pub struct Printer<W> {
    shown: W,
    /// The first one is being shown.
    logs: VecDeque<Log>,
}

struct Log {
    stage: &'static str,
    file: File,
    /// What is said after its last line, once there is a last line.
    end: Option<String>,
}

impl<W: Write> Printer<W> {
    /// Shows them there.
    pub fn new(shown: W) -> Self {
        Self { shown, logs: VecDeque::new() }
    }

    /// Shows the log of a stage, after those that have begun before it.
    pub fn follow(&mut self, stage: &'static str, log: &Path) -> io::Result<()> {
        if self.logs.is_empty() {
            begin(&mut self.shown, stage)?;
        }
        self.logs.push_back(Log { stage, file: File::open(log)?, end: None });
        Ok(())
    }

    /// Nothing more comes from this stage; `end` is its last line.
    pub fn end(&mut self, stage: &str, end: String) {
        if let Some(log) = self.logs.iter_mut().find(|log| log.stage == stage) {
            log.end = Some(end);
        }
    }

    /// Shows what has been written since it was called last.
    pub fn show(&mut self) -> io::Result<()> {
        while let Some(log) = self.logs.front_mut() {
            // Whether it has ended was known before this is read, so nothing comes after what is read here.
            io::copy(&mut log.file, &mut self.shown)?;
            let Some(end) = &log.end else { break };
            writeln!(self.shown, "== {}: {end}", log.stage)?;
            self.logs.pop_front();
            if let Some(next) = self.logs.front() {
                begin(&mut self.shown, next.stage)?;
            }
        }
        self.shown.flush()
    }
}

fn begin(shown: &mut impl Write, stage: &str) -> io::Result<()> {
    writeln!(shown, "\n== {stage}")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn logs_are_shown_whole_and_one_after_the_other() {
        let folder = std::env::temp_dir().join(format!("millrace-logs-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let [first, second] = ["first", "second"].map(|name| folder.join(name));
        let (mut one, mut two) = (File::create(&first).expect("a file"), File::create(&second).expect("a file"));
        let mut printer = Printer::new(Vec::new());
        let show = |printer: &mut Printer<Vec<u8>>| {
            printer.show().expect("it can be shown");
            String::from_utf8(std::mem::take(&mut printer.shown)).expect("text")
        };
        printer.follow("one", &first).expect("a log");
        printer.follow("two", &second).expect("a log");
        writeln!(one, "1a").expect("written");
        writeln!(two, "2a").expect("written");
        assert_eq!(show(&mut printer), "\n== one\n1a\n");
        writeln!(one, "1b").expect("written");
        printer.end("two", "passed".into());
        assert_eq!(show(&mut printer), "1b\n");
        writeln!(one, "1c").expect("written");
        printer.end("one", "FAILED".into());
        assert_eq!(show(&mut printer), "1c\n== one: FAILED\n\n== two\n2a\n== two: passed\n");
        assert_eq!(show(&mut printer), "");
        fs::remove_dir_all(folder).expect("tidied up");
    }
}
