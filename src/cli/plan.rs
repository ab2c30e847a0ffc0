//! `quickproof plan`: the steps of a run and their ledger, printed and not carried out. Needs no cluster.

use std::{
    fmt::{self, Write},
    path::PathBuf,
};

use clap::{Args, ValueEnum};

mod json;
mod lanes;

pub(crate) use json::PlanView;
pub(crate) use lanes::LANES_VERSION;
use lanes::{Calls, LanesView};

use crate::{
    cli::{CliContext, Output, Usage, block_on, cannot_begin, source::SourceArguments},
    plan::{self, Action, Offer, Options, Phase, Plan, Resources, Step},
    redact::cut,
    release::{self, Layout, Release},
    run,
    verdict::{ExitCode, Finding, Weight},
};

/// Show what a run would do, step by step, and where that deviates from the guide.
///
/// Nothing is made and no cluster is needed. Without `--release` it is the quickstart that comes with quickproof.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  quickproof plan\n  quickproof plan --tree . --release v1.5.0 --profile small\n  quickproof plan --tree . -o json > plan.json"
)]
pub(crate) struct PlanArguments {
    #[command(flatten)]
    source: SourceArguments,
    #[command(flatten)]
    choice: ChoiceArguments,
    /// Whether the release's own files stand in for its addresses, or the addresses themselves are read
    #[arg(long, value_name = "WHEN", default_value = "before-publish")]
    phase: Phase,
    /// The directory with the assets of a release that is not published yet, such as `manifests.yaml`
    #[arg(long, value_name = "DIR")]
    artifacts: Option<PathBuf>,
    /// Named overrides for a small machine or another purpose
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// One value of the guide's charts, as `helm --set` takes it; may be given again
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// The namespace to work in; without it the one that the guide uses
    #[arg(short, long, value_name = "NAME")]
    namespace: Option<String>,
    /// Plan for images that are built from packages, with stock Envoy in place of the provider's own proxy
    #[arg(long)]
    built: bool,
    /// Show every variant on every provider that the guide offers, or those that `--variant` and `--provider` choose among them,
    /// and no steps: a job can be started for each
    #[arg(long)]
    lanes: bool,
    /// How to say it; `github` and `prow` are for `--lanes`
    #[arg(short, long, value_name = "FORM", default_value = "text")]
    output: PlanForm,
}

/// How to say a plan, or the lanes of a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PlanForm {
    /// For people
    Text,
    /// For scripts: one object
    Json,
    /// The lanes as one line of JSON for `strategy.matrix` of a GitHub workflow
    Github,
    /// The lanes as periodic jobs of Prow
    Prow,
}

/// Which of the guide's tabs are meant.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ChoiceArguments {
    /// The model-server tab of the guide; without it the one that asks for least
    #[arg(long, value_name = "NAME")]
    pub(crate) variant: Option<String>,
    /// The gateway-provider tab of the guide; without it istio, or the first where there is none for it
    #[arg(long, value_name = "NAME")]
    pub(crate) provider: Option<String>,
    /// How the release lays its guide out; without it the tag says so
    #[arg(long, value_name = "NAME")]
    pub(crate) layout: Option<String>,
}

/// How to say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// For people
    Text,
    /// For scripts: one object
    Json,
}

impl ChoiceArguments {
    /// The combination that is meant among those that the guide offers.
    ///
    /// # Errors
    /// The guide cannot be read, or does not offer what was asked for; then what it offers is named.
    pub(crate) fn choose(&self, release: &Release, layout: &Layout) -> Result<Offer, Usage> {
        let offers = plan::offers(release, layout).map_err(Usage::new)?;
        let (variant, provider) = (self.variant.as_deref(), self.provider.as_deref());
        if let Some(offer) = plan::preferred(&offers, variant, provider) {
            return Ok(offer.clone());
        }
        let list = |names: std::collections::BTreeSet<&str>| {
            let names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
            names.join(", ")
        };
        if offers.is_empty() {
            return Err(Usage::new(anyhow::anyhow!(
                "`{}` has no tabs that the layout `{}` knows, neither of a model server nor of a gateway, so nothing of it can be planned; `quickproof guide` shows what is read",
                layout.guide,
                layout.name
            )));
        }
        let asked = [("variant", variant), ("provider", provider)];
        let asked: Vec<String> = asked
            .into_iter()
            .filter_map(|(what, name)| Some(format!("{what} `{}`", cut(name?, 80))))
            .collect();
        Err(Usage::new(anyhow::anyhow!(
            "`{}` offers no {}; its variants are {}, its providers {}",
            layout.guide,
            asked.join(" with "),
            list(offers.iter().map(|offer| offer.variant.as_str()).collect()),
            list(offers.iter().map(|offer| offer.provider.as_str()).collect()),
        )))
    }
}

