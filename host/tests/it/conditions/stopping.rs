//! SIGTERM, Ctrl-C twice, and a balancer that still sends.
