//! Log lines on their way to stderr: a queue with a bound, and a thread of its own that writes.
//!
//! Whoever logs only puts a line into memory. A reader that has gone, a full disk or a reader that stalls costs lines, which are counted, and
//! nothing else: no request, run or signal ever waits for the log. (`tracing-appender` does not do: it cannot tell which lines it failed to
//! write, and prints to stdout, which panics when that is closed too.)

use std::cell::Cell;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use tracing_subscriber::fmt::MakeWriter;

/// Bytes that may wait; some thousands of lines.
const QUEUE_BYTES: usize = 1 << 20;
/// Bytes of one write at most, so that a reader that is slow and one that has stalled can be told apart.
const WRITE_BYTES: usize = 16 * 1024;
/// A write that takes longer is one that nobody takes.
const STALLED: Duration = Duration::from_secs(2);
/// Lines that were lost are told of, and a log that cannot be written is tried, once in this time.
const TELL_INTERVAL: Duration = Duration::from_secs(1);
/// Lines that were lost are a finding of the health check for so long.
const LOSS_LASTS: Duration = Duration::from_secs(10);
/// Before the next look at an output that takes nothing now and would not wait.
const FULL_PAUSE: Duration = Duration::from_millis(20);

thread_local! {
    /// Whether this is the thread that writes: what it says itself about lost lines has a place in the queue.
    static IS_WRITER: Cell<bool> = const { Cell::new(false) };
}

/// The queue. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Lines {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    grew: Condvar,
    written: Condvar,
}

#[derive(Default)]
struct Queue {
    waiting: Batch,
    /// Lines that the thread has taken and not yet written.
    in_hand: u64,
    /// When the write began that is going on.
    write_began: Option<Instant>,
    dropped: u64,
    dropped_at: Option<Instant>,
    /// Why the last of them were.
    dropped_because: String,
    /// How many of them were told of in the log.
    told: u64,
    /// Why the last write failed.
    failure: Option<String>,
}

/// Some lines.
#[derive(Default)]
struct Batch {
    text: Vec<u8>,
    lines: u64,
    /// The number of lost lines that one of them tells, if one does. That one is not counted when it is lost itself.
    tells: Option<u64>,
}

impl Lines {
    /// Starts the thread, which writes to `out` for as long as the process lives.
    ///
    /// # Errors
    /// There is no room for a thread.
    pub(super) fn start(out: impl Write + Send + 'static) -> io::Result<Self> {
        let lines = Self::default();
        let writer = lines.clone();
        std::thread::Builder::new().name("log-writer".into()).spawn(move || writer.write_for_ever(out))?;
        Ok(lines)
    }

    /// Queues a line, or counts it as dropped when too much waits. Never waits itself.
    pub(super) fn push(&self, line: &[u8]) {
        let mut queue = self.shared.queue.lock();
        let tells = IS_WRITER.get().then_some(queue.dropped);
        if tells.is_none() && queue.waiting.text.len() + line.len() > QUEUE_BYTES {
            queue.lose(1, "stderr did not take them fast enough");
            return;
        }
        queue.waiting.text.extend_from_slice(line);
        queue.waiting.lines += 1;
        queue.waiting.tells = queue.waiting.tells.or(tells);
        drop(queue);
        self.shared.grew.notify_one();
    }

    /// Lines that were lost.
    pub(super) fn dropped(&self) -> u64 {
        self.shared.queue.lock().dropped
    }

    /// What is wrong with the log, for a person; `None` if lines are written.
    pub(super) fn problem(&self) -> Option<String> {
        let queue = self.shared.queue.lock();
        let (dropped, waiting) = (queue.dropped, queue.waiting.lines + queue.in_hand);
        if let Some(reason) = &queue.failure {
            return Some(format!("the log cannot be written to stderr: {reason}; {dropped} lines were dropped"));
        }
        if let Some(took) = queue.write_began.map(|began| began.elapsed()).filter(|took| *took >= STALLED) {
            let seconds = took.as_secs();
            return Some(format!(
                "the log cannot be written: nobody has read stderr for {seconds} s; {waiting} lines wait, {dropped} were dropped"
            ));
        }
        let lost_lately = queue.dropped_at.is_some_and(|at| at.elapsed() < LOSS_LASTS);
        lost_lately.then(|| format!("log lines were dropped, because stderr did not take them fast enough; {dropped} lines so far"))
    }