impl PlanArguments {
    /// How jobs call `verify` for what is planned here. Of files on this machine a job has none: it takes the tip of `main`.
    fn calls(&self) -> Calls {
        let source = &self.source;
        let branch = source.branch.as_deref().unwrap_or("main");
        let repository = source.repository.as_deref().unwrap_or(release::REPOSITORY);
        let (owner, name) = repository.split_once('/').unwrap_or(("OWNER", repository));
        let mut words = match (&source.branch, &source.commit, &source.release, &source.tree) {
            (None, None, Some(tag), None) => vec!["--release".to_owned(), tag.clone()],
            (None, Some(commit), ..) => vec!["--commit".to_owned(), commit.clone()],
            _ => vec!["--branch".to_owned(), branch.to_owned()],
        };
        let mut options = Vec::new();
        let add = |to: &mut Vec<String>, flag: &str, value: Option<&String>| {
            to.extend(value.into_iter().flat_map(|value| [flag.to_owned(), value.clone()]));
        };
        add(&mut words, "--repository", source.repository.as_ref());
        add(&mut options, "--layout", self.choice.layout.as_ref());
        if self.phase == Phase::AfterPublish {
            options.extend(["--phase", "after-publish"].map(str::to_owned));
        }
        add(&mut options, "--profile", self.profile.as_ref());
        for value in &self.set {
            add(&mut options, "--set", Some(value));
        }
        add(&mut options, "--namespace", self.namespace.as_ref());
        Calls {
            repository: (owner.to_owned(), name.to_owned()),
            branch: branch.to_owned(),
            source: words,
            options,
        }
    }
}

/// Draws and prints the plan.
///
/// # Errors
/// Something that was typed does not exist.
pub(crate) fn run(arguments: PlanArguments, context: &CliContext, out: &mut Output) -> anyhow::Result<ExitCode> {
    let release = arguments.source.open(context)?;
    let layout = release.layout(arguments.choice.layout.as_deref()).map_err(Usage::new)?;
    if arguments.lanes {
        return lanes(arguments, context, &release, &layout, out);
    }
    let offer = arguments.choice.choose(&release, &layout)?;
    let artifacts = arguments.artifacts.as_deref().map(release::artifacts).transpose();
    let mut options = Options {
        variant: offer.variant,
        provider: offer.provider,
        phase: arguments.phase,
        profile: arguments.profile,
        helm_set: arguments.set,
        built: arguments.built,
        namespace: arguments.namespace,
        layout: arguments.choice.layout,
        artifacts: artifacts.map_err(Usage::new)?.unwrap_or_default(),
        ..Options::default()
    };
    let plan = match options.phase {
        Phase::BeforePublish => drawn(context, &release, &mut options)?,
        Phase::AfterPublish => fetch_and_draw(&arguments.source, context, &release, &mut options)?,
    };
    match arguments.output {
        PlanForm::Text => out.say(fmt::from_fn(|words| print(&plan, words))),
        PlanForm::Json => out.json(&PlanView::of(&plan))?,
        PlanForm::Github | PlanForm::Prow => {
            return Err(Usage::new(anyhow::anyhow!(
                "`-o github` and `-o prow` say which lanes there are; add `--lanes`"
            ))
            .into());
        }
    }
    Ok(ExitCode::Passed)
}

/// Prints the lanes of a release.
fn lanes(
    arguments: PlanArguments,
    context: &CliContext,
    release: &Release,
    layout: &Layout,
    out: &mut Output,
) -> anyhow::Result<ExitCode> {
    let calls = arguments.calls();
    let ChoiceArguments {
        variant,
        provider,
        layout: named,
    } = arguments.choice;
    let artifacts = arguments.artifacts.as_deref().map(release::artifacts).transpose();
    let mut options = Options {
        phase: arguments.phase,
        profile: arguments.profile,
        helm_set: arguments.set,
        built: arguments.built,
        namespace: arguments.namespace,
        layout: named,
        artifacts: artifacts.map_err(Usage::new)?.unwrap_or_default(),
        ..Options::default()
    };
    let is_chosen = |offer: &Offer| {
        variant.as_ref().is_none_or(|variant| *variant == offer.variant)
            && provider.as_ref().is_none_or(|provider| *provider == offer.provider)
    };
    let combinations = plan::draw_all(release, layout, &options).map_err(Usage::new)?;
    let plans = combinations.iter().filter_map(|(_, plan)| plan.as_ref().ok());
    let unbuilt: std::collections::BTreeSet<_> = plans.flat_map(|plan| plan.unbuilt.iter().cloned()).collect();
    if !unbuilt.is_empty() {
        options.built_kustomizations = block_on(run::built(&context.host, release, unbuilt))?;
    }
    let view = LanesView::of(release, layout, &options, is_chosen).map_err(Usage::new)?;
    if view.is_empty() {
        let sentence =
            "the guide offers no such lane that can be planned; `quickproof plan --lanes` without more shows all";
        return Err(Usage::new(anyhow::anyhow!(sentence)).into());
    }
    match arguments.output {
        PlanForm::Text => out.say(fmt::from_fn(|words| view.print(words))),
        PlanForm::Json => out.json(&view)?,
        PlanForm::Github => out.say(view.github()),
        PlanForm::Prow => out.say(fmt::from_fn(|words| view.prow(&calls, words))),
    }
    Ok(ExitCode::Passed)
}

