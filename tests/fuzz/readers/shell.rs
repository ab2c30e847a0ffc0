//! Any text as a block of commands: steps, or steps that are not understood, never a panic.

use quickproof::{
    plan::{self, Options, Phase},
    release::{MemoryTree, REPOSITORY, Release, Tag},
};

/// What stands before the text: a tab of each kind, and variables of each kind.
const BEFORE: &str = "\
=== \"GPU-Based\"

    x

=== \"Simulator\"

    x

Done

=== \"GKE\"

    x

=== \"Istio\"

    x

Done

";

pub(super) fn read(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let tag: Tag = "v1.5.0".parse().expect("a tag");
    // A fence longer than any in the text keeps all of it one block.
    let ticks = text.split(|sign| sign != '`').map(str::len).max().unwrap_or_default();
    let fence = "`".repeat(ticks.max(2) + 1);
    let guide = format!("{BEFORE}{fence}bash\nA=one\nexport B='two words'\n{fence}\n\n{fence}bash\n{text}\n{fence}\n");
    let lines = u32::try_from(guide.lines().count()).expect("a number of lines");
    let mut tree = MemoryTree::default();
    tree.insert("site-src/guides/index.md".parse().expect("a path"), guide);
    let release = Release::new(REPOSITORY, Some(tag), None, Box::new(tree));
    let options = Options {
        variant: "sim".into(),
        provider: "istio".into(),
        phase: [Phase::BeforePublish, Phase::AfterPublish][text.len() % 2],
        ..Options::default()
    };
    let plan = plan::draw(&release, &options).expect("a guide with these tabs has a plan");
    assert!(plan.steps.len() >= 2);
    assert!(plan.steps.iter().all(|step| (1..=lines).contains(&step.from.line)));
}
