//! What is asked of a run.

use std::{path::PathBuf, time::Duration};

use crate::{
    cluster::ExistingCluster,
    images::ImageSource,
    plan,
    release::{Access, Source},
    scenario::Selection,
};

/// What is asked for, checked for form but not yet against the release.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    /// What is tested.
    pub(crate) source: Source,
    /// What the plan is drawn with, apart from how images are had.
    pub(crate) options: plan::Options,
    /// Whether what a published release has on the web may be fetched.
    pub(crate) access: Access,
    /// How images are had.
    pub(crate) images: ImageSource,
    /// An existing cluster, or `None` for one of our own.
    pub(crate) cluster: Option<ExistingCluster>,
    /// The kubeconfig file of an existing cluster.
    pub(crate) kubeconfig: Option<PathBuf>,
    /// Whether what was made stays.
    pub(crate) keep: Keep,
    /// Whether deviations are allowed.
    pub(crate) strictness: Strictness,
    /// How long one wait may take.
    pub(crate) limit: Duration,
    /// Requests of the proof.
    pub(crate) requests: usize,
    /// What is proven beyond the guide's own request.
    pub(crate) scenarios: Selection,
    /// The command line, to type again.
    pub(crate) command: String,
}

/// Whether what was made stays after the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    /// It goes.
    No,
    /// It stays, and the report says how to look around.
    Yes,
}

/// Whether deviations from the guide are allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Strictness {
    /// They are, and stand in the ledger.
    Ledger,
    /// None is: the first makes the verdict inconclusive.
    Strict,
}
