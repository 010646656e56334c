//! Component files that are links, empty, damaged, missing or someone else's, and a file system that cannot be watched.
