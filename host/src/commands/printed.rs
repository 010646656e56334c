//! What commands print to stdout. A reader that has seen enough, such as `head`, is no failure of theirs.

use std::io::{self, StdoutLock, Write};
use std::process::ExitCode;

use anyhow::Context as _;

use super::end;

/// What a shell says of a program that ended because nobody reads any more: 128 and the number of SIGPIPE.
const READER_GONE: u8 = 141;

/// Stdout, which remembers that its reader has gone.
pub(super) struct Printed {
    out: StdoutLock<'static>,
    reader_gone: bool,
}

impl Printed {
    fn noted<T>(&mut self, result: io::Result<T>) -> io::Result<T> {
        result.map_err(|error| {
            self.reader_gone |= error.kind() == io::ErrorKind::BrokenPipe;
            match error.kind() {
                // Whoever writes tries again.
                io::ErrorKind::Interrupted => error,
                kind => io::Error::new(kind, format!("stdout cannot be written: {error}")),
            }
        })
    }
}

impl Printed {
    /// Says what was done. Where that cannot be printed, the error says that it was done all the same.
    pub(super) fn done(&mut self, what: &str) -> anyhow::Result<()> {
        writeln!(self, "{what}").and_then(|()| self.flush()).with_context(|| format!("{what}. This was done, and cannot be printed"))
    }
}

impl Write for Printed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let result = self.out.write(bytes);
        self.noted(result)
    }

    fn flush(&mut self) -> io::Result<()> {
        let result = self.out.flush();
        self.noted(result)
    }
}

/// Does what a command does that prints, and ends quietly if nobody reads it to its end.
pub(super) fn printing(command: impl FnOnce(&mut Printed) -> anyhow::Result<ExitCode>) -> ExitCode {
    let mut out = Printed { out: io::stdout().lock(), reader_gone: false };
    let result = command(&mut out).and_then(|code| {
        out.flush()?;
        Ok(code)
    });
    if out.reader_gone { ExitCode::from(READER_GONE) } else { end(result) }
}
