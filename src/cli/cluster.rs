//! `quickproof cluster`: a cluster of our own, kept until it is taken down.

use clap::Subcommand;

use crate::{
    cli::Output,
    cluster::{
        self, ClusterError, Listed,
        inventory::{Inventory, Made},
        reap,
        teardown::{Teardown, Which, left_of, still_there},
    },
    host::{Host, Signals},
    images::{self, ImageSource},
    record::Events,
    verdict::ExitCode,
};

/// What to do with clusters of our own.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum ClusterCommand {
    /// Makes a cluster and keeps it
    Up {
        /// Names it `quickproof-NAME`
        #[arg(default_value = "lab", value_name = "NAME")]
        id: String,
        /// The node image, in place of the one quickproof would choose
        #[arg(long, value_name = "IMAGE")]
        node_image: Option<String>,
    },
    /// Deletes a cluster that `up` made or a run kept
    Down {
        /// `quickproof-NAME`, or NAME alone
        #[arg(default_value = "lab", value_name = "NAME")]
        id: String,
    },
    /// Lists the clusters that bear our name
    List,
}

/// Carries the command out and writes what a person wants to know to `out`.
///
/// # Errors
/// No engine answers, or kind fails.
pub(crate) async fn run(
    host: &Host,
    command: &ClusterCommand,
    events: &Events,
    out: &mut Output,
) -> anyhow::Result<ExitCode> {
    match command {
        ClusterCommand::Up { id, node_image } => {
            let signals = Signals::listen();
            let provided = async {
                match node_image {
                    Some(image) => anyhow::Ok(Some(image.clone())),
                    None => Ok(images::provide(host, ImageSource::Auto, &[], events).await?.node_image),
                }
            };
            let node_image = tokio::select! {
                provided = provided => provided?,
                signal = signals.after(0) => return Ok(ExitCode::of_signal(signal)),
            };
            up(host, id, node_image.as_deref(), &signals, events, out).await
        }
        ClusterCommand::Down { id } => {
            down(host, id, events, out).await?;
            Ok(ExitCode::Passed)
        }
        ClusterCommand::List => {
            for line in table(&cluster::list(host).await?) {
                out.say(line);
            }
            Ok(ExitCode::Passed)
        }
    }
}

/// Why there is no cluster.
enum Ended {
    Error(ClusterError),
    Signal(&'static str),
}

async fn up(
    host: &Host,
    id: &str,
    node_image: Option<&str>,
    signals: &Signals,
    events: &Events,
    out: &mut Output,
) -> anyhow::Result<ExitCode> {
    let name = cluster::cluster_name(id)?;
    if cluster::list(host).await?.iter().any(|listed| listed.name == name) {
        anyhow::bail!("cluster `{name}` is there already; take it down first: quickproof cluster down {id}");
    }
    let turn = reap::Turn::take(host, events).await?;
    let inventory = Inventory::take_over(host, &format!("cluster-{id}"), &turn)?;
    drop(turn);
    let made = async {
        let made = cluster::create(host, id, node_image, &inventory, events).await?;
        cluster::dns_ready(&made, events).await?;
        Ok::<_, ClusterError>(made)
    };
    let ended = tokio::select! {
        made = made => made.map_err(Ended::Error),
        signal = signals.after(0) => Err(Ended::Signal(signal)),
    };
    let made = match ended {
        Ok(made) => made,
        Err(why) => {
            let left = tokio::select! {
                taken = Teardown::new(host, &inventory, events).take_away(Which::Everything) => left_of(taken),
                _ = signals.after(1) => still_there(&inventory),
            };
            for what in left {
                out.say(format_args!("left     {what}"));
            }
            inventory.close()?;
            return match why {
                Ended::Error(error) => Err(error.into()),
                Ended::Signal(name) => Ok(ExitCode::of_signal(name)),
            };
        }
    };
    inventory.keep()?;
    out.say(format_args!("cluster {name} is ready"));
    out.say(format_args!("  export KUBECONFIG={}", made.kubeconfig.display()));
    out.say(format_args!("  quickproof verify --cluster {name}"));
    out.say(format_args!("  quickproof cluster down {id}"));
    Ok(ExitCode::Passed)
}

async fn down(host: &Host, id: &str, events: &Events, out: &mut Output) -> anyhow::Result<()> {
    let name = cluster::cluster_name(id.strip_prefix("quickproof-").unwrap_or(id))?;
    let known = cluster::list(host).await?;
    let Some(listed) = known.iter().find(|listed| listed.name == name) else {
        anyhow::bail!("no cluster `{name}`; see: quickproof cluster list");
    };
    if let (true, false, Some(run)) = (listed.alive, listed.kept, &listed.run) {
        anyhow::bail!("run {run} is using cluster `{name}`; end that run first");
    }
    cluster::delete(host, &name).await?;
    let is_it = |made: &Made| matches!(made, Made::KindCluster { name: other, .. } if *other == name);
    let turn = reap::Turn::take(host, events).await?;
    reap::forget(host, &turn, is_it)?;
    out.say(format_args!("cluster {name} is gone"));
    Ok(())
}

/// A line for each cluster.
fn table(listed: &[Listed]) -> Vec<String> {
    if listed.is_empty() {
        return vec!["no cluster of ours".to_owned()];
    }
    let line = |cluster: &Listed| {
        let state = match (&cluster.run, cluster.kept, cluster.alive) {
            (None, ..) => "unknown to us: no run noted it, so `reap` leaves it".to_owned(),
            (Some(_), true, _) => "kept on purpose".to_owned(),
            (Some(run), false, true) => format!("run {run} is using it"),
            (Some(run), false, false) => format!("left by run {run}; `quickproof reap` removes it"),
        };
        format!("{}  {state}", cluster.name)
    };
    listed.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(run: Option<&str>, alive: bool, kept: bool) -> Listed {
        Listed {
            name: "quickproof-a".into(),
            run: run.map(Into::into),
            alive,
            kept,
            kubeconfig: None,
        }
    }

    #[test]
    fn a_list_says_what_becomes_of_each() {
        let clusters = [
            listed(None, false, false),
            listed(Some("a"), true, true),
            listed(Some("a"), true, false),
            listed(Some("a"), false, false),
        ];
        let lines = table(&clusters);
        let words = ["unknown", "kept", "using", "reap"];
        assert!(lines.iter().zip(words).all(|(line, word)| line.contains(word)));
        assert_eq!(lines.len(), words.len());
    }
}
