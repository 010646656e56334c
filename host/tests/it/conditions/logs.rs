//! A log that nobody reads, that is closed, or on a full disk; spans that nobody takes.
