//! What commands do, what is to be known of each, and the parts that several of them share.

use std::{collections::BTreeMap, fmt};

use serde_json::{Value, json};

use super::Witness;
use crate::{guide::Template, manifest::Object, release::RepoPath};

/// Where a chart comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chart {
    /// A chart directory of the release's tree, packaged with the tag as version and appVersion.
    Tree {
        /// Its directory relative to the tree's root, such as `config/charts/inferencepool`.
        directory: String,
    },
    /// A published chart: an `oci://` reference.
    Published {
        /// The reference.
        reference: String,
    },
}

/// An HTTP request that the guide sends with `curl`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The method; `POST` when a body is given and no method is.
    pub method: String,
    /// The URL, `http://` added as curl adds it.
    pub url: Template,
    /// Header lines as given with `-H`, split at the first colon.
    pub headers: Vec<(String, Template)>,
    /// The body as given with `-d`.
    pub body: Option<Template>,
    /// Variables that are set by then but stand inside single quotes, so that their names are sent and not their values.
    pub unexpanded: Vec<String>,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// `kubectl apply|create -f …` of these objects, in order.
    Apply {
        /// The objects.
        objects: Vec<Object>,
        /// `-n`, where given.
        namespace: Option<String>,
    },
    /// `kubectl delete`: by file or by name. Only what the run made itself is ever deleted.
    Delete {
        /// What is to go, in order.
        targets: Vec<Target>,
        /// What is said of one that is not there.
        absent: Absent,
    },
    /// `kubectl label`.
    Label {
        /// Whose labels.
        target: Target,
        /// Labels to set, and to take away where the value is `None`.
        labels: BTreeMap<String, Option<String>>,
    },
    /// `kubectl patch`.
    Patch {
        /// What is changed.
        target: Target,
        /// How.
        strategy: PatchStrategy,
        /// The patch.
        patch: serde_json::Value,
    },
    /// `kubectl rollout restart`.
    Restart {
        /// What is started anew.
        target: Target,
    },
    /// `kubectl wait`, `kubectl rollout status`.
    Await {
        /// What is waited for.
        target: Target,
        /// Until when.
        until: Until,
        /// How long at most; `None` where the command does not say.
        at_most: Option<std::time::Duration>,
    },
    /// `kubectl create secret generic`.
    Secret {
        /// Its name.
        name: String,
        /// Its keys and values.
        literals: Vec<(String, Template)>,
        /// `-n`, where given.
        namespace: Option<String>,
    },
    /// `helm install|upgrade -i`.
    Helm {
        /// The helm release's name.
        release: String,
        /// The chart.
        chart: Chart,
        /// The version asked for; the tag for a chart of the tree.
        version: Option<String>,
        /// Files of values of the tree (`-f`), in order; they come before the values of `set`.
        values: Vec<RepoPath>,
        /// Values of `--set`, in order; overrides last.
        set: Vec<String>,
        /// `-n`, where given.
        namespace: Option<String>,
        /// Whether it makes its namespace (`--create-namespace`).
        makes_namespace: bool,
    },
    /// `helm uninstall`: only a helm release that the run made itself.
    HelmUninstall {
        /// The helm release's name.
        release: String,
        /// `-n`, where given.
        namespace: Option<String>,
        /// What is said where there is none.
        absent: Absent,
    },
    /// The provider's own program, such as `istioctl install …`.
    InstallProvider {
        /// The program's name, such as `istioctl`.
        program: String,
        /// Its arguments, the additions of the provider's definition included.
        arguments: Vec<String>,
        /// What says that it is installed already.
        witness: Witness,
    },
    /// The provider's own program takes away what it installed; only what the run installed itself.
    UninstallProvider {
        /// The program's name.
        program: String,
        /// Its arguments.
        arguments: Vec<String>,
    },
    /// Manifests of ours that install a provider, in place of a command of the guide.
    InstallManifests {
        /// The provider's name.
        provider: String,
        /// The objects, in the order in which they are applied.
        objects: Vec<Object>,
        /// What says that it is installed already.
        witness: Witness,
    },
    /// `VARIABLE=$(kubectl get KIND NAME -o jsonpath=…)`.
    Read {
        /// The resource as written, such as `gateway`.
        resource: String,
        /// The object's name.
        name: String,
        /// `-n`, where given.
        namespace: Option<String>,
        /// The expression with its braces, such as `{.status.addresses[0].value}`.
        jsonpath: String,
        /// The variable it is read into.
        into: String,
    },
    /// `kubectl get …` for a reader to look at: fails when there is nothing.
    Inspect {
        /// The resource as written, such as `crds`.
        resource: String,
        /// One object's name, or `None` for the whole list.
        name: Option<String>,
        /// `-n`, where given.
        namespace: Option<String>,
        /// A text one line of the output must contain (`| grep TEXT`).
        containing: Option<String>,
    },
    /// A program run for its version or presence (`helm version`, `jq --version`).
    Tool {
        /// The program.
        program: String,
        /// Its arguments.
        arguments: Vec<String>,
    },
    /// The guide's request.
    Request(Request),
    /// Sets variables only; nothing is left to do at run time.
    Variables,
    /// Left out for a reason that stands in the ledger.
    LeftOut {
        /// The reason.
        why: String,
    },
    /// Not understood: the verdict cannot be a pass.
    Unsupported {
        /// What was not understood.
        why: String,
    },
    /// Understood, and known to fail before it is clear what it would do; [`super::Step::known`] says why.
    Broken,
}

