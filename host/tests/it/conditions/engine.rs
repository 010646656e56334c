//! Components that hang, disks that fill, processes that die: what waits must not stop the rest.
