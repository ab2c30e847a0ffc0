//! What is proven beyond the guide's own request: scenarios, which are data (`scenarios/*.yaml`).
//!
//! A scenario sends requests and says what their answers must be. It knows nothing of a cluster or of the command line:
//! whoever performs one says on what [`Target`] it stands, and changes that it makes go through a [`ChangeExecutor`]. Steps of
//! other kinds (steering, load) are further variants of [`Step`], each with a field of its own in the file.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::guide;
use crate::{release::Tag, verdict::Weight};

mod change;
mod decision;
mod expression;
mod file;
mod judge;
mod library;
mod load;
mod outgoing;
mod perform;
mod read;
mod select;
mod suggest;
mod target;
mod template;
mod wire;

pub use change::{Change, ChangeExecutor, ChangeResult, NoChanges, Role, WithStep};
pub(crate) use expression::{Expression, NoValue, Scope};
pub(crate) use library::{Library, read_file};
pub(crate) use load::{LoadStep, ServiceLevel};
pub use perform::{expected, leave_out, perform, skip};
pub(crate) use read::strictly;
pub use read::{ScenarioError, read};
pub use select::{Pattern, SelectError, Selection, select, unknown};
pub(crate) use suggest::instead_of;
pub use target::{Deployed, Target};
pub(crate) use template::{JsonTemplate, Template, Variables};

/// A scenario, read and checked.
///
/// ```
/// use quickproof::scenario::{self, Step};
///
/// let file = "
/// name: models
/// proves: The list of models is answered.
/// steps:
///   - request:
///       path: /v1/models
///       expect: {answer: success}
/// ";
/// let scenario = scenario::read("models.yaml", file.as_bytes())?;
/// assert_eq!(scenario.name, "models");
/// assert!(matches!(scenario.steps[..], [Step::Request(_)]));
///
/// // What is wrong with a file is said with its line and column, and with the way out.
/// let error = scenario::read("models.yaml", file.replace("path:", "paht:").as_bytes()).unwrap_err();
/// assert!(error.to_string().starts_with("models.yaml:6:"));
/// # Ok::<(), scenario::ScenarioError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Its name, unique among those of a run.
    pub name: String,
    /// What it proves when it holds, one sentence.
    pub(crate) proves: String,
    /// The releases that it is for.
    pub(crate) releases: Releases,
    /// What must be there.
    pub(crate) needs: Needs,
    /// Whether it decides the verdict.
    pub(crate) weight: Weight,
    /// When it is performed.
    pub(crate) when: Inclusion,
    /// What is done, in order; at least one.
    pub steps: Vec<Step>,
    /// The file that it was read from, as a person would name it.
    pub(crate) file: String,
    /// The text of the file.
    pub(crate) text: Arc<str>,
}

/// A range of releases, by their three numbers: candidates count as their release.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Releases {
    /// The first that it holds for, such as `v0.5.0`.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub(crate) from: Option<Tag>,
    /// The first that it no longer holds for.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub(crate) before: Option<Tag>,
}

/// What must be there for a scenario to be performed. Empty lists ask for nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Needs {
    /// One of these model-server variants, such as `sim`.
    #[serde(default)]
    pub(crate) variants: Vec<String>,
    /// One of these gateway providers, such as `istio`.
    #[serde(default)]
    pub(crate) providers: Vec<String>,
    /// All of these.
    #[serde(default)]
    pub(crate) capabilities: Vec<Capability>,
}

/// Whether a run performs a scenario that nobody asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Inclusion {
    /// Wherever it is not left out.
    #[default]
    Always,
    /// Only where `--scenario` names it: it takes long, or changes what it is performed on.
    Asked,
}

/// Something that a scenario may need and that is not everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Capability {
    /// A cluster that may be looked into and changed.
    Cluster,
    /// An endpoint picker in the path of requests, known to be there.
    EndpointPicker,
    /// Readable metrics of the endpoint picker.
    EndpointPickerMetrics,
    /// A `LoRA` adapter that the model server has loaded; its name is `${adapter}`.
    Adapter,
    /// A pool behind a gateway that refuses requests while the endpoint picker cannot be asked: its `failureMode` is
    /// `FailClose`, the default.
    FailsClosed,
    /// A pool behind a gateway that answers all the same while the endpoint picker cannot be asked: its `failureMode` is
    /// `FailOpen`.
    FailsOpen,
}

/// One step of a scenario.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Step {
    /// Sends a request, once or often.
    Request(Box<RequestStep>),
    /// Sends a request over and over.
    Load(Box<LoadStep>),
    /// Changes something, performs steps, and takes the change back.
    With(Box<WithStep>),
}

/// A request, how often it is sent, and what its answers must be.
#[derive(Debug, Clone)]
pub struct RequestStep {
    /// Its name; `None` only where it is the scenario's one step.
    pub(crate) name: Option<String>,
    /// The method.
    pub(crate) method: Method,
    /// The path with its leading `/`.
    pub(crate) path: Template,
    /// Headers, names in lower case.
    pub(crate) headers: Vec<(String, Template)>,
    /// The body.
    pub(crate) body: Body,
    /// Values of variables, one set for each request; empty where nothing varies.
    pub(crate) vary: Vec<BTreeMap<String, String>>,
    /// How often each is sent, at least once.
    pub(crate) repeat: u32,
    /// How many are under way at the same time, at least one.
    pub(crate) concurrency: u32,
    /// Within what time all answers must be there; `None` where only the limit of each request holds.
    pub(crate) within: Option<Duration>,
    /// The change that stands while it is performed; `None` where none does.
    pub(crate) under: Option<Change>,
    /// What each answer must be.
    pub(crate) expect: Expect,
    /// Variables for later steps, and what gives their values.
    pub(crate) capture: Vec<(String, Expression)>,
}

