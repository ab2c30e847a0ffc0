//! What a user pays before anything happens: start-up time and size of the release binary.
//!
//! `cargo bench --bench startup` prints both and judges neither: a loaded machine is no regression. The marks to stay
//! under are 15 ms and 30 MB.

use std::{
    fs, io,
    io::Write,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// Starts of each command line; the median of so many is steady to a tenth of a millisecond on an idle machine.
const STARTS: usize = 51;

fn main() -> io::Result<()> {
    let binary = Path::new(env!("CARGO_BIN_EXE_quickproof"));
    let mut out = io::stdout().lock();
    for arguments in [&["version"][..], &["verify", "--help"], &["explain"]] {
        // The first start reads the binary from disk.
        start(binary, arguments)?;
        let mut took: Vec<Duration> = (0..STARTS)
            .map(|_| start(binary, arguments))
            .collect::<io::Result<_>>()?;
        took.sort_unstable();
        let ms = |index: usize| took[index].as_secs_f64() * 1000.0;
        writeln!(
            out,
            "start-up  {:6.2} ms median of {STARTS} ({:.2} to {:.2})  quickproof {}",
            ms(STARTS / 2),
            ms(0),
            ms(STARTS - 1),
            arguments.join(" ")
        )?;
    }
    let bytes = fs::metadata(binary)?.len();
    writeln!(
        out,
        "size      {}.{} MB",
        bytes / 1_000_000,
        bytes % 1_000_000 / 100_000
    )
}

/// How long one start takes, from fork to exit.
fn start(binary: &Path, arguments: &[&str]) -> io::Result<Duration> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the process is what is measured, so nothing of ours stands in between"
    )]
    let mut command = Command::new(binary);
    command
        .args(arguments)
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    let begun = Instant::now();
    let status = command.status()?;
    let took = begun.elapsed();
    if !status.success() {
        return Err(io::Error::other(format!("{arguments:?} ended with {status}")));
    }
    Ok(took)
}
