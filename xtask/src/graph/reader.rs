//! Reads the sources into a [`Tree`].

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use quote::ToTokens as _;
use syn::{
    Attribute, Expr, ExprLit, Item, ItemMod, Lit, Meta, Token, UseTree, Visibility,
    punctuated::Punctuated,
};

use super::{
    packages::Package,
    said::{Said, said},
    tree::{File, How, Mention, Module, Named, Node, Tree},
};

/// Features that only tests of other crates turn on.
const OF_TESTS: [&str; 2] = ["fixtures", "fuzz"];

/// Reads all packages. `source` gives a file of the workspace.
pub(super) fn read(
    tree: &mut Tree,
    packages: &[Package],
    source: &dyn Fn(&Path) -> Option<String>,
) -> Result<()> {
    for (number, package) in packages.iter().enumerate() {
        for target in &package.targets {
            let mut reader = Reader {
                tree,
                source,
                package: number,
                target: &target.root,
            };
            let directory = target.root.parent().unwrap_or(Path::new(""));
            let root = reader.file(&target.root, directory, None, false)?;
            if let Some(name) = &target.library {
                tree.libraries.insert(name.clone(), root);
            }
        }
    }
    Ok(())
}

struct Reader<'a> {
    tree: &'a mut Tree,
    source: &'a dyn Fn(&Path) -> Option<String>,
    package: usize,
    /// The root file of the target that is read.
    target: &'a Path,
}

impl Reader<'_> {
    /// Reads a file as a module, whose own children are in `directory`.
    fn file(
        &mut self,
        path: &Path,
        directory: &Path,
        parent: Option<usize>,
        is_test: bool,
    ) -> Result<usize> {
        let text =
            (self.source)(path).with_context(|| format!("cannot read {}", path.display()))?;
        let parsed = syn::parse_file(&text)
            .with_context(|| format!("{} is no Rust that syn knows", path.display()))?;
        self.tree.files.push(File {
            path: path.to_owned(),
            package: self.package,
            root: self.target.to_owned(),
            is_test,
        });
        let node = Node {
            file: self.tree.files.len() - 1,
            is_test,
        };
        let module = self.module(parent, node);
        self.items(module, parsed.items, node, directory)?;
        Ok(module)
    }

    fn module(&mut self, parent: Option<usize>, node: Node) -> usize {
        let modules = &mut self.tree.modules;
        let place = modules.len();
        modules.push(Module {
            parent,
            root: parent.map_or(place, |parent| modules[parent].root),
            node,
            names: BTreeMap::new(),
            globs: Vec::new(),
        });
        place
    }

    fn items(&mut self, module: usize, items: Vec<Item>, of: Node, directory: &Path) -> Result<()> {
        for item in items {
            let node = Node {
                is_test: of.is_test || is_for_tests(attributes(&item)),
                ..of
            };
            match item {
                Item::Use(item) => {
                    let is_public = !matches!(item.vis, Visibility::Inherited);
                    self.import(module, node, &item.tree, is_public);
                }
                Item::Mod(item) => self.child(module, item, node, directory)?,
                item => {
                    if let Some((name, is_function)) = name(&item) {
                        self.name(module, name, Named::Item { node, is_function });
                    }
                    let mut all = Vec::new();
                    said(item.to_token_stream(), &mut all);
                    for one in all {
                        self.mention(module, node, one);
                    }
                }
            }
        }
        Ok(())
    }

    fn child(&mut self, parent: usize, item: ItemMod, node: Node, directory: &Path) -> Result<()> {
        let name = item.ident.to_string();
        let below = directory.join(&name);
        let module = if let Some((_, items)) = item.content {
            let module = self.module(Some(parent), node);
            self.items(module, items, node, &below)?;
            module
        } else {
            let file = match path_attribute(&item.attrs) {
                Some(path) => directory.join(path),
                None => self.file_of(directory, &name)?,
            };
            self.file(&file, &below, Some(parent), node.is_test)?
        };
        self.name(parent, name, Named::Module(module));
        Ok(())
    }

    fn file_of(&self, directory: &Path, name: &str) -> Result<PathBuf> {
        let beside = directory.join(name).with_extension("rs");
        let within = directory.join(name).join("mod.rs");
        [beside, within]
            .into_iter()
            .find(|path| (self.source)(path).is_some())
            .with_context(|| format!("{}: module {name} has no file", directory.display()))
    }

    fn name(&mut self, module: usize, name: String, named: Named) {
        let all = &mut self.tree.modules[module].names;
        all.entry(name).or_default().push(named);
    }

    fn mention(&mut self, module: usize, node: Node, said: Said) {
        let (path, how) = match said {
            Said::Path(path) => (path, How::Path),
            Said::Word(word) => (vec![word], How::Word),
            // Taken for the whole module's: a name has the same meaning all over it.
            Said::Use(tree) => return self.import(module, node, &tree, false),
        };
        self.tree.mentions.push(Mention {
            module,
            node,
            path,
            how,
        });
    }

    fn import(&mut self, module: usize, node: Node, tree: &UseTree, is_public: bool) {
        let mut imports = Vec::new();
        flatten(tree, &mut Vec::new(), &mut imports);
        for (path, name) in imports {
            let Some(name) = name else {
                self.tree.modules[module].globs.push(path);
                continue;
            };
            if name != "_" {
                let path = path.clone();
                self.name(module, name, Named::Alias { path, is_public });
            }
            self.tree.mentions.push(Mention {
                module,
                node,
                path,
                how: if is_public { How::Reexport } else { How::Use },
            });
        }
    }
}

