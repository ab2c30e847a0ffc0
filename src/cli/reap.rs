//! `quickproof reap`: removes what killed runs left behind.

use clap::Args;

use crate::{
    cli::Output,
    cluster::{
        reap::{self, Left, Scope, Turn},
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
        match &thing.fate {
            Fate::Removed => out.say(format_args!("removed  {}", thing.what)),
            Fate::PutBack => out.say(format_args!("put back {}", thing.what)),
            Fate::Absent => out.say(format_args!("gone     {}", thing.what)),
            Fate::Left(why) => out.say(format_args!("left     {}: {why}", thing.what)),
        }
    }
    let stays = reaped.iter().any(|thing| matches!(thing.fate, Fate::Left(_)));
    Ok(if stays || !unreadable.is_empty() {
        Cleanness::LeftBehind
    } else {
        Cleanness::Clean
    })
}
