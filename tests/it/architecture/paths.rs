//! The paths that a source file names, read by a real parser, as paths from the root of the crate.
//!
//! Seen are `use`, paths in types, expressions, patterns and visibilities, what stands in macros and attributes, names given
//! by `use … as …`, and `self`, `super` and `$crate`. What is compiled for tests only is passed over.

use std::{collections::BTreeMap, path::Path};

use proc_macro2::{TokenStream, TokenTree};
use syn::{
    UseTree,
    visit::{self, Visit},
};

/// A path from the root of the crate, such as `["plan", "draw", "draw"]`.
pub(super) type CratePath = Vec<String>;

/// What a source file names.
#[derive(Debug, Default)]
pub(super) struct Named {
    /// Every path into the crate, in the order of the file.
    pub(super) paths: Vec<CratePath>,
    /// What its modules take in by `use`: the path by which others reach it, and where it leads.
    pub(super) brought: Vec<(CratePath, CratePath)>,
    /// Modules whose whole content it takes in (`use …::*`), with the module that does.
    pub(super) whole: Vec<(CratePath, CratePath)>,
    /// Modules of files that are compiled for tests only, such as `mod tests;`.
    pub(super) only_tests: Vec<CratePath>,
    /// `extern crate`, which gives the crate a name that nobody looks for.
    pub(super) extern_crates: Vec<String>,
}

/// The module of a file below `src/`: `plan/draw.rs` is `["plan", "draw"]`, `lib.rs` is the root.
pub(super) fn module_of(path: &Path) -> CratePath {
    let mut parts: Vec<String> = path.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if let Some(last) = parts.last_mut() {
        *last = last.trim_end_matches(".rs").to_owned();
    }
    if parts == ["lib"] || parts == ["main"] {
        parts.clear();
    }
    parts
}

/// Reads a file of the module `module`.
///
/// # Errors
/// The file is no Rust.
pub(super) fn read(module: CratePath, text: &str) -> syn::Result<Named> {
    let file = syn::parse_file(text)?;
    // First what is brought in, so that a path that stands above its `use` is understood.
    let mut uses = Reader::new(module.clone(), Looks::Uses);
    uses.visit_file(&file);
    let mut reader = Reader::new(module, Looks::Paths);
    reader.bound = uses.bound;
    reader.named = uses.named;
    reader.visit_file(&file);
    Ok(reader.named)
}

#[derive(PartialEq)]
enum Looks {
    Uses,
    Paths,
}

struct Reader {
    module: CratePath,
    looks: Looks,
    /// What a name means in a module, where a `use` gives it one.
    bound: BTreeMap<(CratePath, String), CratePath>,
    named: Named,
}

impl Reader {
    fn new(module: CratePath, looks: Looks) -> Self {
        Self {
            module,
            looks,
            bound: BTreeMap::new(),
            named: Named::default(),
        }
    }

    /// The path from the root of the crate, or `None` where it leads elsewhere or nowhere yet.
    fn rooted(&self, segments: &[String]) -> Option<CratePath> {
        let (first, rest) = segments.split_first()?;
        let mut at = match first.as_str() {
            "crate" => Vec::new(),
            "self" => self.module.clone(),
            "super" => self.module.split_last().map(|(_, above)| above.to_vec())?,
            name => self.bound.get(&(self.module.clone(), name.to_owned()))?.clone(),
        };
        for segment in rest {
            if segment == "super" {
                at.pop();
            } else if segment != "self" {
                at.push(segment.clone());
            }
        }
        Some(at)
    }

    fn name(&mut self, segments: &[String]) {
        if self.looks == Looks::Paths
            && let Some(path) = self.rooted(segments)
        {
            self.named.paths.push(path);
        }
    }

    fn bring(&mut self, tree: &UseTree) {
        for leaf in leaves(tree, &[]) {
            match leaf.local {
                Some(local) => self.bind(&leaf.segments, local),
                None => {
                    if let Some(path) = self.rooted(&leaf.segments) {
                        self.named.whole.push((self.module.clone(), path.clone()));
                        self.named.paths.push(path);
                    }
                }
            }
        }
    }

