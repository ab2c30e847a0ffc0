//! Any bytes as a guide and the pages that it may include: for every layout and choice of tabs a guide or an error,
//! never a panic, and every command stands on a line of its page.

use std::{collections::BTreeMap, sync::LazyLock};

use quickproof::{
    guide::{Choice, GuideBook},
    plan::Provider,
    release::{Layout, MemoryTree},
};

/// The layouts whose guides a release itself holds.
static LAYOUTS: LazyLock<Vec<&Layout>> = LazyLock::new(|| {
    let all = Layout::all().expect("our layouts can be read");
    all.iter().filter(|layout| layout.our_guide.is_none()).collect()
});

static PROVIDERS: LazyLock<Vec<Provider>> = LazyLock::new(|| Provider::all().expect("our providers can be read"));

/// The pages after the guide, by the names that it may include them by.
const PAGES: [&str; 4] = ["a.md", "b.md", "c.md", "d.md"];

// The first byte chooses the layout, bytes that are zero separate the pages.
pub(super) fn read(bytes: &[u8]) {
    let Some((first, bytes)) = bytes.split_first() else {
        return;
    };
    let layout = LAYOUTS[usize::from(*first) % LAYOUTS.len()];
    let mut tree = MemoryTree::default();
    let mut lines = BTreeMap::new();
    let names = [layout.guide.as_str()].into_iter().chain(PAGES);
    for (name, page) in names.zip(bytes.split(|byte| *byte == 0)) {
        lines.insert(name, page.split(|byte| *byte == b'\n').count());
        tree.insert(name.parse().expect("a path"), page);
    }
    let tag = layout.from.clone();
    let Ok(book) = GuideBook::open(&tree, layout, tag.as_ref()) else {
        return;
    };
    for command in book.blocks.iter().flat_map(|block| &block.commands) {
        let line = usize::try_from(command.at.line).expect("a line");
        assert!((1..=lines[command.at.file.as_str()]).contains(&line));
    }
    for variant in layout.variants.keys().chain(&layout.only_variant) {
        for provider in PROVIDERS.iter() {
            let choice = Choice {
                variant,
                provider: &provider.name,
                provider_tab: provider.tab.as_ref().filter(|_| layout.only_provider.is_none()),
            };
            if let Ok(guide) = book.choose(layout, choice) {
                assert!(guide.blocks.len() <= book.blocks.len());
            }
        }
    }
}