/// Draws a plan before publication, and once more with the kustomizations that it needs, built by kubectl.
///
/// # Errors
/// What is asked for does not exist.
pub(crate) fn drawn(context: &CliContext, release: &Release, options: &mut Options) -> anyhow::Result<Plan> {
    let plan = plan::draw(release, options).map_err(Usage::new)?;
    if plan.unbuilt.is_empty() {
        return Ok(plan);
    }
    let built = block_on(run::built(&context.host, release, plan.unbuilt))?;
    options.built_kustomizations.extend(built);
    Ok(plan::draw(release, options).map_err(Usage::new)?)
}

/// Draws the plan of a release that is published, with what it has on the web.
fn fetch_and_draw(
    source: &SourceArguments,
    context: &CliContext,
    release: &Release,
    options: &mut Options,
) -> anyhow::Result<Plan> {
    let mut notes = Vec::new();
    let drawing = run::draw_whole(&context.host, source.access(), release, options, &mut notes);
    let drawn = block_on(drawing)?;
    context.tell(&notes);
    drawn.map_err(cannot_begin)
}

/// Prints a plan for a person: one line a step, its fault below it, then the ledger and the images.
///
/// # Errors
/// `out` cannot be written.
pub fn print(plan: &Plan, out: &mut dyn Write) -> fmt::Result {
    writeln!(out, "{}", plan.subject.sentence())?;
    let places: Vec<String> = plan.steps.iter().map(|step| step.from.to_string()).collect();
    let width = places.iter().map(String::len).max().unwrap_or(0);
    for (number, (step, place)) in (1..).zip(plan.steps.iter().zip(&places)) {
        let optional = if step.weight == Weight::Advisory {
            " (decides nothing)"
        } else {
            ""
        };
        writeln!(
            out,
            "{number:>3}  {:<9}  {place:<width$}  {}{optional}",
            step.action.facts().verb,
            step.sentence
        )?;
        if let Some(fault) = fault(step) {
            writeln!(out, "     {:<9}  {}", "fault", fault)?;
            writeln!(out, "     {:<9}  {}", "", step.command)?;
        }
    }
    writeln!(out, "ledger")?;
    for (number, entry) in (1..).zip(&plan.ledger) {
        let place = entry.from.as_ref().map(|from| format!(" ({from})")).unwrap_or_default();
        writeln!(out, "{number:>3}  {:<11}  {}{place}", entry.kind.word(), entry.subject)?;
        writeln!(out, "     {:<11}  {}: {}", "", entry.what, entry.why)?;
    }
    writeln!(out, "images")?;
    plan.images()
        .iter()
        .try_for_each(|image| writeln!(out, "     {image}"))?;
    if !plan.wanted.is_empty() {
        writeln!(out, "not fetched yet")?;
        plan.wanted
            .iter()
            .try_for_each(|address| writeln!(out, "     {address}"))?;
    }
    let (sum, unknown) = plan.asks_for();
    writeln!(out, "asks for")?;
    write!(out, "     {}", amounts(&sum))?;
    match unknown {
        0 => writeln!(out),
        1 => writeln!(out, "; and 1 step whose needs are not known"),
        _ => writeln!(out, "; and {unknown} steps whose needs are not known"),
    }
}

/// What is asked of a cluster, in words.
fn amounts(resources: &Resources) -> String {
    let mebibytes = |bytes: u64| bytes.div_ceil(1 << 20);
    let mut parts = vec![
        format!("{} pods", resources.pods),
        format!("{} m cpu", resources.cpu_millis),
        format!("{} MiB memory", mebibytes(resources.memory_bytes)),
    ];
    if resources.ephemeral_storage_bytes > 0 {
        parts.push(format!(
            "{} MiB ephemeral storage",
            mebibytes(resources.ephemeral_storage_bytes)
        ));
    }
    if resources.gpus > 0 {
        parts.push(format!("{} GPUs", resources.gpus));
    }
    parts.join(", ")
}

/// What is known to be wrong with a step before it is carried out.
fn fault(step: &Step) -> Option<String> {
    match (&step.known, &step.action) {
        (Some(Finding::Broken(fault)), _) => Some(format!("{} [{}]", fault.actual, fault.cause.code)),
        (Some(Finding::Undecided { why }), _) => Some(format!("undecided: {why}")),
        (_, Action::Unsupported { why }) => Some(format!("not understood: {why}")),
        (_, Action::Request(request)) if !request.unexpanded.is_empty() => Some(format!(
            "{} stands in single quotes, so its name is sent",
            request.unexpanded.join(", ")
        )),
        _ => None,
    }
}
