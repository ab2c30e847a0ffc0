//! How long a plan takes, and the plans of all combinations that a guide offers.
//!
//! `cargo bench --bench plan [TREE]` prints both for the tree that is named, or for the small one that tests plan with, and
//! judges neither. The marks to stay under for a real release are 30 ms for one plan, from nothing read, and 50 ms for all.

use std::{
    env,
    io::{self, Write},
    path::PathBuf,
    time::{Duration, Instant},
};

use quickproof::{
    host::Host,
    plan::{self, Options},
    release::Source,
};

/// How often each is measured; the median is printed.
const TIMES: usize = 21;

fn main() -> io::Result<()> {
    let small = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/trees/mini");
    // Cargo itself passes `--bench`.
    let tree = env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let tree = tree.map_or(small, PathBuf::from);
    let source = Source::Directory {
        directory: tree,
        tag: None,
        repository: None,
    };
    let host = Host::with_variables([]);
    let mut out = io::stdout().lock();
    let mut one = Vec::new();
    let mut all = Vec::new();
    let mut combinations = 0;
    for _ in 0..TIMES {
        one.push(timed(|| {
            let release = source
                .open_at_hand(&host)
                .ok_or("it is a checkout; name its files alone")??;
            let layout = release.layout(None)?;
            let offers = plan::offers(&release, &layout)?;
            let Some(offer) = plan::preferred(&offers, None, None) else {
                return Err("the guide offers nothing".into());
            };
            let options = Options {
                variant: offer.variant.clone(),
                provider: offer.provider.clone(),
                ..Options::default()
            };
            plan::draw(&release, &options)?;
            Ok(())
        })?);
        all.push(timed(|| {
            let release = source
                .open_at_hand(&host)
                .ok_or("it is a checkout; name its files alone")??;
            let layout = release.layout(None)?;
            combinations = plan::draw_all(&release, &layout, &Options::default())?.len();
            Ok(())
        })?);
    }
    writeln!(out, "plan      {:6.2} ms median of {TIMES}", median(one))?;
    writeln!(out, "all {combinations:>3}   {:6.2} ms median of {TIMES}", median(all))
}

/// How long something takes that must not fail.
fn timed(work: impl FnOnce() -> Result<(), Box<dyn std::error::Error>>) -> io::Result<Duration> {
    let begun = Instant::now();
    work().map_err(|error| io::Error::other(error.to_string()))?;
    Ok(begun.elapsed())
}

/// The median, in milliseconds.
fn median(mut took: Vec<Duration>) -> f64 {
    took.sort_unstable();
    took.get(took.len() / 2).map_or(0.0, Duration::as_secs_f64) * 1000.0
}
