//! quickproof carries out a release's own quickstart guide on a real cluster and says pass or fail.
//!
//! The product is one straight line of nouns; each module takes the one before and gives the next:
//! Release → Guide → Plan → Cluster → Deployed → Observation → Verdict → Report.

pub mod guide;
pub mod host;
pub mod manifest;
pub mod plan;
pub mod record;
pub mod redact;
pub mod release;
pub mod verdict;