/// What others must know of an action, besides whoever carries it out.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// What it does, in one word, as a plan prints it.
    pub verb: &'static str,
    /// Who carries it out.
    pub(crate) carried_out_by: CarriedOutBy,
    /// What it makes in the cluster.
    pub(crate) makes: Makes<'a>,
    /// The program that is called for it and must be had before the run, or `None`.
    pub(crate) program: Option<&'a str>,
}

/// Who carries an action out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CarriedOutBy {
    /// The deployment; its failure is the failure of the step.
    Deployment,
    /// The run, by sending a request; checks of the answer decide.
    Request,
    /// Nobody: it was done when the plan was drawn, or it is left out.
    Nobody,
    /// Nobody can.
    NobodyCan,
}

/// What an action makes in the cluster.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Makes<'a> {
    /// Nothing that asks for anything.
    Nothing,
    /// These objects.
    Objects {
        /// The objects, in the order in which they are made.
        objects: &'a [Object],
        /// The namespace of those that name none, where one is given.
        namespace: Option<&'a str>,
    },
    /// What is not known without rendering a chart, running a program, or understanding the command.
    Unknown,
}

impl Action {
    /// What is to be known of it.
    pub fn facts(&self) -> Facts<'_> {
        use CarriedOutBy::{Deployment, Nobody, NobodyCan};
        let facts = |verb, carried_out_by, makes| Facts {
            verb,
            carried_out_by,
            makes,
            program: None,
        };
        let nothing = |verb| facts(verb, Deployment, Makes::Nothing);
        match self {
            Self::Apply { objects, namespace } => {
                let namespace = namespace.as_deref();
                facts("apply", Deployment, Makes::Objects { objects, namespace })
            }
            Self::InstallManifests { objects, .. } => {
                let namespace = None;
                facts("install", Deployment, Makes::Objects { objects, namespace })
            }
            Self::Helm { .. } => Facts {
                program: Some("helm"),
                ..facts("helm", Deployment, Makes::Unknown)
            },
            Self::InstallProvider { program, .. } => Facts {
                program: Some(program),
                ..facts("install", Deployment, Makes::Unknown)
            },
            Self::Secret { .. } => nothing("secret"),
            Self::Delete { .. } => nothing("delete"),
            Self::Label { .. } => nothing("label"),
            Self::Patch { .. } => nothing("patch"),
            Self::Restart { .. } => nothing("restart"),
            Self::Await { .. } => nothing("await"),
            Self::HelmUninstall { .. } | Self::UninstallProvider { .. } => nothing("uninstall"),
            Self::Read { .. } => nothing("read"),
            Self::Inspect { .. } => nothing("look"),
            Self::Tool { .. } => nothing("tool"),
            Self::Request(_) => facts("request", CarriedOutBy::Request, Makes::Nothing),
            Self::Variables => facts("set", Nobody, Makes::Nothing),
            Self::LeftOut { .. } => facts("left out", Nobody, Makes::Nothing),
            Self::Unsupported { .. } => facts("?", NobodyCan, Makes::Unknown),
            Self::Broken => facts("broken", Deployment, Makes::Nothing),
        }
    }

    /// What it acts on, as one word that stays the same from release to release. `command` is the guide's, for actions that know
    /// no object.
    pub(super) fn object(&self, command: &str) -> String {
        let known = match self {
            Self::Apply { objects, .. } => Some(match objects.first() {
                Some(first) => format!("{}/{}", first.kind(), first.name()),
                // They are had later.
                None => words(command).last().unwrap_or_default(),
            }),
            Self::Delete { targets, .. } => targets.first().map(Target::path),
            Self::Label { target, .. }
            | Self::Patch { target, .. }
            | Self::Restart { target }
            | Self::Await { target, .. } => Some(target.path()),
            Self::Inspect { resource, name, .. } => Some(match name {
                Some(name) => format!("{resource}/{name}"),
                None => resource.clone(),
            }),
            Self::Secret { name, .. } => Some(name.clone()),
            Self::Helm { release, .. } | Self::HelmUninstall { release, .. } => Some(release.clone()),
            Self::InstallManifests { provider, .. } => Some(provider.clone()),
            Self::InstallProvider { program, .. }
            | Self::UninstallProvider { program, .. }
            | Self::Tool { program, .. } => Some(program.clone()),
            Self::Read { into, .. } => Some(into.clone()),
            Self::Request(request) => {
                let url = request.url.to_string();
                let (_, place) = url.split_once("://").unwrap_or(("", &url));
                Some(place.find('/').map_or("/", |path| &place[path..]).to_owned())
            }
            Self::Variables | Self::LeftOut { .. } | Self::Unsupported { .. } | Self::Broken => None,
        };
        known.unwrap_or_else(|| {
            let mut words: Vec<String> = words(command).collect();
            let last = words.split_off(words.len().min(2)).pop();
            words.extend(last);
            words.join("-")
        })
    }

    /// What it acts on, for scripts: names and values, which depend on the verb.
    pub(crate) fn details(&self) -> BTreeMap<&'static str, Value> {
        let pairs = match self {
            Self::Apply { objects, namespace } => vec![
                ("objects", objects.iter().map(title).collect()),
                ("namespace", namespace.clone().into()),
            ],
            Self::InstallManifests { provider, objects, .. } => vec![
                ("provider", provider.clone().into()),
                ("objects", objects.iter().map(title).collect()),
            ],
            Self::Delete { targets, .. } => vec![("objects", targets.iter().map(ToString::to_string).collect())],
            Self::Label { target, labels } => {
                let labels = labels.iter().map(|(key, value)| (key.clone(), value.clone().into()));
                vec![
                    ("object", target.to_string().into()),
                    ("labels", Value::Object(labels.collect())),
                ]
            }
            Self::Patch { target, patch, .. } => {
                vec![("object", target.to_string().into()), ("patch", patch.clone())]
            }
            Self::Restart { target } => vec![("object", target.to_string().into())],
            Self::Await { target, until, .. } => {
                vec![
                    ("object", target.to_string().into()),
                    ("until", until.to_string().into()),
                ]
            }
            Self::Secret { name, literals, .. } => {
                let keys = literals.iter().map(|(key, _)| Value::from(key.as_str()));
                vec![("secret", name.clone().into()), ("keys", keys.collect())]
            }
            Self::Helm {
                release,
                chart,
                version,
                values,
                set,
                namespace,
                ..
            } => {
                let files: Value = values.iter().map(ToString::to_string).collect();
                let files = (!values.is_empty()).then_some(("values", files));
                let mut pairs = vec![
                    ("release", release.clone().into()),
                    ("chart", chart.to_string().into()),
                    ("version", version.clone().into()),
                    ("set", set.clone().into()),
                    ("namespace", namespace.clone().into()),
                ];
                pairs.extend(files);
                pairs
            }
            Self::HelmUninstall { release, .. } => vec![("release", release.clone().into())],
            Self::InstallProvider { program, arguments, .. }
            | Self::UninstallProvider { program, arguments }
            | Self::Tool { program, arguments } => vec![
                ("program", program.clone().into()),
                ("arguments", arguments.clone().into()),
            ],
            Self::Read {
                resource,
                name,
                jsonpath,
                into,
                ..
            } => vec![
                ("object", format!("{resource} {name}").into()),
                ("jsonpath", jsonpath.clone().into()),
                ("variable", into.clone().into()),
            ],
            Self::Inspect {
                resource,
                name,
                containing,
                ..
            } => vec![
                ("resource", resource.clone().into()),
                ("name", name.clone().into()),
                ("containing", containing.clone().into()),
            ],
            Self::Request(request) => vec![
                ("method", request.method.clone().into()),
                ("url", request.url.to_string().into()),
                ("body", request.body.as_ref().map(ToString::to_string).into()),
                ("unexpanded", request.unexpanded.clone().into()),
            ],
            Self::LeftOut { why } | Self::Unsupported { why } => vec![("why", why.clone().into())],
            Self::Variables | Self::Broken => Vec::new(),
        };
        pairs.into_iter().collect()
    }
}