    /// Waits until everything is written, but not longer than `limit` and not for a log that cannot be written.
    pub(super) fn flush(&self, limit: Duration) {
        let deadline = Instant::now() + limit;
        let mut queue = self.shared.queue.lock();
        while queue.waiting.lines + queue.in_hand > 0 && queue.failure.is_none() {
            if self.shared.written.wait_until(&mut queue, deadline).timed_out() {
                return;
            }
        }
    }

    fn write_for_ever(&self, mut out: impl Write) {
        IS_WRITER.set(true);
        let mut told_at = None;
        // Whether the last thing written is a line that was cut off in the middle.
        let mut torn = false;
        loop {
            self.tell_of_losses(&mut told_at);
            let Some(batch) = self.next() else { continue };
            let ended = if torn { self.write(&mut out, b"\n").1 } else { None };
            torn = ended.is_some();
            let (written, failure) = if torn { (0, ended) } else { self.write(&mut out, &batch.text) };
            let done = &batch.text[..written];
            torn |= done.last().is_some_and(|last| *last != b'\n');
            self.note(&batch, done, failure);
        }
    }

    /// Notes how the writing of a batch went, of which `done` was written.
    fn note(&self, batch: &Batch, done: &[u8], failure: Option<io::Error>) {
        let mut queue = self.shared.queue.lock();
        queue.in_hand = 0;
        if failure.is_some() {
            let whole = done.iter().filter(|byte| **byte == b'\n').count() as u64;
            let reason = failure.as_ref().map(ToString::to_string).unwrap_or_default();
            queue.lose(batch.lines.saturating_sub(whole + u64::from(batch.tells.is_some())), &reason);
        } else if let Some(dropped) = batch.tells {
            queue.told = dropped;
        }
        queue.failure = failure.map(|error| error.to_string());
        drop(queue);
        self.shared.written.notify_all();
    }

    /// The lines that wait; `None` if none have come and it is time to look after those that were lost.
    fn next(&self) -> Option<Batch> {
        let mut queue = self.shared.queue.lock();
        while queue.waiting.lines == 0 {
            if queue.dropped == queue.told {
                self.shared.grew.wait(&mut queue);
            } else if self.shared.grew.wait_for(&mut queue, TELL_INTERVAL).timed_out() {
                return None;
            }
        }
        queue.in_hand = queue.waiting.lines;
        Some(std::mem::take(&mut queue.waiting))
    }

    /// Says how many lines were lost, which is also how a log that could not be written is tried again.
    fn tell_of_losses(&self, told_at: &mut Option<Instant>) {
        let (dropped, told, reason) = {
            let queue = self.shared.queue.lock();
            (queue.dropped, queue.told, queue.dropped_because.clone())
        };
        if dropped == told || told_at.is_some_and(|at| at.elapsed() < TELL_INTERVAL) {
            return;
        }
        *told_at = Some(Instant::now());
        tracing::warn!(dropped = dropped - told, reason, "log lines were dropped");
    }

    /// Writes `text` and answers how many bytes of it, and why not the rest.
    fn write(&self, out: &mut impl Write, text: &[u8]) -> (usize, Option<io::Error>) {
        let mut written = 0;
        while written < text.len() {
            let end = text.len().min(written + WRITE_BYTES);
            match self.write_once(out, &text[written..end]) {
                Ok(0) => return (written, Some(io::ErrorKind::WriteZero.into())),
                Ok(some) => written += some,
                Err(error) => return (written, Some(error)),
            }
        }
        (written, out.flush().err())
    }

    /// One write, repeated for as long as the output would rather not wait.
    fn write_once(&self, out: &mut impl Write, text: &[u8]) -> io::Result<usize> {
        self.shared.queue.lock().write_began = Some(Instant::now());
        let result = loop {
            match out.write(text) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Another process has made the file description that it shares with this one so.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => std::thread::sleep(FULL_PAUSE),
                result => break result,
            }
        };
        self.shared.queue.lock().write_began = None;
        result
    }
}

impl Queue {
    fn lose(&mut self, lines: u64, reason: &str) {
        if lines > 0 {
            // Not made anew for each of thousands of lines.
            if self.dropped_because != reason {
                self.dropped_because = reason.to_owned();
            }
            self.dropped += lines;
            self.dropped_at = Some(Instant::now());
        }
    }
}