/// The methods of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Method {
    /// Asks for what is there.
    Get,
    /// Asks for something to be made.
    Post,
    /// Replaces.
    Put,
    /// Changes in part.
    Patch,
    /// Takes away.
    Delete,
    /// As `GET` without a body.
    Head,
    /// Asks what may be asked.
    Options,
}

/// The body of a request.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Body {
    /// None.
    None,
    /// JSON, in whose texts variables stand.
    Json(JsonTemplate),
    /// A text as it is.
    Text(Template),
}

/// What each answer of a step must be.
#[derive(Debug, Clone, Default)]
pub(crate) struct Expect {
    /// A success or an error, by every check of the wire that applies; `None` asks for neither.
    pub(crate) answer: Option<Wanted>,
    /// One of these status codes; empty: 200 for a success, any from 400 on for an error.
    pub(crate) status: Vec<u16>,
    /// The text that every choice must say; `None` where any will do.
    pub(crate) says: Option<Template>,
    /// One of these answered; empty: whoever.
    pub(crate) answered_by: Vec<AnsweredBy>,
    /// Whether it passed through the endpoint picker; `None` where that is not asked.
    pub(crate) passed_endpoint_picker: Option<bool>,
    /// Further expectations.
    pub(crate) cel: Vec<CelExpectation>,
}

/// What kind of answer is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Wanted {
    /// What was asked for.
    Success,
    /// That, or a refusal of a request that this server cannot answer, with a body that says why.
    SuccessOrRefusal,
    /// A refusal with a body that says why.
    Error,
}

/// A component that may answer a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum AnsweredBy {
    /// The model server, whether through the endpoint picker or not.
    ModelServer,
    /// The endpoint picker itself.
    EndpointPicker,
    /// The gateway itself.
    Gateway,
}

/// One expectation in CEL.
#[derive(Debug, Clone)]
pub(crate) struct CelExpectation {
    /// The name of its check.
    pub(crate) name: String,
    /// What is true when it holds.
    pub(crate) sentence: String,
    /// The expression.
    pub(crate) holds: Expression,
}

impl Releases {
    /// Whether a release falls in the range.
    pub(crate) fn cover(&self, tag: &Tag) -> bool {
        let from = self.from.as_ref().is_none_or(|from| from.numbers() <= tag.numbers());
        from && self
            .before
            .as_ref()
            .is_none_or(|before| tag.numbers() < before.numbers())
    }
}

impl std::fmt::Display for Releases {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.from, &self.before) {
            (Some(from), Some(before)) => write!(formatter, "releases from {from} to before {before}"),
            (Some(from), None) => write!(formatter, "releases from {from} on"),
            (None, Some(before)) => write!(formatter, "releases before {before}"),
            (None, None) => formatter.write_str("all releases"),
        }
    }
}

impl Inclusion {
    /// The word that stands in a scenario's file.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::Asked => "asked",
        }
    }
}

impl Capability {
    /// What is missing where it is not there, as the end of "it needs …".
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Cluster => "a cluster",
            Self::EndpointPicker => "an endpoint picker that is known to be in the path",
            Self::EndpointPickerMetrics => "the metrics of the endpoint picker",
            Self::Adapter => "a LoRA adapter; the models list shows none and no `--adapter` names one",
            Self::FailsClosed => "a pool behind a gateway whose `failureMode` is `FailClose`",
            Self::FailsOpen => "a pool behind a gateway whose `failureMode` is `FailOpen`",
        }
    }
}

impl Method {
    /// The method as it stands in a request.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
            Self::Head => "HEAD",
            Self::Options => "OPTIONS",
        }
    }
}

impl AnsweredBy {
    /// The component in words.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::ModelServer => "the model server",
            Self::EndpointPicker => "the endpoint picker",
            Self::Gateway => "the gateway",
        }
    }
}

impl RequestStep {
    /// Whether this status is one for which no request of it is sent again, whenever it comes.
    pub(crate) fn wants(&self, status: u16) -> bool {
        match self.expect.answer {
            Some(Wanted::Success | Wanted::SuccessOrRefusal) => status == 200,
            Some(Wanted::Error) => self.expect.status.contains(&status),
            None => self.expect.status.is_empty() || self.expect.status.contains(&status),
        }
    }

    /// How many requests are sent.
    pub(crate) fn requests(&self) -> usize {
        usize::try_from(self.repeat)
            .unwrap_or(usize::MAX)
            .saturating_mul(self.vary.len().max(1))
    }
}

/// The JSON Schema of a scenario's file (draft 2020-12).
pub(crate) fn schema() -> serde_json::Value {
    schemars::schema_for!(file::ScenarioFile).to_value()
}

/// Reads a duration as Go writes it, above zero.
///
/// # Errors
/// It is none, or not above zero.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let read = guide::duration(text).ok().filter(|duration| !duration.is_zero());
    read.ok_or_else(|| "expected a duration above zero such as `90s`, `10m` or `1h30m`".to_owned())
}
