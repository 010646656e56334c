//! A bank in a process of its own that charges and stays silent.
