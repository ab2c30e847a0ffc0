//! Typed steps drawn from the guide, and the ledger of every deviation from its letter.
//!
//! Pure data: a plan is drawn, printed and tested without a cluster. What a variable of the guide holds only at run
//! time (such as a Gateway's address) stays open in a [`crate::guide::Template`] until the step before has read it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::{
    guide::{GuideError, Program},
    manifest::{ManifestError, Object},
    record::{Deviation, Provenance, Subject},
    release::{Address, ErrorBody, FlagDialect, Published, ReleaseError, RepoPath, Servers, schemas::Schema},
    verdict::{Finding, Weight},
};

mod action;
mod borrowed_tab;
mod budget;
mod built;
mod change;
mod checkout;
mod curl;
mod draw;
mod helm;
mod images;
mod kubectl;
mod latencies;
mod offers;
mod planner;
mod pod;
mod programs;
mod provider;
mod published;
mod reference;
mod resources;
mod source;
mod tools;
mod variables;

pub use action::{Absent, Action, CarriedOutBy, Chart, Facts, Makes, PatchStrategy, Request, Target, Until};
pub(crate) use change::labels;
pub use draw::{draw, draw_all};
pub use offers::{Offer, offers, preferred};
pub use provider::{BorrowedTab, Installer, Manifests, Profile, Provider, Witness};
pub(crate) use reference::{Reference, classify, own_chart};
pub(crate) use resources::Resources;
pub(crate) use tools::flag_gone;

/// One command of the guide, as a typed action.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// The stable name of its check, such as `apply:Deployment/server`; unique in the plan, and no line of the guide is in it.
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
    /// What is known of it without running it, such as that the release lacks a file, or that nothing here can decide it; the
    /// step is then not carried out, and its action may be empty.
    pub known: Option<Finding>,
    /// Which command of the guide it is of; `None` for what no command stands for, such as an include that is missing.
    pub(crate) origin: Option<Origin>,
    /// The programs that bash runs for it, in order; none where bash reads no command in it.
    pub(crate) programs: Vec<Program>,
    /// What it asks of the cluster; `None` where that is not known without rendering a chart or running a program.
    pub(crate) resources: Option<Resources>,
    /// The images that it runs, as far as they are known in the same way.
    pub(crate) images: BTreeSet<String>,
}

/// Where in a [`crate::guide::GuideBook`] a step's command stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Origin {
    /// The number of its block.
    pub(crate) block: usize,
    /// Its number among the block's commands, from 0.
    pub(crate) command: usize,
}

/// What will be done, in order, and where that deviates from the guide.
///
/// ```
/// use quickproof::{
///     plan::{self, Options},
///     release::Release,
/// };
///
/// let options = Options {
///     variant: "sim".into(),
///     provider: "istio".into(),
///     ..Options::default()
/// };
/// let plan = plan::draw(&Release::embedded(), &options).unwrap();
///
/// let request = plan.steps.iter().find(|step| step.action.facts().verb == "request").unwrap();
/// assert!(request.command.starts_with("curl"));
/// assert_eq!(request.from.file, "guide.md");
/// ```
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
    /// Kustomizations of the tree whose objects it needs and that [`Options::built_kustomizations`] has not: a plan is drawn
    /// again with them.
    pub(crate) unbuilt: Vec<RepoPath>,
    /// Objects that no command of the guide makes but that it requires (Gateway API CRDs); applied first, in the ledger.
    /// Empty until [`Plan::supply`].
    pub(crate) requirements: Vec<Object>,
    /// CRDs to be had before the run begins, for `requirements` and for steps.
    pub schemas: Vec<Schema>,
    /// The label that bears a Gateway's name on the Service of its proxies.
    pub gateway_label: String,
    /// Whether its gateway provider comes with the clusters of a cloud, so that none of ours has it.
    pub(crate) is_managed: bool,
    /// The value of the tag's `build_ref` that the endpoint picker must report, or `None` where no release is tested or
    /// its endpoint picker reports none.
    pub build_ref: Option<String>,
    /// What the servers that it deploys answer.
    pub(crate) servers: Servers,
    /// What the endpoint picker of this release is like; `None` where the layout does not say.
    pub(crate) picker: Option<PickerFacts>,
    /// What [`Plan::with_built_images`] adds.
    when_built: Vec<WhenBuilt>,
}

/// What a provider's own program is given, where images are built from packages.
#[derive(Debug, Clone, PartialEq)]
struct WhenBuilt {
    /// The step that runs the program, counted from 0.
    step: usize,
    /// Arguments that are added to the guide's.
    arguments: Vec<String>,
    /// How many entries of the ledger go before those that say so.
    place: usize,
    /// Those entries.
    deviations: Vec<Deviation>,
}

/// What the layout says of the endpoint picker of one release.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub(crate) struct PickerFacts {
    /// How its flags are written.
    pub(crate) flags: FlagDialect,
    /// The kinds of inference objects that it watches, each `GROUP/VERSION KIND`.
    pub(crate) kinds: Vec<String>,
    /// The metrics by which it is judged.
    pub(crate) metrics: Vec<String>,
    /// The headers by which it is judged.
    pub(crate) headers: Vec<String>,
    /// The header of a request by which a client says which pod must serve it.
    pub(crate) steered_by: Option<String>,
    /// What stands in the body of its errors.
    pub(crate) error_body: ErrorBody,
}

impl Plan {
    /// The plan, if nothing is lacking that must be fetched first.
    ///
    /// # Errors
    /// Something is.
    pub(crate) fn whole(self) -> Result<Self, PlanError> {
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
    pub(crate) fn with_built_images(mut self) -> Self {
        let drawn = self.ledger.len();
        for added in std::mem::take(&mut self.when_built) {
            let step = self.steps.get_mut(added.step);
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
    pub(crate) fn supply(&mut self, objects: Vec<Object>) {
        for object in objects {
            let schema = self
                .schemas
                .iter()
                .find(|schema| object.file.starts_with(&schema.source()));
            let step = schema.and_then(|schema| schema.step);
            match step.and_then(|step| self.steps.get_mut(step)) {
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
    pub(crate) fn word(self) -> &'static str {
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
    /// What `kubectl kustomize` makes of directories of the tree, or why it makes nothing of one.
    pub built_kustomizations: BTreeMap<RepoPath, Result<Arc<[Object]>, NotBuilt>>,
}

/// Why a kustomization could not be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotBuilt {
    /// It is the release's fault: kubectl says what is wrong with it.
    #[error("{0}")]
    Fails(String),
    /// Something else stood in the way, such as no kubectl.
    #[error("{0}")]
    NotTried(String),
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

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::{helm, kubectl};
    use crate::guide::{Argument, Arguments};

    #[rstest]
    #[case::helm("helm", helm::CARRIED_OUT)]
    #[case::kubectl("kubectl", kubectl::CARRIED_OUT)]
    fn every_flag_that_is_carried_out_is_one_of_the_program(#[case] program: &str, #[case] carried_out: &[&str]) {
        for name in carried_out {
            let words = [*name, "x"].map(Argument::new);
            let read = Arguments::read(program, &words).unwrap();
            assert_eq!(read.only(&[name]), Ok(()), "{name} is not the name to ask for");
        }
    }
}
