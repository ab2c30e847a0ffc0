//! The command line.

use std::{io, process::ExitCode};

use clap::Parser;
use quickproof::{
    cli::{cluster, reap},
    host::Host,
    record::{Event, Events},
};

/// Makes, lists and removes clusters; the rest of the command line comes with the rest of the program.
#[derive(Debug, Parser)]
enum Command {
    /// Makes, lists and deletes clusters of our own
    #[command(subcommand)]
    Cluster(cluster::ClusterCommand),
    /// Removes what killed runs left behind
    Reap(reap::ReapArguments),
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let command = Command::parse();
    let (host, out) = (Host::real(), &mut io::stdout());
    let (events, mut heard) = Events::channel();
    tokio::spawn(async move {
        while let Some(event) = heard.recv().await {
            if let Event::Waiting { on, seen, .. } = event {
                anstream::eprintln!("{on}: {seen}");
            }
        }
    });
    match command {
        Command::Cluster(command) => cluster::run(&host, &command, None, &events, out).await?,
        Command::Reap(arguments) => {
            if reap::run(&host, &arguments, &events, out).await? == reap::Cleanness::LeftBehind {
                return Ok(ExitCode::from(5));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
