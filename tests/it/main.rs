//! Tests without network or cluster: the whole crate seen from outside.

// Lints then know that all of it is tests, helpers too.
#![cfg(test)]

mod action;
#[expect(dead_code, reason = "the unit tests use the rest of it")]
#[path = "api/server.rs"]
mod api_server;
mod architecture;
mod borrowed_tab;
mod cli;
mod commands;
mod ended;
mod endpoint;
mod habits;
mod hostile;
mod lanes;
mod lies;
mod lint;
mod llm_d;
mod load;
mod log;
mod matrix;
mod merge;
mod plan;
mod probe;
mod prow;
mod readers;
mod report;
mod scenario;
mod schemas;
mod secrets;
mod selftest;
mod served;
mod served_api;
mod sources;
mod survives;
mod tls;
mod upstream;
mod usage;
mod verify_lanes;
mod writings;

/// Opens the release whose files are in a directory; without a tag they say which it is.
fn open(
    directory: &std::path::Path,
    tag: Option<&str>,
) -> Result<quickproof::release::Release, quickproof::release::ReleaseError> {
    let source = quickproof::release::Source::Directory {
        directory: directory.to_owned(),
        tag: tag.map(|tag| tag.parse().unwrap()),
        repository: None,
    };
    let host = quickproof::host::Host::with_variables([]);
    source.open_at_hand(&host).expect("it is no checkout")
}
