//! Proxies in the environment, and many customers behind one address.
