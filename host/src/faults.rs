//! Faults on purpose, for `chaos/`: bugs that it has to catch, and places where the process kills itself. A program that is built without the
//! features `planted-bugs` and `crash-points` has none of them.

/// Whether the bug of that name is planted. Without the feature it never is, and what depends on it is not compiled.
#[cfg(not(feature = "planted-bugs"))]
#[inline(always)]
#[must_use]
pub const fn planted(_name: &str) -> bool {
    false
}

/// Whether the bug of that name is planted: `MILLRACE_PLANTED` names it.
#[cfg(feature = "planted-bugs")]
#[must_use]
pub fn planted(name: &str) -> bool {
    static PLANTED: std::sync::LazyLock<Option<String>> = std::sync::LazyLock::new(|| crate::config::env::fault("MILLRACE_PLANTED"));
    PLANTED.as_deref() == Some(name)
}

/// Kills the process where it stands, if `MILLRACE_CRASH_AT` is `<name>:<n>` and this is the n-th time.
#[cfg(feature = "crash-points")]
pub fn crash_point(name: &str) {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    static CHOSEN: LazyLock<Option<(String, u32)>> = LazyLock::new(|| {
        let text = crate::config::env::fault("MILLRACE_CRASH_AT")?;
        let (name, hit) = text.rsplit_once(':')?;
        Some((name.to_owned(), hit.parse().ok()?))
    });
    static HITS: AtomicU32 = AtomicU32::new(0);
    if let Some((chosen, hit)) = &*CHOSEN
        && chosen == name
        && HITS.fetch_add(1, Ordering::Relaxed) + 1 == *hit
    {
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        // The signal comes when the system gets round to it; nothing may happen until then.
        loop {
            std::thread::park();
        }
    }
}

/// A place where the process can be made to kill itself. Without the feature `crash-points` it is nothing.
#[macro_export]
macro_rules! crash_point {
    ($name:literal) => {
        #[cfg(feature = "crash-points")]
        $crate::faults::crash_point($name);
    };
}
