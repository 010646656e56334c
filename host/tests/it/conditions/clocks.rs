//! Clocks that jump or stand still, and a process that was paused.
