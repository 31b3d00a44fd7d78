//! Byte strings in trees that share what they begin with: all that another string begins with are
//! found on one walk along it, however many there are.

use std::ops::Range;

/// Trees over the beginnings of strings, prepared once and never changed.
///
/// Each is a radix tree. They lie in one another's arrays, so that many small ones cost no more than
/// a large one: what all take together grows with the length of all keys.
#[derive(Debug, Default)]
pub(super) struct Forest {
    trees: usize,
    /// The roots first, in the order of the trees; the children of a node side by side.
    nodes: Vec<Node>,
    /// The byte that leads into a node; of a root, none that counts.
    leading: Vec<u8>,
    /// The further bytes that lead into the nodes.
    labels: Vec<u8>,
    values: Vec<usize>,
}

#[derive(Clone, Debug, Default)]
struct Node {
    label: Range<usize>,
    children: Range<usize>,
    values: Range<usize>,
}

/// A node that is still to be made: of these keys, from this byte of them on.
struct Unmade {
    tree: usize,
    keys: Range<usize>,
    from: usize,
}

impl Forest {
    /// A tree for each of these lists, of keys and what is found by them.
    pub(super) fn new<K: AsRef<[u8]>>(trees: Vec<Vec<(K, usize)>>) -> Self {
        let trees: Vec<_> = trees.into_iter().map(sorted).collect();
        let mut forest = Self {
            trees: trees.len(),
            ..Self::default()
        };
        let mut unmade = std::collections::VecDeque::new();
        for (tree, keys) in trees.iter().enumerate() {
            forest.grow(0);
            unmade.push_back(Unmade {
                tree,
                keys: 0..keys.len(),
                from: 0,
            });
        }
        let mut place = 0;
        while let Some(next) = unmade.pop_front() {
            let root = place < trees.len();
            forest.make(place, root, &next, &trees[next.tree], &mut unmade);
            place += 1;
        }
        forest
    }

    /// What the keys give that these bytes begin with, shortest first, each with its length; the
    /// values of one key are in their order.
    pub(super) fn along<B: Iterator<Item = u8>>(&self, tree: usize, bytes: B) -> Along<'_, B> {
        Along {
            forest: self,
            at: self.nodes[..self.trees].get(tree),
            length: 0,
            bytes,
        }
    }

    fn grow(&mut self, leading: u8) {
        self.nodes.push(Node::default());
        self.leading.push(leading);
    }

    fn make<K: AsRef<[u8]>>(
        &mut self,
        place: usize,
        root: bool,
        next: &Unmade,
        keys: &[(K, usize)],
        unmade: &mut std::collections::VecDeque<Unmade>,
    ) {
        let key = |at: usize| keys[at].0.as_ref();
        let (mut at, end) = (next.keys.start, next.keys.end);
        // In order, the first and the last differ most. A root takes no byte, nor does no key.
        let shared = if root || at == end {
            0
        } else {
            let both = key(at)[next.from..].iter().zip(&key(end - 1)[next.from..]);
            both.take_while(|(first, last)| first == last).count()
        };
        let from = next.from + shared;
        let mut node = Node::default();
        if at < end {
            node.label = extended(&mut self.labels, &key(at)[next.from..from]);
        }
        let ending = at;
        while at < end && key(at).len() == from {
            at += 1;
        }
        let values: Vec<usize> = keys[ending..at].iter().map(|(_, value)| *value).collect();
        node.values = extended(&mut self.values, &values);
        let first_child = self.nodes.len();
        while at < end {
            let leading = key(at)[from];
            let start = at;
            while at < end && key(at)[from] == leading {
                at += 1;
            }
            self.grow(leading);
            unmade.push_back(Unmade {
                tree: next.tree,
                keys: start..at,
                from: from + 1,
            });
        }
        node.children = first_child..self.nodes.len();
        self.nodes[place] = node;
    }
}

fn sorted<K: AsRef<[u8]>>(mut keys: Vec<(K, usize)>) -> Vec<(K, usize)> {
    keys.sort_by(|(a, x), (b, y)| a.as_ref().cmp(b.as_ref()).then(x.cmp(y)));
    keys
}

fn extended<T: Copy>(all: &mut Vec<T>, more: &[T]) -> Range<usize> {
    let start = all.len();
    all.extend_from_slice(more);
    start..all.len()
}

/// A walk from a root along some bytes.
pub(super) struct Along<'f, B> {
    forest: &'f Forest,
    /// The node that is reached and was not looked at yet.
    at: Option<&'f Node>,
    length: usize,
    bytes: B,
}

impl<'f, B: Iterator<Item = u8>> Along<'f, B> {
    /// The next node on the way, if the bytes lead to one.
    fn child(&mut self, of: &Node) -> Option<&'f Node> {
        if of.children.is_empty() {
            return None;
        }
        let byte = self.bytes.next()?;
        let leading = &self.forest.leading[of.children.clone()];
        let child = of.children.start + leading.binary_search(&byte).ok()?;
        let child = &self.forest.nodes[child];
        let label = &self.forest.labels[child.label.clone()];
        for expected in label {
            if self.bytes.next() != Some(*expected) {
                return None;
            }
        }
        self.length += 1 + label.len();
        Some(child)
    }
}

impl<'f, B: Iterator<Item = u8>> Iterator for Along<'f, B> {
    type Item = (usize, &'f [usize]);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let node = self.at?;
            let length = self.length;
            self.at = self.child(node);
            if !node.values.is_empty() {
                return Some((length, &self.forest.values[node.values.clone()]));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn walk(forest: &Forest, tree: usize, text: &str) -> Vec<(usize, Vec<usize>)> {
        let along = forest.along(tree, text.bytes());
        along
            .map(|(length, values)| (length, values.to_vec()))
            .collect()
    }

    #[test]
    fn a_walk_meets_what_its_text_begins_with() {
        let one = vec![("/", 0), ("/api", 1), ("/apis", 2), ("/api/a", 3)];
        let two = vec![("", 9), ("/api", 8), ("/api", 7)];
        let forest = Forest::new(vec![one, Vec::new(), two]);
        for (tree, text, expected) in [
            (0, "", vec![]),
            (0, "/", vec![(1, vec![0])]),
            (0, "/ap", vec![(1, vec![0])]),
            (0, "/api", vec![(1, vec![0]), (4, vec![1])]),
            (0, "/apis/", vec![(1, vec![0]), (4, vec![1]), (5, vec![2])]),
            (0, "/api/b", vec![(1, vec![0]), (4, vec![1])]),
            (1, "/api", vec![]),
            (2, "x", vec![(0, vec![9])]),
            (2, "/api/", vec![(0, vec![9]), (4, vec![7, 8])]),
            (3, "/api", vec![]),
        ] {
            assert_eq!(walk(&forest, tree, text), expected, "{tree} {text}");
        }
    }

    proptest! {
        #[test]
        fn a_walk_agrees_with_a_scan(
            keys in prop::collection::vec("[ab/]{0,6}", 0..20),
            text in "[ab/]{0,8}",
        ) {
            let entries: Vec<_> = keys.iter().map(String::as_str).zip(0..).collect();
            let forest = Forest::new(vec![entries]);
            let mut expected: Vec<usize> = (0..keys.len())
                .filter(|at| text.starts_with(&keys[*at]))
                .collect();
            expected.sort_by_key(|at| (keys[*at].len(), *at));
            let found: Vec<usize> = walk(&forest, 0, &text)
                .into_iter()
                .flat_map(|(_, values)| values)
                .collect();
            prop_assert_eq!(found, expected);
        }
    }
}
