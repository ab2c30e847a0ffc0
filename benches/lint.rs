//! What `lint` costs over one release, drawn plans included, charts not rendered.
//!
//! `cargo bench --bench lint [-- TREE TAG]` prints the median and judges nothing. The mark to stay under is 50 ms for the
//! files of v1.5.0; without a real tree beside the checkout it is a small release of ours that is measured.

use std::{
    io,
    io::Write,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use quickproof::{
    host::Host,
    lint::{self, Rendered},
    release::Source,
};

/// How often it is done.
const TIMES: usize = 31;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let tree = arguments.next().map_or_else(default_tree, PathBuf::from);
    let tag = arguments.next().unwrap_or_else(|| "v1.5.0".to_owned());
    let mut took = Vec::new();
    let mut found = 0;
    let (host, source) = (
        Host::with_variables([]),
        Source::Directory {
            directory: tree.clone(),
            tag: Some(tag.parse()?),
            repository: None,
        },
    );
    for _ in 0..TIMES {
        let begun = Instant::now();
        let release = source
            .open_at_hand(&host)
            .ok_or("it is a checkout; name its files alone")??;
        let layout = release.layout(None)?;
        let combinations = lint::draw(&release, &layout)?;
        found = lint::examine(&release, &layout, &combinations, &Rendered::new())
            .diagnostics
            .len();
        took.push(begun.elapsed());
    }
    took.sort_unstable();
    let ms = |took: Duration| took.as_secs_f64() * 1000.0;
    writeln!(
        io::stdout(),
        "lint  {:6.2} ms median of {TIMES} ({:.2} to {:.2}), {found} findings in {}",
        ms(took[TIMES / 2]),
        ms(took[0]),
        ms(took[TIMES - 1]),
        tree.display()
    )?;
    Ok(())
}

fn default_tree() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let real = root.join("../shared/upstream/gateway-api-inference-extension/v1.5.0");
    if real.is_dir() {
        real
    } else {
        root.join("tests/data/trees/lint")
    }
}
