//! What is wrong with the graph, in words.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use super::{
    circles::{Graph, circles},
    order::{Line, Order, place},
    packages::Package,
    rooms::{self, Room},
    tree::{Arrows, Node, Tree},
};

/// How most circles are broken.
const ADVICE: &str = "Move what both need into a file of its own that imports neither, or hand \
                      the value over instead of importing who has it. A child imports from its \
                      siblings, never what its parent's file defines.";
/// Names told of an arrow.
const NAMES: usize = 4;

/// Arrows between two rooms.
type Between<'a> = BTreeMap<(Room<'a>, Room<'a>), Vec<(Node, Node)>>;

/// All that is wrong.
pub(super) fn all(
    packages: &[Package],
    tree: &Tree,
    arrows: &Arrows,
    order: &Order,
) -> Vec<String> {
    let told = Told { tree, arrows };
    let between = between(tree, arrows);
    let mut all = of_crates(packages, &order.crates);
    all.extend(unknown(packages, tree, order));
    all.extend(against_the_order(packages, &told, &between, order));
    all.extend(circles_of_rooms(&told, &between));
    all.extend(circles_of_files(&told));
    all
}

/// Arrows, told to people.
struct Told<'a> {
    tree: &'a Tree,
    arrows: &'a Arrows,
}

impl Told<'_> {
    fn arrow(&self, from: Node, to: Node) -> String {
        let names = &self.arrows[&(from, to)];
        let mut text = format!("{} names ", self.tree.name(from));
        for (number, name) in names.iter().take(NAMES).enumerate() {
            let between = if number == 0 { "" } else { ", " };
            let _ = write!(text, "{between}{name}");
        }
        if names.len() > NAMES {
            let _ = write!(text, " and {} more", names.len() - NAMES);
        }
        let _ = write!(text, " of {}", self.tree.name(to));
        text
    }

    fn arrows(&self, arrows: &[(Node, Node)]) -> String {
        let told = arrows.iter().map(|(from, to)| self.arrow(*from, *to));
        Vec::from_iter(told).join("\n  ")
    }
}

fn of_crates(packages: &[Package], line: &Line) -> Vec<String> {
    let mut faults = Vec::new();
    let mut graph = Graph::new();
    for (number, package) in packages.iter().enumerate() {
        let of = |need: &String| packages.iter().position(|it| it.name == *need);
        let needs: BTreeSet<usize> = package.needs.iter().filter_map(of).collect();
        let own = place(line, &package.short());
        for need in &needs {
            let Some(own) = own else { continue };
            let why = match place(line, &packages[*need].short()) {
                Some(its) if its < own => continue,
                Some(_) => "is not to the left of it",
                None => "is not there",
            };
            faults.push(format!(
                "crate {} needs {}, which {why} in ARCHITECTURE.md's line of crates.",
                package.short(),
                packages[*need].short(),
            ));
        }
        graph.insert(number, needs);
    }
    for circle in circles(&graph) {
        let names = circle.iter().map(|it| packages[*it].name.as_str());
        let names = Vec::from_iter(names).join(" needs ");
        faults.push(format!("a circle of crates: {names} needs the first."));
    }
    faults
}

/// Names in the order that nothing has.
fn unknown(packages: &[Package], tree: &Tree, order: &Order) -> Vec<String> {
    let short: Vec<_> = packages.iter().map(Package::short).collect();
    let files = tree.files.iter().filter(|file| !file.is_test);
    let rooms = files.filter_map(rooms::of);
    let rooms: BTreeSet<_> = rooms
        .map(|(package, _, room)| (short[package].as_str(), room))
        .collect();
    let crates = order.crates.iter().flatten().chain(order.rooms.keys());
    let crates = crates.filter(|name| !short.contains(name));
    let mut faults: Vec<_> = crates
        .map(|name| format!("ARCHITECTURE.md orders {name}, which is no crate's folder."))
        .collect();
    for (name, line) in &order.rooms {
        let gone = line.iter().flatten();
        let gone = gone.filter(|room| !rooms.contains(&(name.as_str(), room.as_str())));
        faults.extend(
            gone.map(|room| format!("ARCHITECTURE.md orders {room}, which is no room of {name}.")),
        );
    }
    faults
}

/// What the product's own files import of other rooms.
fn between<'a>(tree: &'a Tree, arrows: &Arrows) -> Between<'a> {
    let mut between = Between::new();
    for (from, to) in arrows.keys() {
        if from.is_test || to.is_test {
            continue;
        }
        let room = |node: &Node| rooms::of(&tree.files[node.file]);
        let (Some(one), Some(other)) = (room(from), room(to)) else {
            continue;
        };
        if one != other && (one.0, one.1) == (other.0, other.1) {
            between.entry((one, other)).or_default().push((*from, *to));
        }
    }
    between
}

fn against_the_order(
    packages: &[Package],
    told: &Told<'_>,
    between: &Between<'_>,
    order: &Order,
) -> Vec<String> {
    let folders = rooms::folders(told.tree);
    let none = Line::new();
    let mut faults = Vec::new();
    for ((one, other), arrows) in between {
        let package = packages[one.0].short();
        let line = order.rooms.get(&package).unwrap_or(&none);
        let why = match (place(line, one.2), place(line, other.2)) {
            (Some(own), Some(its)) if its < own => continue,
            (Some(_), Some(_)) => "ARCHITECTURE.md does not put it to the right of",
            // A file at the top may stand in the line, and need not.
            _ if !(folders.contains(one) && folders.contains(other)) => continue,
            _ => "ARCHITECTURE.md has no line that puts it to the right of",
        };
        faults.push(format!(
            "room {} of {package} imports from a room that {why}:\n  {}\n{ADVICE}",
            one.2,
            told.arrows(arrows)
        ));
    }
    faults
}

fn circles_of_rooms(told: &Told<'_>, between: &Between<'_>) -> Vec<String> {
    let mut graph = Graph::new();
    for (one, other) in between.keys() {
        graph
            .entry(*one)
            .or_insert_with(BTreeSet::new)
            .insert(*other);
    }
    let circle = |circle: Vec<Room<'_>>| {
        let next = circle.iter().cycle().skip(1);
        let arrows = circle
            .iter()
            .zip(next)
            .map(|(one, other)| between[&(*one, *other)][0]);
        let names: Vec<_> = circle.iter().map(|room| room.2).collect();
        format!(
            "a circle of the rooms {}:\n  {}\n{ADVICE}",
            names.join(", "),
            told.arrows(&Vec::from_iter(arrows))
        )
    };
    // Of rooms that are files, the circle is one of files as well.
    let folders = rooms::folders(told.tree);
    let has_folder = |circle: &Vec<Room<'_>>| circle.iter().any(|room| folders.contains(room));
    let circles = circles(&graph).into_iter().filter(has_folder);
    circles.map(circle).collect()
}

fn circles_of_files(told: &Told<'_>) -> Vec<String> {
    let mut graph = Graph::new();
    for (from, to) in told.arrows.keys() {
        graph.entry(*from).or_insert_with(BTreeSet::new).insert(*to);
    }
    let circle = |circle: Vec<Node>| {
        let next = circle.iter().copied().cycle().skip(1);
        let arrows = Vec::from_iter(circle.iter().copied().zip(next));
        format!("a circle of files:\n  {}\n{ADVICE}", told.arrows(&arrows))
    };
    circles(&graph).into_iter().map(circle).collect()
}