/// Takes the text of one line and never fails.
pub(super) struct Line(Lines);

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.push(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Lines {
    type Writer = Line;

    fn make_writer(&self) -> Line {
        Line(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Takes a write only when it is told to, and answers it as told.
    struct Told {
        answers: mpsc::Receiver<io::Result<usize>>,
        taken: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Told {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let answer = self.answers.recv().unwrap_or(Ok(usize::MAX)).map(|most| most.min(bytes.len()));
            if let Ok(length) = answer {
                self.taken.lock().extend_from_slice(&bytes[..length]);
            }
            answer
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct TestEnv {
        lines: Lines,
        answer: mpsc::Sender<io::Result<usize>>,
        taken: Arc<Mutex<Vec<u8>>>,
    }

    impl TestEnv {
        fn new() -> Self {
            let ((answer, answers), taken) = (mpsc::channel(), Arc::default());
            let lines = Lines::start(Told { answers, taken: Arc::clone(&taken) }).unwrap();
            Self { lines, answer, taken }
        }

        /// From here on everything is taken.
        fn open(self) -> (Lines, Arc<Mutex<Vec<u8>>>) {
            (self.lines, self.taken)
        }

        fn text(&self) -> String {
            String::from_utf8(self.taken.lock().clone()).unwrap()
        }
    }

    fn until(what: &str, mut is: impl FnMut() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !is() {
            assert!(Instant::now() < deadline, "still not: {what}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    #[test]
    fn lines_come_out_as_they_went_in() {
        let (lines, taken) = TestEnv::new().open();
        lines.push(b"one\n");
        lines.push(b"two\n");
        lines.flush(Duration::from_secs(20));
        assert_eq!((taken.lock().as_slice(), lines.dropped(), lines.problem()), (b"one\ntwo\n".as_slice(), 0, None));
    }

    #[test]
    fn nobody_waits_for_an_output_that_takes_nothing() {
        let env = TestEnv::new();
        let line = [b'x'; 1023];
        let begun = Instant::now();
        for _ in 0..5_000 {
            env.lines.push(&[line.as_slice(), b"\n"].concat());
        }
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
        let dropped = env.lines.dropped();
        assert!((2_000..4_500).contains(&dropped), "{dropped}");
        env.lines.flush(Duration::from_millis(50));
        until("it is told that nobody reads", || {
            env.lines.problem().is_some_and(|problem| problem.contains("nobody has read stderr for 2 s"))
        });
        let (lines, taken) = env.open();
        lines.flush(Duration::from_secs(20));
        let written = taken.lock().iter().filter(|byte| **byte == b'\n').count() as u64;
        assert_eq!(written + lines.dropped(), 5_000);
    }

    #[test]
    fn what_cannot_be_written_is_dropped_and_counted_and_a_line_that_was_cut_off_ends_there() {
        let env = TestEnv::new();
        env.lines.push(b"one\n");
        env.answer.send(Ok(usize::MAX)).unwrap();
        until("the first line is written", || env.text() == "one\n");
        env.lines.push(b"two\n");
        env.answer.send(Ok(2)).unwrap();
        env.answer.send(Err(io::ErrorKind::StorageFull.into())).unwrap();
        until("a line is dropped", || env.lines.dropped() == 1);
        let problem = env.lines.problem().unwrap();
        assert!(problem.contains("cannot be written") && problem.contains("no storage space"), "{problem}");
        env.lines.push(b"three\n");
        // First the end of the line that was cut off.
        env.answer.send(Ok(usize::MAX)).unwrap();
        env.answer.send(Ok(usize::MAX)).unwrap();
        until("the third line is written", || env.text() == "one\ntw\nthree\n");
        assert_eq!(env.lines.dropped(), 1);
    }

    #[test]
    fn a_flush_does_not_wait_for_a_log_that_cannot_be_written() {
        let env = TestEnv::new();
        env.lines.push(b"one\n");
        env.answer.send(Err(io::ErrorKind::BrokenPipe.into())).unwrap();
        until("the line is dropped", || env.lines.dropped() == 1);
        let begun = Instant::now();
        env.lines.push(b"two\n");
        env.lines.flush(Duration::from_secs(20));
        assert!(begun.elapsed() < Duration::from_secs(10));
    }
}
