//! The command line: what each subcommand takes, and what it calls.

pub mod cluster;
pub mod reap;
