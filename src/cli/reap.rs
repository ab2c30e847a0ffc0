//! `quickproof reap`: removes what killed runs left behind.

use std::io::Write;

use clap::Args;

use crate::{
    cluster::{
        reap::{self, Scope},
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
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cleanness {
    /// Nothing is left.
    Clean,
    /// Something could not be removed.
    LeftBehind,
}

/// Lists what there is, removes it and says what became of each.
///
/// # Errors
/// The state directory cannot be read or written, or `out` is broken.
pub(crate) async fn run(
    host: &Host,
    arguments: &ReapArguments,
    events: &Events,
    out: &mut dyn Write,
) -> anyhow::Result<Cleanness> {
    let scope = if arguments.all { Scope::All } else { Scope::Dead };
    let left = reap::left(host, scope)?;
    let things = || {
        left.iter()
            .flat_map(|listing| listing.made.iter().map(move |made| (listing, made)))
    };
    if things().next().is_none() {
        writeln!(out, "no run left anything behind")?;
    } else {
        writeln!(out, "left behind:")?;
    }
    for (listing, made) in things() {
        writeln!(out, "  {made}  (run {})", listing.run)?;
    }
    if arguments.dry_run {
        return Ok(Cleanness::Clean);
    }
    let reaped = reap::reap(host, scope, events).await?;
    for thing in &reaped {
        match &thing.fate {
            Fate::Removed => writeln!(out, "removed  {}", thing.what)?,
            Fate::PutBack => writeln!(out, "put back {}", thing.what)?,
            Fate::Absent => writeln!(out, "gone     {}", thing.what)?,
            Fate::Left(why) => writeln!(out, "left     {}: {why}", thing.what)?,
        }
    }
    let clean = !reaped.iter().any(|thing| matches!(thing.fate, Fate::Left(_)));
    Ok(if clean { Cleanness::Clean } else { Cleanness::LeftBehind })
}
