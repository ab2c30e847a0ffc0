//! quickproof carries out a release's own quickstart guide on a real cluster and says pass or fail.
//!
//! The product is one straight line of nouns; each module takes the one before and gives the next:
//! Release → Guide → Plan → Cluster → Deployed → Observation → Verdict → Report.

pub mod check;
pub mod cli;
pub mod cluster;
pub mod deploy;
pub mod evidence;
pub mod guide;
pub mod host;
pub mod images;
pub mod lint;
pub mod log;
pub mod manifest;
pub mod merge;
pub mod plan;
pub mod probe;
pub mod record;
pub mod redact;
pub mod release;
pub mod report;
pub mod run;
pub mod scenario;
pub(crate) mod selftest;
pub mod verdict;

#[cfg(test)]
#[path = "../tests/it/api/server.rs"]
mod api_server;
