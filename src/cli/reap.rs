//! `quickproof reap`: removes what killed runs left behind.

use std::{fmt::Display, path::PathBuf, time::Duration};

use clap::Args;

use crate::{
    cli::{Output, Usage},
    cluster::{
        self, ExistingCluster,
        reap::{
            self, Left, Scope, Turn,
            labelled::{self, Labelled},
        },
        teardown::Fate,
    },
    host::Host,
    record::Events,
};

/// What to remove.
#[derive(Debug, Clone, Args)]
pub(crate) struct ReapArguments {
    /// Also what was kept on purpose, and the image registry that runs share
    #[arg(long)]
    pub(crate) all: bool,
    /// Only say what would be removed
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Look in this cluster, by the name of its context, for what runs of other machines left there; it bears their label.
    /// Without `--run` it is only said
    #[arg(long, visible_alias = "context", value_name = "CONTEXT", conflicts_with = "all")]
    pub(crate) cluster: Option<String>,
    /// The kubeconfig file that knows the cluster; without it `KUBECONFIG` and then `~/.kube/config`
    #[arg(long, value_name = "FILE", requires = "cluster")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// The run whose things are removed from the cluster. Whether it still goes on on another machine cannot be seen here
    #[arg(long, value_name = "RUN", requires = "cluster")]
    pub(crate) run: Option<String>,
}

/// What becomes of files that cannot be read.
const WHAT_TO_DO: &str = "         what their runs made is not known here, so they are kept: take away what is named in them, \
    or let the quickproof do it that wrote them, and delete them then";

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cleanness {
    /// Nothing is left.
    Clean,
    /// Something could not be removed, or is not known.
    LeftBehind,
}

/// Lists what there is, removes it and says what became of each.
///
/// # Errors
/// The state directory cannot be read or written.
pub(crate) async fn run(
    host: &Host,
    arguments: &ReapArguments,
    events: &Events,
    out: &mut Output,
) -> anyhow::Result<Cleanness> {
    if let Some(cluster) = &arguments.cluster {
        return run_in(host, &ExistingCluster::from(cluster.as_str()), arguments, events, out).await;
    }
    let scope = if arguments.all { Scope::All } else { Scope::Dead };
    let turn = if arguments.dry_run {
        None
    } else {
        Some(Turn::take(host, events).await?)
    };
    let Left { listings, unreadable } = reap::left(host, scope)?;
    for (path, why) in &unreadable {
        out.say(format_args!("unread   {}: {why}", path.display()));
    }
    if !unreadable.is_empty() {
        out.say(WHAT_TO_DO);
    }
    let things = || {
        listings
            .iter()
            .flat_map(|listing| listing.made.iter().map(move |made| (listing, made)))
    };
    match (things().next(), unreadable.is_empty()) {
        (Some(_), _) => out.say("left behind:"),
        (None, true) => out.say("no run left anything behind"),
        (None, false) => {}
    }
    for (listing, made) in things() {
        out.say(format_args!("  {made}  (run {})", listing.run));
    }
    let reaped = match &turn {
        Some(turn) => reap::reap(host, scope, turn, events).await?,
        None => Vec::new(),
    };
    for thing in &reaped {
        say(out, &thing.what, &thing.fate);
    }
    let stays = reaped.iter().any(|thing| matches!(thing.fate, Fate::Left(_)));
    Ok(if stays || !unreadable.is_empty() {
        Cleanness::LeftBehind
    } else {
        Cleanness::Clean
    })
}

/// What became of one thing.
fn say(out: &mut Output, what: &dyn Display, fate: &Fate) {
    match fate {
        Fate::Removed => out.say(format_args!("removed  {what}")),
        Fate::PutBack => out.say(format_args!("put back {what}")),
        Fate::Absent => out.say(format_args!("gone     {what}")),
        Fate::Left(why) => out.say(format_args!("left     {what}: {why}")),
    }
}

/// Says what runs left in a cluster, and takes away what is of the run that is named.
async fn run_in(
    host: &Host,
    which: &ExistingCluster,
    arguments: &ReapArguments,
    events: &Events,
    out: &mut Output,
) -> anyhow::Result<Cleanness> {
    if let Some(run) = &arguments.run
        && labelled::goes_on_here(host, run)?
    {
        return Err(Usage::new(anyhow::anyhow!(
            "run {run} goes on on this machine; it takes away itself what it made"
        ))
        .into());
    }
    let turn = Turn::take(host, events).await?;
    let cluster = cluster::open(host, which, arguments.kubeconfig.as_deref(), Duration::MAX, events).await?;
    let Labelled { mut runs, unseen } = labelled::left_in(&cluster).await?;
    if let Some(run) = &arguments.run {
        runs.retain(|other, _| other == run);
    }
    for kind in &unseen {
        out.say(format_args!("unseen   {kind}"));
    }
    if runs.is_empty() {
        let left = match &arguments.run {
            Some(run) => format!("run {run} left nothing"),
            None => "no run left anything".to_owned(),
        };
        out.say(format_args!("{left} that bears its label in {}", cluster.name));
    } else {
        out.say("left behind:");
    }
    for (run, made) in &runs {
        for one in made {
            out.say(format_args!("  {one}  (run {run})"));
        }
    }
    let cleanness = if unseen.is_empty() {
        Cleanness::Clean
    } else {
        Cleanness::LeftBehind
    };
    let (Some(run), false) = (&arguments.run, arguments.dry_run) else {
        for run in runs.keys().filter(|_| arguments.run.is_none()) {
            out.say(format_args!(
                "`--run {run}` removes what is of that run; see first that it does not go on elsewhere, and was not kept"
            ));
        }
        return Ok(cleanness);
    };
    let made = runs.remove(run).unwrap_or_default();
    let taken = labelled::take_away(host, run, &cluster, made, &turn, events).await?;
    for (made, fate) in &taken {
        say(out, made, fate);
    }
    let stays = taken.iter().any(|(_, fate)| matches!(fate, Fate::Left(_)));
    Ok(if stays { Cleanness::LeftBehind } else { cleanness })
}
