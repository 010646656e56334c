//! Secrets and settings as editors, secret stores and Windows leave them.
