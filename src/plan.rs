//! Typed steps drawn from the guide, and the ledger of every deviation from its letter.
//!
//! Pure data: a plan is drawn, printed and tested without a cluster. What a variable of the guide holds only at run
//! time (such as a Gateway's address) stays a [`Piece::Variable`] until the step before has read it.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    guide::GuideError,
    manifest::{ManifestError, Object},
    record::{Deviation, Provenance, Subject},
    release::{Address, ErrorBody, FlagDialect, Published, ReleaseError, schemas::Schema},
    verdict::{Fault, Weight},
};

mod action;
mod arguments;
mod change;
mod curl;
mod draft;
mod draw;
mod helm;
mod images;
mod kubectl;
mod latencies;
mod offered;
mod provider;
mod published;
mod reference;
mod room;
mod shell;
mod source;
mod stand_in;
mod sums;
mod tools;
mod variables;

pub use action::{Absent, PatchStrategy, Target, Until};
pub use draw::{draw, draw_all};
pub use offered::{Offer, offered, preferred};
pub use provider::{Installer, Manifests, Profile, Provider, StandIn, Witness};
pub(crate) use reference::{Reference, classify, own_chart};
pub use sums::Resources;
pub(crate) use tools::flag_gone;

/// Values of shell variables that are known so far.
pub type Variables = BTreeMap<String, String>;

/// A shell word: quotes and static variables resolved as bash does, run-time variables still open.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Word(pub Vec<Piece>);

/// A part of a [`Word`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Text as it will be passed on.
    Text(String),
    /// A variable whose value a step reads at run time.
    Variable(String),
}

impl Word {
    /// A word without variables.
    pub fn text(text: impl Into<String>) -> Self {
        Self(vec![Piece::Text(text.into())])
    }

    /// The word with its variables replaced; the name of the first one that is not known otherwise.
    ///
    /// # Errors
    /// A variable has no value yet.
    pub fn resolve(&self, variables: &Variables) -> Result<String, String> {
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(part) => text.push_str(part),
                Piece::Variable(name) => text.push_str(variables.get(name).ok_or_else(|| name.clone())?),
            }
        }
        Ok(text)
    }
}

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
    pub url: Word,
    /// Header lines as given with `-H`, split at the first colon.
    pub headers: Vec<(String, Word)>,
    /// The body as given with `-d`.
    pub body: Option<Word>,
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
        literals: Vec<(String, Word)>,
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
}

/// One command of the guide, as a typed action.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// The stable name of its check, such as `apply:site-src/guides/index.md:60`; unique in the plan.
    pub check: String,
    /// Where the command stands.
    pub from: Provenance,
    /// The command as written, joined to one line.
    pub command: String,
    /// What it says when it holds, one sentence: `4 CRDs are applied`.
    pub sentence: String,
    /// What it does.
    pub action: Action,
    /// Whether its failure decides the verdict; a prerequisite's check does not.
    pub weight: Weight,
    /// What is known of it without running it, such as a file that the release lacks; the step is then not carried out,
    /// and its action may be empty.
    pub known: Option<Fault>,
    /// Which command of the guide it is of; `None` for what no command stands for, such as an include that is missing.
    pub origin: Option<Origin>,
    /// What it asks of the cluster; `None` where that is not known without rendering a chart or running a program.
    pub resources: Option<Resources>,
}

/// Where in a [`crate::guide::GuideBook`] a step's command stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin {
    /// The number of its block.
    pub block: usize,
    /// Its number among the block's commands, from 0.
    pub command: usize,
}

/// What will be done, in order, and where that deviates from the guide.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// What is tested.
    pub subject: Subject,
    /// The steps, in the order of the guide.
    pub steps: Vec<Step>,
    /// What the guide's cleanup says, read as the steps are. It is never carried out: a run takes away what it made, and
    /// the ledger says so.
    pub cleanup: Vec<Step>,
    /// Deviations known before anything runs.
    pub ledger: Vec<Deviation>,
    /// What must be fetched before the plan is whole: after publication, a plan is drawn again with
    /// [`Options::published`] until nothing is wanted.
    pub wanted: Vec<Address>,
    /// Objects that no command of the guide makes but that it requires (Gateway API CRDs); applied first, in the ledger.
    /// Empty until [`Plan::supply`].
    pub requirements: Vec<Object>,
    /// CRDs to be had before the run begins, for `requirements` and for steps.
    pub schemas: Vec<Schema>,
    /// Images that the objects and the provider ask for, where they are known without rendering a chart.
    pub images: Vec<String>,
    /// The label that bears a Gateway's name on the Service of its proxies.
    pub gateway_label: String,
    /// The value of the tag's `build_ref` that the endpoint picker must report, or `None` where no release is tested or
    /// its endpoint picker reports none.
    pub build_ref: Option<String>,
    /// What the endpoint picker of this release is like; `None` where the layout does not say.
    pub picker: Option<PickerFacts>,
    /// What [`Plan::with_built_images`] adds.
    when_built: Vec<WhenBuilt>,
}

/// What a provider's own program is given, where images are built from packages.
#[derive(Debug, Clone, PartialEq)]
struct WhenBuilt {
    /// The check of the step that runs the program.
    check: String,
    /// Arguments that are added to the guide's.
    arguments: Vec<String>,
    /// How many entries of the ledger go before those that say so.
    place: usize,
    /// Those entries.
    deviations: Vec<Deviation>,
}