    fn bind(&mut self, segments: &[String], local: String) {
        if let Some(path) = self.rooted(segments) {
            let outside = [self.module.clone(), vec![local.clone()]].concat();
            self.named.brought.push((outside, path.clone()));
            self.named.paths.push(path.clone());
            self.bound.insert((self.module.clone(), local), path);
        }
    }

    /// Paths in tokens that are no syntax yet: `a::b`, `a::{b, c}`, and such text in quotes.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                TokenTree::Ident(ident) => {
                    if colons != 2 || path.is_empty() {
                        self.name(&std::mem::take(&mut path));
                    }
                    path.push(ident.to_string());
                    colons = 0;
                }
                TokenTree::Group(group) => {
                    let before = std::mem::take(&mut path);
                    if colons == 2 && !before.is_empty() {
                        let tree = group.stream().to_string();
                        if let Ok(tree) = syn::parse_str::<UseTree>(&format!("{{{tree}}}")) {
                            for leaf in leaves(&tree, &before) {
                                self.name(&leaf.segments);
                            }
                        }
                    } else {
                        self.name(&before);
                    }
                    self.tokens(group.stream());
                    colons = 0;
                }
                TokenTree::Literal(literal) => {
                    self.name(&std::mem::take(&mut path));
                    colons = 0;
                    if let Ok(text) = syn::parse_str::<syn::LitStr>(&literal.to_string())
                        && let Ok(quoted) = text.parse::<syn::Path>()
                    {
                        self.visit_path(&quoted);
                    }
                }
                TokenTree::Punct(_) => {
                    self.name(&std::mem::take(&mut path));
                    colons = 0;
                }
            }
        }
        self.name(&path);
    }
}

/// One end of a `use`.
struct Leaf {
    segments: Vec<String>,
    /// The name it is given here, or `None` for `*`.
    local: Option<String>,
}

/// The ends of a `use` below `before`.
fn leaves(tree: &UseTree, before: &[String]) -> Vec<Leaf> {
    let with = |name: &syn::Ident| [before, &[name.to_string()]].concat();
    let leaf = |segments, local| vec![Leaf { segments, local }];
    match tree {
        UseTree::Path(path) => leaves(&path.tree, &with(&path.ident)),
        UseTree::Group(group) => group.items.iter().flat_map(|item| leaves(item, before)).collect(),
        UseTree::Name(name) if name.ident == "self" => leaf(with(&name.ident), before.last().cloned()),
        UseTree::Name(name) => leaf(with(&name.ident), Some(name.ident.to_string())),
        UseTree::Rename(rename) => leaf(with(&rename.ident), Some(rename.rename.to_string())),
        UseTree::Glob(_) => leaf(before.to_vec(), None),
    }
}

/// Whether an item is there for tests only.
pub(super) fn is_for_tests(item: &syn::Item) -> bool {
    use syn::Item;
    let attributes = match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => return false,
    };
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute
                .parse_args::<syn::Ident>()
                .is_ok_and(|condition| condition == "test")
    })
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        if !is_for_tests(item) {
            visit::visit_item(self, item);
        } else if let syn::Item::Mod(module) = item
            && self.looks == Looks::Paths
        {
            let path = [self.module.clone(), vec![module.ident.to_string()]].concat();
            self.named.only_tests.push(path);
        }
    }

    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        self.module.push(module.ident.to_string());
        visit::visit_item_mod(self, module);
        self.module.pop();
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        if self.looks == Looks::Uses {
            self.bring(&item.tree);
        }
    }

    fn visit_item_extern_crate(&mut self, item: &'ast syn::ItemExternCrate) {
        if self.looks == Looks::Paths {
            self.named.extern_crates.push(item.ident.to_string());
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.name(&segments);
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, called: &'ast syn::Macro) {
        self.tokens(called.tokens.clone());
        visit::visit_macro(self, called);
    }

    fn visit_attribute(&mut self, attribute: &'ast syn::Attribute) {
        if let syn::Meta::List(list) = &attribute.meta {
            self.tokens(list.tokens.clone());
        }
    }
}
