//! A scenario as its file has it. What is meant by it is [`super::Scenario`].
//!
//! The JSON Schema is generated from these types, so their sentences are what an editor shows.

use std::{collections::BTreeMap, fmt, str::FromStr, time::Duration};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::{AnsweredBy, Inclusion, Method, Needs, Releases, Role, ServiceLevel, Wanted, duration};
use crate::{probe::load::Rate, verdict::Weight};

/// What is proven beyond the guide's own request: requests, and what their answers must be.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(title = "quickproof scenario")]
pub(super) struct ScenarioFile {
    /// Its name, by which it is chosen and overridden: small letters, digits and `-`.
    #[schemars(regex(pattern = r"^[a-z0-9]+(-[a-z0-9]+)*$"))]
    pub(super) name: String,
    /// What it proves when it holds, in one sentence.
    pub(super) proves: String,
    /// The releases that it is for; without it all. Where no release is tested it counts as the newest.
    #[serde(default)]
    pub(super) releases: Releases,
    /// What must be there; else the scenario is skipped with the reason.
    #[serde(default)]
    pub(super) needs: Needs,
    /// Whether it decides the verdict (`gate`) or is only shown (`advisory`).
    #[serde(default = "gate")]
    #[schemars(schema_with = "weight")]
    pub(super) weight: Weight,
    /// When it is performed: `always`, or only when it is `asked` for by `--scenario`.
    #[serde(default)]
    pub(super) when: Inclusion,
    /// What is done, in order.
    #[schemars(length(min = 1))]
    pub(super) steps: Vec<StepFile>,
}

/// One step. Its one field says what kind of step it is.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum StepFile {
    /// Sends a request, once or often, and looks at each answer.
    Request(Box<RequestFile>),
    /// Sends a request over and over, at a rate or from so many workers, looks at each answer, and measures.
    Load(Box<LoadFile>),
    /// Changes the cluster, performs steps while the change stands, takes it back, and proves that it is taken back.
    With(Box<WithFile>),
}

/// A change of the cluster, and the steps that are performed while it stands.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct WithFile {
    /// Its name, part of the names of its checks. Needed where a scenario has several steps.
    #[serde(default)]
    #[schemars(regex(pattern = r"^[a-z0-9]+(-[a-z0-9]+)*$"))]
    pub(super) name: Option<String>,
    /// Another number of pods.
    pub(super) scale: ScaleFile,
    /// What is done meanwhile, in order: any steps but changes. Whatever becomes of them, the change is taken back.
    #[schemars(length(min = 1))]
    pub(super) steps: Vec<StepFile>,
}

/// Another number of pods of a part of the deployment.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct ScaleFile {
    /// Whose pods.
    pub(super) what: Role,
    /// How many there are while the change stands.
    #[schemars(range(min = 0, max = 20))]
    pub(super) to: i64,
}

/// A request, how often it is sent, and what its answers must be.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct RequestFile {
    /// Its name, part of the names of its checks. Needed where a scenario has several steps.
    #[serde(default)]
    #[schemars(regex(pattern = r"^[a-z0-9]+(-[a-z0-9]+)*$"))]
    pub(super) name: Option<String>,
    /// The method; without it `POST` with a body and `GET` without one.
    #[serde(default)]
    pub(super) method: Option<Method>,
    /// The path with its leading `/`, such as `/v1/completions`; variables as `${model}`.
    pub(super) path: String,
    /// Headers; variables as `${model}`. `content-type: application/json` is added to a body without one.
    #[serde(default)]
    pub(super) headers: BTreeMap<String, String>,
    /// The body as JSON. A text that is one variable, such as `${model}`, becomes its value; in other texts it is put in.
    #[serde(default)]
    pub(super) json: Option<Value>,
    /// The body as it is, for what is no JSON; variables as `${model}`.
    #[serde(default)]
    pub(super) body: Option<String>,
    /// Values of variables for several requests: the first of each list for the first request, and so on.
    #[serde(default)]
    pub(super) vary: BTreeMap<String, Vec<String>>,
    /// How often it is sent (with `vary`: each of them). `${number}` counts the requests of the step, from 1.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 10_000))]
    pub(super) repeat: u32,
    /// How many requests are under way at the same time.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 256))]
    pub(super) concurrency: u32,
    /// Within what time all answers must be there, such as `300ms`, `30s`, `1m30s`.
    #[serde(default, deserialize_with = "time")]
    #[schemars(with = "Option<String>")]
    pub(super) within: Option<Duration>,
    /// What each answer must be.
    pub(super) expect: ExpectFile,
    /// Variables for later steps: a name, and the CEL expression that gives its value from the last `answer`.
    #[serde(default)]
    pub(super) capture: BTreeMap<String, String>,
}

