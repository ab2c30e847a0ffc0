//! Faults that are known, seeded on purpose: a gate that never saw them fail has not shown that it can.
//!
//! A [`Seed`] is data (`manifests/faults/*.yaml`): what is changed in a quickstart that works, and what must come of it. One
//! whose run must pass is a healthy oddity. What an answer has wrong is data too (`manifests/answers`), judged by the wire checks.
//! What needs a run is carried out by this program itself, a child for each seed: nothing here knows how a run is done, it reads
//! the run's reports as any script would.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::verdict::{Blame, CauseCode, Outcome};

mod answers;
mod changed;
mod driver;
mod file;
mod interfering;
mod judge;
mod library;
mod proxy;
mod quick;
mod results;
mod signs;

pub(crate) use answers::AnswerSeed;
pub(crate) use driver::Driver;
pub(crate) use file::SeedError;
pub(crate) use library::Library;
pub(crate) use quick::quickly;
pub(crate) use results::{Came, Results, Row, seconds};

/// A change of a quickstart that works, and what must come of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Seed {
    /// Its name, unique among seeds; it is part of a namespace's.
    pub(crate) name: String,
    /// The part of the product that it is about.
    pub(crate) class: Class,
    /// The defect that it stands for, or what is odd and healthy, in one sentence.
    pub(crate) stands_for: String,
    /// The release that was shipped with it and the place in it; `None` where none is known.
    pub(crate) shipped: Option<String>,
    /// What is changed.
    pub(crate) base: Base,
    /// What of its files is changed, in order.
    pub(crate) change: Vec<Edit>,
    /// What happens to the cluster while it is carried out.
    pub(crate) meanwhile: Vec<Interference>,
    /// What its API server does while it is carried out.
    pub(crate) api_server: Vec<Mood>,
    /// Rules of `lint` that must find it, no more and no fewer at the severity `break`; `None` where `lint` is not asked.
    pub(crate) lint: Option<Vec<String>>,
    /// What a run must come to; `None` where none is made.
    pub(crate) run: Option<Expected>,
    /// What the API shows of it first.
    pub(crate) sign: Option<Sign>,
    /// Further arguments of `verify`.
    pub(crate) arguments: Vec<String>,
    /// Its file.
    pub(crate) file: String,
}

/// The part of the product that a seed is about: at each landing at least one of each is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Class {
    /// The guide's text: variables, references, tabs, its request.
    Guide,
    /// Objects that the API server refuses, or whose kind it does not know.
    Object,
    /// Names, tags and availability of images.
    Image,
    /// What a container does: it ends, lacks what it needs, does not know its flags.
    Container,
    /// Probes that kill or are refused.
    Probe,
    /// Pods that no node takes, or that the cluster refuses to make.
    Scheduling,
    /// Gateway, its class and listeners.
    Gateway,
    /// Routes.
    Route,
    /// Pools and their endpoints.
    Pool,
    /// The endpoint picker.
    EndpointPicker,
    /// The model server and what it answers.
    ModelServer,
    /// What the proof of the pick must tell.
    Proof,
    /// Charts of a release.
    Chart,
    /// What is not the product's fault.
    Infrastructure,
    /// Healthy, and not as usual.
    Oddity,
}

/// What is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Base {
    /// The embedded quickstart.
    #[default]
    Quickstart,
    /// The tree of a release, which `--tree` names.
    Release,
}

/// One change of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Edit {
    /// The file, from the root of the tree.
    pub(crate) file: String,
    /// What becomes of it.
    pub(crate) how: How,
}

/// What becomes of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum How {
    /// This text, which stands there exactly once, gives way to another.
    Replace {
        /// What stands there.
        text: String,
        /// What comes in its place.
        by: String,
    },
    /// Text comes before all others.
    Prepend(String),
    /// Text comes after all others.
    Append(String),
    /// The file, which is not there, has this text.
    Write(String),
    /// The file, which is there, goes.
    Remove,
}

/// Something that happens to the cluster in the middle of a run.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Interference {
    /// It happens once the run has decided this check; `NAMESPACE` in it is the namespace of the run.
    pub(crate) after: String,
    /// What happens.
    pub(crate) what: What,
}

/// What happens to the cluster.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum What {
    /// An object goes.
    Delete(Target),
    /// An object is changed by a merge patch (RFC 7386).
    Patch(Target, serde_json::Value),
    /// An object is made.
    Create(serde_json::Value),
}

/// What an API server does for a while, through a proxy before it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Mood {
    /// It begins once the run has decided this check; from the beginning where none is named. `NAMESPACE` is the run's.
    #[serde(default)]
    pub(crate) after: Option<String>,
    /// How many seconds it lasts.
    #[serde(rename = "for")]
    pub(crate) seconds: u32,
    /// What it says meanwhile.
    pub(crate) says: Says,
}

/// What an API server says of everything it is asked. What is an error also cuts the answers that are under way, such as watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Says {
    /// What it should: what is asked of it is counted.
    AsItShould,
    /// 500.
    Error,
    /// 429.
    Busy,
    /// 410.
    Expired,
    /// It closes the connection without a word.
    Closed,
    /// Nothing; once it is over, what was asked is answered.
    Silence,
}

/// An object of the run's namespace.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Target {
    /// Such as `apps/v1`.
    pub(crate) api_version: String,
    /// Such as `Deployment`.
    pub(crate) kind: String,
    /// Its name.
    #[serde(default)]
    pub(crate) name: Option<String>,
    /// The first by name of those that bear these labels, such as `app=server`.
    #[serde(default)]
    pub(crate) labels: Option<String>,
}

/// What a run must come to.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Expected {
    /// Its outcome.
    pub(crate) outcome: Outcome,
    /// Whether it may pass as well: what is in its way may be waited out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) or_passes: bool,
    /// The code of its root cause; `None` where the root cause has none, or there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cause: Option<CauseCode>,
    /// Whom the root cause blames.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) blame: Option<Blame>,
    /// What the root cause's sentence and evidence must name, such as an object.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) names: Vec<String>,
    /// Whether it is given time because it may heal by itself.
    #[serde(default)]
    pub(crate) grace: Grace,
}

/// The bound of the time from the first sign to the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Grace {
    /// It cannot heal: it is called at once.
    #[default]
    None,
    /// It may heal, so it is called after a window.
    Window,
}

/// What the API shows of a fault first: an object of this kind in the run's namespace whose JSON has these words.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Sign {
    /// Such as `v1`.
    #[serde(default = "core")]
    pub(crate) api_version: String,
    /// Such as `Pod`, or `Event`.
    pub(crate) kind: String,
    /// The words.
    pub(crate) says: String,
}

fn core() -> String {
    "v1".to_owned()
}

impl Grace {
    /// How long it may take from the first sign to the call.
    pub(crate) fn bound(self) -> Duration {
        match self {
            Self::None => Duration::from_secs(1),
            Self::Window => Duration::from_secs(15),
        }
    }
}

impl Seed {
    /// Whether it is healthy: nothing must be found.
    pub(crate) fn is_oddity(&self) -> bool {
        self.class == Class::Oddity
    }

    /// Whether nothing is changed at all.
    pub(crate) fn changes_nothing(&self) -> bool {
        self.change.is_empty() && self.meanwhile.is_empty() && self.api_server.is_empty() && self.arguments.is_empty()
    }
}