/// The words of a command, in short: variables that it sets by their names, addresses and paths by their last parts.
fn words(command: &str) -> impl Iterator<Item = String> {
    let is_plain = |sign: &char| sign.is_ascii_alphanumeric() || matches!(sign, '_' | '-' | '.');
    let words = command
        .split_whitespace()
        .filter(|word| *word != "export" && !word.starts_with('-'));
    let short = words.map(move |word| {
        let word = word.split('=').next().unwrap_or_default();
        let word = word.rsplit('/').next().unwrap_or_default();
        word.chars().filter(is_plain).collect::<String>()
    });
    short.filter(|word| !word.is_empty())
}

/// An object and its place, for scripts.
fn title(object: &Object) -> Value {
    let place = format!("{}:{}", object.file, object.line);
    json!({
        "api_version": object.api_version(), "kind": object.kind(), "name": object.name(),
        "namespace": object.namespace(), "from": place,
    })
}

/// As a person writes it.
impl fmt::Display for Chart {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tree { directory } => formatter.write_str(directory),
            Self::Published { reference } => formatter.write_str(reference),
        }
    }
}

/// One object that a command names, or several by their labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// `apiVersion`, where a manifest says it; `None` where the command names the object by a resource's word.
    pub(crate) api_version: Option<String>,
    /// The kind, or the resource's word as written, such as `gateway`.
    pub(crate) resource: String,
    /// Its name; empty where labels say which objects are meant.
    pub(crate) name: String,
    /// Labels by which several are meant, as `-l` takes them.
    pub(crate) selector: Option<String>,
    /// Its namespace, where one is named.
    pub(crate) namespace: Option<String>,
}

