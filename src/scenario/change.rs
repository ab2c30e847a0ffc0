//! Steps that change what they are performed on: what is changed, what is done meanwhile, and that it is taken back.
//!
//! The form holds the promise: the steps of a change stand inside of it, so that taking it back cannot be forgotten. How a
//! change is made is the business of a [`ChangeExecutor`]; nothing here knows a cluster.

use std::future::Future;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Scenario, Step};
use crate::{
    check::diagnosis::{self, Answerer},
    probe::Answer,
    verdict::{Blame, CauseCode, Finding},
};

/// A check of a change.
pub(super) struct ChangeCheck {
    pub(super) name: &'static str,
    /// What is true when it holds, where nothing more is known.
    pub(super) sentence: &'static str,
}

/// The change stands.
pub(super) const CHANGED: ChangeCheck = ChangeCheck {
    name: "changed",
    sentence: "the change stands",
};
/// Every object is as it was.
pub(super) const RESTORED: ChangeCheck = ChangeCheck {
    name: "restored",
    sentence: "what was changed is as it was",
};
/// What is under test serves again.
pub(super) const RECOVERED: ChangeCheck = ChangeCheck {
    name: "recovered",
    sentence: "requests are answered as before the change",
};
/// The checks of a change.
pub(super) const CHECKS: [ChangeCheck; 3] = [CHANGED, RESTORED, RECOVERED];

/// A change, and the steps that are performed while it stands.
#[derive(Debug, Clone)]
pub struct WithStep {
    /// Its name; `None` only where it is the scenario's one step.
    pub(crate) name: Option<String>,
    /// What is changed, and taken back after the steps whatever became of them.
    pub(crate) change: Change,
    /// What is done meanwhile, in order; at least one, and none of them a change.
    pub(crate) steps: Vec<Step>,
}

/// Something that is changed for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// Another number of pods.
    Scale {
        /// Whose.
        what: Role,
        /// How many while the change stands.
        to: u16,
    },
}

/// A part of a deployment under test, by what it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// What runs the pods of the pool.
    ModelServer,
    /// What the pool's requests are sent to first.
    EndpointPicker,
}

impl Role {
    /// The part in words.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::ModelServer => "the model server",
            Self::EndpointPicker => "the endpoint picker",
        }
    }
}

impl Change {
    /// The part that is changed.
    pub(crate) fn role(self) -> Role {
        match self {
            Self::Scale { what, .. } => what,
        }
    }

    /// What is the case while the change stands, without a full stop.
    pub(crate) fn words(self) -> String {
        match self {
            Self::Scale { what, to: 1 } => format!("{} has 1 pod", what.words()),
            Self::Scale { what, to } => format!("{} has {to} pods", what.words()),
        }
    }
}

/// What came of making a change or of taking one back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeResult {
    /// What is the case now, as one sentence without a full stop.
    pub(crate) sentence: String,
    /// Whether it is as it should be.
    pub(crate) finding: Finding,
}

/// Makes changes, and takes them back.
///
/// Each method waits until what it says is so, or will not be; none of them leaves anything unsaid that it has changed.
pub trait ChangeExecutor {
    /// Makes a change, and gives what is under test the time to notice. A change that failed may stand in part, so it is
    /// taken back all the same.
    fn make(&self, change: Change) -> impl Future<Output = ChangeResult>;

    /// Takes a change back, and proves that every object is as it was before.
    fn take_back(&self, change: Change) -> impl Future<Output = ChangeResult>;

    /// Shows that what is under test serves again, once every object is as it was.
    fn recover(&self, change: Change) -> impl Future<Output = ChangeResult>;
}

/// Where nothing can be changed: an endpoint that somebody else runs. No scenario that changes anything gets here, since
/// each needs [`super::Capability::Cluster`].
#[derive(Debug, Clone, Copy, Default)]
pub struct NoChanges;

impl NoChanges {
    fn nothing() -> ChangeResult {
        ChangeResult {
            sentence: "nothing is changed".to_owned(),
            finding: Finding::Undecided {
                why: "there is nothing here that may be changed".to_owned(),
            },
        }
    }
}

impl ChangeExecutor for NoChanges {
    async fn make(&self, _: Change) -> ChangeResult {
        Self::nothing()
    }

    async fn take_back(&self, _: Change) -> ChangeResult {
        Self::nothing()
    }

    async fn recover(&self, _: Change) -> ChangeResult {
        Self::nothing()
    }
}

impl Scenario {
    /// The changes that it makes, in order.
    pub(crate) fn changes(&self) -> impl Iterator<Item = Change> {
        self.steps.iter().filter_map(|step| match step {
            Step::With(step) => Some(step.change),
            Step::Request(_) | Step::Load(_) => None,
        })
    }
}

/// What a finding about an answer means while a change stands: parts that are not there are not to blame.
///
/// Without an endpoint picker the gateway alone decides whether an answer comes, by the pool's failure mode. Without a model
/// server nobody but endpoint picker and gateway can be wrong.
pub(super) fn blamed(change: Change, decides: Decides, finding: Finding, answer: &Answer) -> Finding {
    let Finding::Broken(mut fault) = finding else {
        return finding;
    };
    let code = match change {
        Change::Scale {
            what: Role::EndpointPicker,
            to: 0,
        } if decides == Decides::WhetherAnswered => Some(CauseCode::FailureModeNotKept),
        Change::Scale {
            what: Role::ModelServer,
            to: 0,
        } if fault.cause.blame() == Blame::ModelServer => Some(without_model_server(answer)),
        Change::Scale { .. } => None,
    };
    if let Some(code) = code {
        (fault.cause.code, fault.cause.by) = (code, None);
        fault.cause.evidence.insert(0, change.words());
    }
    Finding::Broken(fault)
}

/// What a check looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decides {
    /// Whether an answer came, its status, who gave it.
    WhetherAnswered,
    /// What the answer is like.
    Rest,
}

fn without_model_server(answer: &Answer) -> CauseCode {
    let by_a_pod = matches!(
        diagnosis::answerer(answer),
        Answerer::ModelServer | Answerer::ModelServerAround
    );
    if by_a_pod && answer.status() == Some(200) {
        CauseCode::AnswerFromOutsidePool
    } else {
        CauseCode::EmptyPoolAnsweredOtherwise
    }
}
