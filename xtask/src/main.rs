//! What people type, and what CI types.

fn main() {}
