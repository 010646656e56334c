//! A config that no longer names what unfinished orders need.
