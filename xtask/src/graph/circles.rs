//! Circles in a graph.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Who leads to whom.
pub(super) type Graph<N> = BTreeMap<N, BTreeSet<N>>;

/// For each knot, a shortest circle of those within it: who is in it leads to the next,
/// and the last one to the first. Nodes of one knot all lead to one another.
pub(super) fn circles<N: Copy + Ord>(graph: &Graph<N>) -> Vec<Vec<N>> {
    let mut known = BTreeSet::new();
    let mut circles = Vec::new();
    for start in graph.keys() {
        if known.contains(start) {
            continue;
        }
        let forth = reached(graph, *start);
        let knot: BTreeSet<N> = forth
            .into_iter()
            .filter(|node| reached(graph, *node).contains(start))
            .collect();
        let shortest = knot.iter().filter_map(|node| shortest(graph, *node));
        circles.extend(shortest.min_by_key(Vec::len));
        known.extend(knot);
    }
    circles
}

/// All that a node leads to.
fn reached<N: Copy + Ord>(graph: &Graph<N>, from: N) -> BTreeSet<N> {
    let mut reached = BTreeSet::new();
    let mut next = vec![from];
    while let Some(node) = next.pop() {
        for to in graph.get(&node).into_iter().flatten() {
            if reached.insert(*to) {
                next.push(*to);
            }
        }
    }
    reached
}

/// A shortest way from a node to itself.
fn shortest<N: Copy + Ord>(graph: &Graph<N>, node: N) -> Option<Vec<N>> {
    let mut before = BTreeMap::new();
    let mut next = VecDeque::from([node]);
    while let Some(at) = next.pop_front() {
        for to in graph.get(&at).into_iter().flatten() {
            if *to == node {
                let mut way = vec![at];
                while let Some(from) = before.get(&way[way.len() - 1]) {
                    way.push(*from);
                }
                way.reverse();
                return Some(way);
            }
            if !before.contains_key(to) {
                before.insert(*to, at);
                next.push_back(*to);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Graph, circles};

    fn graph(arrows: &[(u8, u8)]) -> Graph<u8> {
        let mut graph = Graph::new();
        for (from, to) in arrows {
            graph.entry(*from).or_insert_with(BTreeSet::new).insert(*to);
        }
        graph
    }

    #[test]
    fn a_shortest_circle_of_each_knot_is_found() {
        let arrows = [
            (1, 2),
            (2, 3),
            (3, 1),
            (3, 2),
            (3, 4),
            (5, 6),
            (6, 7),
            (7, 5),
        ];
        assert_eq!(circles(&graph(&arrows)), [vec![2, 3], vec![5, 6, 7]]);
        assert!(circles(&graph(&[(1, 2), (1, 3), (2, 3)])).is_empty());
    }
}
