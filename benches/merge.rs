//! What it costs to add a thousand runs up: time and memory of `quickproof merge`, the whole process.
//!
//! `cargo bench --bench merge` prints both and judges neither: a loaded machine is no regression. The marks to stay under are
//! 2 s and 200 MB.

use std::{
    fs,
    io::{self, Write},
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use quickproof::{
    record::{Journal, Render as _, RunRecord},
    report::Json,
};

/// Runs that are added up.
const RUNS: usize = 1000;

fn main() -> anyhow::Result<()> {
    let recorded = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/runs/interrupted.jsonl");
    let record = RunRecord::from_events(&Journal::read(&recorded)?.events);
    let mut json = Vec::new();
    Json.render(&record, &mut json)?;
    let directory = tempfile::tempdir()?;
    for number in 0..RUNS {
        let run = directory.path().join(format!("runs/node-{number}/{number:04x}"));
        fs::create_dir_all(&run)?;
        fs::write(run.join("record.json"), &json)?;
    }
    let mut out = io::stdout().lock();
    writeln!(out, "{RUNS} runs of {} kB", json.len() / 1000)?;
    for _ in 0..3 {
        let (took, peak) = merge(directory.path())?;
        writeln!(out, "merge  {:6.2} s  {peak} kB at most", took.as_secs_f64())?;
    }
    Ok(())
}

/// How long one merge takes, and the most memory that it was seen to have, in kB.
#[expect(
    clippy::disallowed_methods,
    reason = "the process is what is measured, so nothing of ours stands in between"
)]
fn merge(directory: &Path) -> io::Result<(Duration, u64)> {
    let begun = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_quickproof"))
        .args(["merge", "runs", "--output-dir", "merged"])
        .current_dir(directory)
        .env_clear()
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let mut peak = 0;
    while child.try_wait()?.is_none() {
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        peak = peak.max(
            line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok())
                .unwrap_or(0),
        );
        thread::sleep(Duration::from_millis(5));
    }
    Ok((begun.elapsed(), peak))
}
