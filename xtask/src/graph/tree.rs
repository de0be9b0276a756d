//! All modules with the names in them, and the arrows between their files.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

/// A file; what is there for tests only counts as another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Node {
    /// Its place in [`Tree::files`].
    pub(super) file: usize,
    pub(super) is_test: bool,
}

/// A file that was read.
#[derive(Clone, Debug)]
pub(super) struct File {
    pub(super) path: PathBuf,
    /// The place of its package.
    pub(super) package: usize,
    /// The root file of what it is built into.
    pub(super) root: PathBuf,
    /// Whether all of it is for tests.
    pub(super) is_test: bool,
}

/// What a name stands for in a module.
#[derive(Clone, Debug)]
pub(super) enum Named {
    Item {
        node: Node,
        /// Nothing lies below a function, so a path goes on in the module of that name.
        is_function: bool,
    },
    /// The place of a module.
    Module(usize),
    /// What this path leads to from here.
    Alias { path: Vec<String>, is_public: bool },
}

/// A module.
#[derive(Clone, Debug)]
pub(super) struct Module {
    pub(super) parent: Option<usize>,
    /// The place of its crate's root.
    pub(super) root: usize,
    pub(super) node: Node,
    pub(super) names: BTreeMap<String, Vec<Named>>,
    /// Whose names are all names here.
    pub(super) globs: Vec<Vec<String>>,
}

/// How something is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// By `use`.
    Use,
    /// By `pub use`.
    Reexport,
    /// By a path of several words.
    Path,
    /// By one word, which is an arrow where it was imported with others or for others.
    Word,
}

/// A place where something is named.
#[derive(Clone, Debug)]
pub(super) struct Mention {
    pub(super) module: usize,
    pub(super) node: Node,
    pub(super) path: Vec<String>,
    pub(super) how: How,
}

/// Arrows, each with the names that cause it.
pub(super) type Arrows = BTreeMap<(Node, Node), BTreeSet<String>>;

/// Everything that was read.
#[derive(Debug, Default)]
pub(super) struct Tree {
    pub(super) files: Vec<File>,
    pub(super) modules: Vec<Module>,
    /// The roots of libraries, by the names that other crates use.
    pub(super) libraries: BTreeMap<String, usize>,
    pub(super) mentions: Vec<Mention>,
}

/// Where a path may lead.
enum Place {
    Item {
        node: Node,
        is_function: bool,
    },
    Module(usize),
    /// The module has no such name that could be seen: a macro made it.
    Made(usize),
    /// A crate that is not the workspace's.
    Outside,
}

impl Tree {
    /// The arrows of all mentions.
    pub(super) fn arrows(&self) -> Arrows {
        let mut arrows = Arrows::new();
        for mention in &self.mentions {
            for node in self.meant(mention) {
                if node.file != mention.node.file {
                    let names = arrows.entry((mention.node, node)).or_default();
                    names.insert(mention.path.join("::"));
                }
            }
        }
        arrows
    }

    /// A node's path, for people.
    pub(super) fn name(&self, node: Node) -> String {
        let path = self.files[node.file].path.display();
        if node.is_test {
            format!("{path} (tests)")
        } else {
            path.to_string()
        }
    }

    /// Where what is mentioned may be defined.
    fn meant(&self, mention: &Mention) -> Vec<Node> {
        let module = &self.modules[mention.module];
        let Some(first) = mention.path.first() else {
            return Vec::new();
        };
        let named = module.names.get(first).map_or(&[][..], Vec::as_slice);
        let is_own = match mention.how {
            How::Use | How::Path => false,
            How::Reexport => {
                first == "self" || named.iter().any(|it| matches!(it, Named::Module(_)))
            }
            How::Word => {
                let is_public =
                    |it: &Named| matches!(it, Named::Alias { is_public, .. } if *is_public);
                !(named.iter().any(is_public) || named.is_empty() && !module.globs.is_empty())
            }
        };
        if is_own {
            return Vec::new();
        }
        let places = self.look(mention.module, &mention.path, true, &mut Vec::new());
        let node = |place| match place {
            Place::Item { node, .. } => Some(node),
            Place::Made(module) => Some(self.modules[module].node),
            Place::Module(_) | Place::Outside => None,
        };
        places.into_iter().filter_map(node).collect()
    }

    /// Follows a path from a module. `seen` are the questions that this one is part of:
    /// imports may lead to themselves.
    fn look<'a>(
        &'a self,
        at: usize,
        path: &'a [String],
        is_start: bool,
        seen: &mut Vec<(usize, &'a [String])>,
    ) -> Vec<Place> {
        let Some((head, rest)) = path.split_first() else {
            return vec![Place::Module(at)];
        };
        let module = &self.modules[at];
        match head.as_str() {
            "crate" if is_start => return self.look(module.root, rest, false, seen),
            "self" if is_start => return self.look(at, rest, false, seen),
            "super" => {
                let above = module.parent;
                return above.map_or_else(Vec::new, |above| self.look(above, rest, false, seen));
            }
            _ => {}
        }
        if seen.contains(&(at, path)) {
            return Vec::new();
        }
        seen.push((at, path));
        let found = match module.names.get(head) {
            Some(named) => self.named(at, named, rest, seen),
            None => self.unnamed(at, path, is_start, seen),
        };
        seen.pop();
        found
    }

    /// What a name of this module leads to.
    fn named<'a>(
        &'a self,
        at: usize,
        named: &'a [Named],
        rest: &'a [String],
        seen: &mut Vec<(usize, &'a [String])>,
    ) -> Vec<Place> {
        let mut found = Vec::new();
        for one in named {
            let places = match one {
                Named::Item { node, is_function } => vec![Place::Item {
                    node: *node,
                    is_function: *is_function,
                }],
                Named::Module(module) => vec![Place::Module(*module)],
                Named::Alias { path, .. } => self.look(at, path, true, seen),
            };
            for place in places {
                match place {
                    Place::Module(module) => found.extend(self.look(module, rest, false, seen)),
                    Place::Item { is_function, .. } if is_function && !rest.is_empty() => {}
                    place => found.push(place),
                }
            }
        }
        found
    }

    /// What a name leads to that is not in this module by itself.
    fn unnamed<'a>(
        &'a self,
        at: usize,
        path: &'a [String],
        is_start: bool,
        seen: &mut Vec<(usize, &'a [String])>,
    ) -> Vec<Place> {
        let mut found = Vec::new();
        let mut is_outside = false;
        for glob in &self.modules[at].globs {
            for place in self.look(at, glob, true, seen) {
                match place {
                    Place::Module(module) => found.extend(self.look(module, path, false, seen)),
                    Place::Outside => is_outside = true,
                    Place::Item { .. } | Place::Made(_) => {}
                }
            }
        }
        found.retain(|place| !matches!(place, Place::Made(_) | Place::Outside));
        if !found.is_empty() {
            return found;
        }
        if !is_start {
            let made = if is_outside {
                Place::Outside
            } else {
                Place::Made(at)
            };
            return vec![made];
        }
        match self.libraries.get(&path[0]) {
            Some(root) if *root != self.modules[at].root => {
                self.look(*root, &path[1..], false, seen)
            }
            _ => vec![Place::Outside],
        }
    }
}
