//! Who can be to blame for what is broken.

use serde::{Deserialize, Serialize};

/// Who is to blame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Blame {
    /// The quickstart guide's text or commands.
    Guide,
    /// A manifest of the release.
    Manifest,
    /// A helm chart of the release.
    Chart,
    /// A container image that the release names.
    Image,
    /// The model server.
    ModelServer,
    /// The endpoint picker (EPP).
    EndpointPicker,
    /// The gateway implementation.
    Gateway,
    /// The cluster the run used.
    Cluster,
    /// The machine quickproof ran on.
    Host,
    /// What was typed: the address, the key, the model.
    CommandLine,
    /// quickproof itself.
    Harness,
}

impl Blame {
    /// Whether the thing to blame is what the run tests. The gateway counts: the guide chooses and installs it.
    pub fn is_product(self) -> bool {
        match self {
            Self::Guide
            | Self::Manifest
            | Self::Chart
            | Self::Image
            | Self::ModelServer
            | Self::EndpointPicker
            | Self::Gateway => true,
            Self::Cluster | Self::Host | Self::CommandLine | Self::Harness => false,
        }
    }
}
