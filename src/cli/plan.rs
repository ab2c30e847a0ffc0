//! `quickproof plan`: the steps of a run and their ledger, printed and not carried out. Needs no cluster.

use std::io::{self, Write};

use clap::Args;

use crate::{
    cli::{Caller, Usage, source::SourceArguments},
    plan::{self, Action, Options, Plan, Step},
    record::DeviationKind,
    verdict::{ExitCode, Finding, Weight},
};

/// Show what a run would do, step by step, and where that deviates from the guide.
///
/// Nothing is made and no cluster is needed. Without `--release` it is the quickstart that comes with quickproof.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  quickproof plan\n  quickproof plan --tree . --release v1.5.0 --profile small")]
pub struct PlanArguments {
    #[command(flatten)]
    source: SourceArguments,
    /// The model-server tab of the guide
    #[arg(long, value_name = "NAME", default_value = "sim")]
    variant: String,
    /// The gateway-provider tab of the guide
    #[arg(long, value_name = "NAME", default_value = "istio")]
    provider: String,
    /// How the release lays its guide out; without it the tag says so
    #[arg(long, value_name = "NAME")]
    layout: Option<String>,
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
}

/// Draws and prints the plan.
///
/// # Errors
/// Something that was typed does not exist, or `out` cannot be written.
pub fn run(arguments: PlanArguments, caller: &Caller, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let release = arguments.source.open(caller)?;
    let options = Options {
        variant: arguments.variant,
        provider: arguments.provider,
        profile: arguments.profile,
        helm_set: arguments.set,
        built: arguments.built,
        namespace: arguments.namespace,
        layout: arguments.layout,
        ..Options::default()
    };
    let plan = plan::draw(&release, &options).map_err(Usage::new)?;
    print(&plan, out)?;
    Ok(ExitCode::Passed)
}

/// Prints a plan for a person: one line a step, its fault below it, then the ledger and the images.
///
/// # Errors
/// `out` cannot be written.
pub fn print(plan: &Plan, out: &mut dyn Write) -> io::Result<()> {
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
            verb(step),
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
        writeln!(out, "{number:>3}  {:<11}  {}{place}", word(entry.kind), entry.subject)?;
        writeln!(out, "     {:<11}  {}: {}", "", entry.what, entry.why)?;
    }
    writeln!(out, "images")?;
    plan.images.iter().try_for_each(|image| writeln!(out, "     {image}"))
}

fn verb(step: &Step) -> &'static str {
    match &step.action {
        Action::Apply { objects, .. } if objects.is_empty() && step.known.is_some() => "broken",
        Action::Apply { .. } => "apply",
        Action::Secret { .. } => "secret",
        Action::Helm { .. } => "helm",
        Action::InstallProvider { .. } => "install",
        Action::Read { .. } => "read",
        Action::Inspect { .. } => "look",
        Action::Tool { .. } => "tool",
        Action::Request(_) => "request",
        Action::Variables => "set",
        Action::LeftOut { .. } => "left out",
        Action::Unsupported { .. } => "?",
    }
}

/// What is known to be wrong with a step before it is carried out.
fn fault(step: &Step) -> Option<String> {
    match (&step.known, &step.action) {
        (Some(Finding::Broken { actual, cause, .. }), _) => Some(format!("{actual} [{}]", cause.code)),
        (_, Action::Unsupported { why }) => Some(format!("not understood: {why}")),
        (_, Action::Request(request)) if !request.unexpanded.is_empty() => Some(format!(
            "{} stands in single quotes, so its name is sent",
            request.unexpanded.join(", ")
        )),
        _ => None,
    }
}

fn word(kind: DeviationKind) -> &'static str {
    match kind {
        DeviationKind::Substituted => "substituted",
        DeviationKind::Added => "added",
        DeviationKind::Overridden => "overridden",
        DeviationKind::LeftOut => "left out",
        DeviationKind::Built => "built",
    }
}
