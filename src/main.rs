//! The command line.

use std::process::ExitCode;

use clap::Parser;
use quickproof::{cli, host::Host};

#[derive(Debug, Parser)]
enum Command {
    Images(cli::images::ImagesCommand),
}

#[tokio::main]
async fn main() -> ExitCode {
    let Command::Images(command) = Command::parse();
    match command.run(&Host::real()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = std::io::Write::write_fmt(&mut anstream::stderr(), format_args!("error: {error:#}\n"));
            ExitCode::FAILURE
        }
    }
}