/// A load: a request that is sent over and over.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct LoadFile {
    /// Its name, part of the names of its checks. Needed where a scenario has several steps.
    #[serde(default)]
    #[schemars(regex(pattern = r"^[a-z0-9]+(-[a-z0-9]+)*$"))]
    pub(super) name: Option<String>,
    /// The method; without it `POST` with a body and `GET` without one.
    #[serde(default)]
    pub(super) method: Option<Method>,
    /// The path with its leading `/`, such as `/v1/completions`; variables as `${model}`.
    pub(super) path: String,
    /// Headers, as a request has them.
    #[serde(default)]
    pub(super) headers: BTreeMap<String, String>,
    /// The body as JSON, as a request has it.
    #[serde(default)]
    pub(super) json: Option<Value>,
    /// The body as it is, as a request has it.
    #[serde(default)]
    pub(super) body: Option<String>,
    /// Values of variables for several requests, which come in turn.
    #[serde(default)]
    pub(super) vary: BTreeMap<String, Vec<String>>,
    /// An open loop: so many requests in a second, minute or hour, such as `20/s`, whatever the answers do. Times then count
    /// from when a request was due.
    #[serde(default, deserialize_with = "written")]
    #[schemars(with = "Option<String>", regex(pattern = r"^[1-9][0-9]*/[smh]$"))]
    pub(super) rate: Option<Rate>,
    /// The most requests of an open loop that are under way at the same time; without it 256. What falls due then waits, and
    /// the figures say so.
    #[serde(default)]
    #[schemars(range(min = 1, max = 4096))]
    pub(super) most_under_way: Option<u32>,
    /// A closed loop: so many workers, each of which sends when its last answer has come.
    #[serde(default)]
    #[schemars(range(min = 1, max = 256))]
    pub(super) workers: Option<u32>,
    /// For how long, such as `30s`.
    #[serde(default, rename = "for", deserialize_with = "time")]
    #[schemars(with = "Option<String>")]
    pub(super) time: Option<Duration>,
    /// How many requests, in place of `for`.
    #[serde(default)]
    #[schemars(range(min = 1, max = 10_000_000))]
    pub(super) requests: Option<u64>,
    /// What is asked of the answers together.
    #[serde(default)]
    pub(super) slo: Option<ServiceLevel>,
    /// What each answer must be.
    pub(super) expect: ExpectFile,
}

/// What each answer of a step must be.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct ExpectFile {
    /// Whether it is a success (200) or an error (one of `status`), read to its last byte: every check of the wire that
    /// applies. A list of models must name the model. With `success-or-refusal` a 400, 422 or 501 that says why will do too, and
    /// is noted.
    #[serde(default)]
    pub(super) answer: Option<Wanted>,
    /// One of these status codes.
    #[serde(default)]
    #[schemars(inner(range(min = 100, max = 599)))]
    pub(super) status: Vec<u16>,
    /// The text that every choice must say, streamed or not, such as `${prompt}` of a model server that echoes.
    #[serde(default)]
    pub(super) says: Option<String>,
    /// Who answered: one of these.
    #[serde(default)]
    pub(super) answered_by: Vec<AnsweredBy>,
    /// Whether it passed through the endpoint picker. Decided only where one is in the path.
    #[serde(default)]
    pub(super) passed_endpoint_picker: Option<bool>,
    /// Further expectations, each an expression of the Common Expression Language.
    #[serde(default)]
    pub(super) cel: Vec<CelFile>,
}

/// One expectation in CEL.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct CelFile {
    /// The name of the check: small letters, digits and `-`.
    #[schemars(regex(pattern = r"^[a-z0-9]+(-[a-z0-9]+)*$"))]
    pub(super) name: String,
    /// What is true when it holds, one sentence without a full stop.
    pub(super) sentence: String,
    /// The expression, true or false. It knows `answer` (then it must hold for each), `answers`, `model`, `prompt`,
    /// `adapter` and what was captured. An answer has `answered_by`, `headers`, `json`, `model` (asked for), `number`,
    /// `passed_endpoint_picker`, `served_by`, `status`, `text`, `took_ms`, and of a stream `time_to_first_token_ms` (null
    /// without a token) and `inter_token_ms` (a list). It is given up after a second.
    pub(super) holds: String,
}

/// A value that is written as a text.
fn written<'de, D: Deserializer<'de>, T: FromStr<Err: fmt::Display>>(deserializer: D) -> Result<Option<T>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    let value = text.map(|text| text.parse()).transpose();
    value.map_err(serde::de::Error::custom)
}

/// A duration as Go writes it.
pub(super) fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    let value = text.map(|text| duration(&text)).transpose();
    value.map_err(serde::de::Error::custom)
}

fn gate() -> Weight {
    Weight::Gate
}

fn one() -> u32 {
    1
}

fn weight(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "enum": ["gate", "advisory"] })
}