/// What the layout says of the endpoint picker of one release.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct PickerFacts {
    /// How its flags are written.
    pub flags: FlagDialect,
    /// The kinds of inference objects that it watches, each `GROUP/VERSION KIND`.
    pub kinds: Vec<String>,
    /// The metrics by which it is judged.
    pub metrics: Vec<String>,
    /// The headers by which it is judged.
    pub headers: Vec<String>,
    /// What stands in the body of its errors.
    pub error_body: ErrorBody,
}

impl Plan {
    /// The plan, if nothing is lacking that must be fetched first.
    ///
    /// # Errors
    /// Something is.
    pub fn whole(self) -> Result<Self, PlanError> {
        match self.wanted.first() {
            None => Ok(self),
            Some(first) => Err(PlanError::NotWhole {
                first: first.to_string(),
                count: self.wanted.len(),
            }),
        }
    }

    /// The plan where images are built from packages, which is known only once they are had: the provider's program is
    /// given more then, and the ledger says so.
    #[must_use]
    pub fn with_built_images(mut self) -> Self {
        let drawn = self.ledger.len();
        for added in std::mem::take(&mut self.when_built) {
            let step = self.steps.iter_mut().find(|step| step.check == added.check);
            if let Some(Action::InstallProvider { arguments, .. }) = step.map(|step| &mut step.action) {
                arguments.extend(added.arguments);
            }
            let is_new = |new: &Deviation| {
                let mut ledger = self.ledger.iter();
                !ledger.any(|entry| entry.kind == new.kind && entry.subject == new.subject)
            };
            let deviations: Vec<Deviation> = added.deviations.into_iter().filter(is_new).collect();
            // Behind those that stood there and those that went in before.
            let place = added.place + self.ledger.len() - drawn;
            self.ledger.splice(place..place, deviations);
        }
        self
    }

    /// Puts the objects of [`Plan::schemas`] where they belong: required ones into `requirements`, others into the step
    /// that applies them.
    pub fn supply(&mut self, objects: Vec<Object>) {
        for object in objects {
            let schema = self
                .schemas
                .iter()
                .find(|schema| object.file.starts_with(&schema.source()));
            let check = schema.and_then(|schema| schema.step.as_deref());
            let step = self.steps.iter_mut().find(|step| Some(step.check.as_str()) == check);
            match step {
                Some(Step {
                    action: Action::Apply { objects, .. },
                    sentence,
                    ..
                }) => {
                    objects.push(object);
                    *sentence = kubectl::applied(objects);
                }
                _ => self.requirements.push(object),
            }
        }
    }
}

/// When in a release's life it is tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Phase {
    /// URLs of the tag are served from the tree, the chart and the CRDs are packed from it
    #[default]
    BeforePublish,
    /// The real URLs only
    AfterPublish,
}

impl Phase {
    /// Its name on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::BeforePublish => "before-publish",
            Self::AfterPublish => "after-publish",
        }
    }
}

/// What the caller wants planned.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The model-server variant, such as `sim`.
    pub variant: String,
    /// The gateway provider, such as `istio`.
    pub provider: String,
    /// Whether the release is published yet.
    pub phase: Phase,
    /// A profile of overrides, such as `small`.
    pub profile: Option<String>,
    /// Values for the release's charts, each `PATH=VALUE` as for `helm --set`.
    pub helm_set: Vec<String>,
    /// Whether images are built from packages, with stock Envoy in place of a provider's own proxy.
    pub built: bool,
    /// The namespace to use in place of the guide's, where the guide names it by a variable.
    pub namespace: Option<String>,
    /// The layout, or `None` for the one that the tag falls in.
    pub layout: Option<String>,
    /// Assets of the release that is not published yet, by name, such as `manifests.yaml`.
    pub artifacts: BTreeMap<String, Arc<[u8]>>,
    /// What was found on the web so far; only looked at after publication.
    pub published: Published,
}

/// Why no plan can be drawn. Each is an error of use, found before anything is made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// The release cannot be read.
    #[error(transparent)]
    Release(#[from] ReleaseError),
    /// The guide cannot be read.
    #[error(transparent)]
    Guide(#[from] GuideError),
    /// A definition of ours is broken.
    #[error(transparent)]
    Definition(#[from] ManifestError),
    /// No provider has this name.
    #[error("there is no provider `{name}`; known are {known}; a new one is a file in `manifests/providers`")]
    UnknownProvider {
        /// The name asked for.
        name: String,
        /// The names there are.
        known: String,
    },
    /// The release ships nothing for a provider that its guide has no tab for.
    #[error(
        "the release ships nothing for `{provider}`: it has none of {files}; choose a provider that its guide has a tab for"
    )]
    NotShipped {
        /// The provider.
        provider: String,
        /// What is looked for.
        files: String,
    },
    /// The tab that stands in has no command whose place our manifests could take.
    #[error("no command of the guide contains `{install}`, in whose place `{provider}` would be installed")]
    NothingToReplace {
        /// The provider.
        provider: String,
        /// What is looked for.
        install: String,
    },
    /// No profile has this name.
    #[error("there is no profile `{name}`; known are {known}")]
    UnknownProfile {
        /// The name asked for.
        name: String,
        /// The names there are.
        known: String,
    },
    /// A value for the charts is not one.
    #[error("`--set {value}` names no value; expected `PATH=VALUE`, such as `inferenceExtension.replicas=1`")]
    NotAValue {
        /// The text.
        value: String,
    },
    /// Something on the web is lacking that nobody fetched.
    #[error("the plan lacks `{first}`, first of {count}, which the phase `after-publish` reads from the web")]
    NotWhole {
        /// The first of it.
        first: String,
        /// How many there are.
        count: usize,
    },
}