/// The paths of an import, each with the name that it gets here; none for all names.
fn flatten(tree: &UseTree, before: &mut Vec<String>, all: &mut Vec<(Vec<String>, Option<String>)>) {
    let with = |before: &[String], last: &syn::Ident| {
        let mut path = before.to_vec();
        // `use path::{self}` names the path.
        if last != "self" || path.is_empty() {
            path.push(last.to_string());
        }
        path
    };
    match tree {
        UseTree::Path(path) => {
            before.push(path.ident.to_string());
            flatten(&path.tree, before, all);
            before.pop();
        }
        UseTree::Name(name) => {
            let path = with(before, &name.ident);
            let name = path.last().cloned();
            all.push((path, name));
        }
        UseTree::Rename(name) => {
            all.push((with(before, &name.ident), Some(name.rename.to_string())));
        }
        UseTree::Glob(_) => all.push((before.clone(), None)),
        UseTree::Group(group) => {
            for tree in &group.items {
                flatten(tree, before, all);
            }
        }
    }
}

/// The name that an item has in its module, and whether it is a function.
fn name(item: &Item) -> Option<(String, bool)> {
    let name = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some((name.to_string(), matches!(item, Item::Fn(_))))
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::ForeignMod(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// `#[path = "…"]`.
fn path_attribute(attributes: &[Attribute]) -> Option<String> {
    attributes
        .iter()
        .find_map(|attribute| match &attribute.meta {
            Meta::NameValue(it) if it.path.is_ident("path") => literal(&it.value),
            _ => None,
        })
}

fn literal(value: &Expr) -> Option<String> {
    match value {
        Expr::Lit(ExprLit {
            lit: Lit::Str(text),
            ..
        }) => Some(text.value()),
        _ => None,
    }
}

/// Whether `cfg` leaves an item out of everything but tests.
fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("cfg"))
        .filter_map(|attribute| attribute.parse_args::<Meta>().ok())
        .any(|condition| holds(&condition) == Some(false))
}

/// Whether a condition holds where nothing is tested; `None` where that depends on
/// something else.
fn holds(condition: &Meta) -> Option<bool> {
    let parts = || {
        let Meta::List(list) = condition else {
            return Vec::new();
        };
        let parts = list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated);
        parts.iter().flatten().map(holds).collect()
    };
    let path = condition.path();
    if path.is_ident("test") {
        Some(false)
    } else if let Meta::NameValue(it) = condition {
        let feature = literal(&it.value).filter(|_| path.is_ident("feature"))?;
        OF_TESTS.contains(&feature.as_str()).then_some(false)
    } else if path.is_ident("not") {
        parts().first().copied().flatten().map(|it| !it)
    } else if path.is_ident("any") {
        let parts = parts();
        let is_any = parts.contains(&Some(true));
        let is_none = parts.iter().all(|it| *it == Some(false));
        (is_any || is_none).then_some(is_any)
    } else if path.is_ident("all") {
        let parts = parts();
        let is_not = parts.contains(&Some(false));
        let is_all = parts.iter().all(|it| *it == Some(true));
        (is_not || is_all).then_some(is_all)
    } else {
        None
    }
}