impl Target {
    /// As kubectl takes it in one word.
    fn path(&self) -> String {
        format!("{}/{}", self.resource, self.selector.as_ref().unwrap_or(&self.name))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.selector {
            None => write!(formatter, "{} {}", self.resource, self.name),
            Some(selector) => write!(formatter, "each {} with {selector}", self.resource),
        }
    }
}

/// What is said of an object that is to be deleted and is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absent {
    /// The command fails.
    Fails,
    /// It is as wanted (`--ignore-not-found`).
    IsFine,
}

/// How a patch is meant (`kubectl patch --type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatchStrategy {
    /// RFC 7396.
    Merge,
    /// RFC 6902.
    Json,
    /// Kubernetes' own, where lists are merged by key; for built-in kinds only.
    Strategic,
}

/// What a wait waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Until {
    /// A condition has a status (`--for=condition=TYPE[=STATUS]`).
    Condition {
        /// Its type.
        type_: String,
        /// Its status; `True` where none is named.
        status: String,
    },
    /// Every replica is of the newest template and available (`kubectl rollout status`).
    RolledOut,
    /// It is gone (`--for=delete`).
    Gone,
}

impl fmt::Display for Until {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Condition { type_, status } => write!(formatter, "is {type_}={status}"),
            Self::RolledOut => write!(formatter, "is rolled out"),
            Self::Gone => write!(formatter, "is gone"),
        }
    }
}
