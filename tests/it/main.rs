//! Tests without network or cluster: the whole crate seen from outside.

// Lints then know that all of it is tests, helpers too.
#![cfg(test)]

mod answers;
mod architecture;
mod borrowed_tab;
mod cli;
mod commands;
mod lies;
mod lint;
mod load;
mod matrix;
mod plan;
mod probe;
mod report;
mod scenario;
mod schemas;
mod served;
mod sources;
mod upstream;
mod usage;
