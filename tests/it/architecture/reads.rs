//! Where a source file opens files for reading, past the one place that bounds what is read.

use syn::{
    UseTree,
    visit::{self, Visit},
};

use super::paths::is_for_tests;

/// The end of the paths that open a file for reading, whatever stands before.
const OPENING: &[&[&str]] = &[
    &["fs", "read"],
    &["fs", "read_to_string"],
    &["File", "open"],
    &["fs", "copy"],
    &["Kubeconfig", "read_from"],
];

/// What a file holds that opens files for reading, tests left out, as paths.
///
/// # Errors
/// The file is no Rust.
pub(super) fn opened(text: &str) -> syn::Result<Vec<String>> {
    let mut seen = Seen(Vec::new());
    seen.visit_file(&syn::parse_file(text)?);
    Ok(seen.0)
}

struct Seen(Vec<String>);

impl Seen {
    fn path(&mut self, segments: &[String]) {
        let opens = |end: &&[&str]| segments.ends_with(&end.iter().map(ToString::to_string).collect::<Vec<_>>());
        if OPENING.iter().any(opens) {
            self.0.push(segments.join("::"));
        }
    }

    fn brought(&mut self, tree: &UseTree, before: &[String]) {
        let with = |name: &syn::Ident| [before, &[name.to_string()]].concat();
        match tree {
            UseTree::Path(path) => self.brought(&path.tree, &with(&path.ident)),
            UseTree::Group(group) => group.items.iter().for_each(|item| self.brought(item, before)),
            UseTree::Name(name) => self.path(&with(&name.ident)),
            UseTree::Rename(rename) => self.path(&with(&rename.ident)),
            UseTree::Glob(_) => {}
        }
    }
}

impl<'ast> Visit<'ast> for Seen {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        if !is_for_tests(item) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.brought(&item.tree, &[]);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.path(&segments);
        visit::visit_path(self, path);
    }
}
