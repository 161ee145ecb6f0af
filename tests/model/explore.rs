//! An explorer of explicit states: breadth first, so that the way it prints into a wrong state is a shortest one.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt::Write;
use std::hash::Hash;

/// One state of a model.
pub trait World: Clone + Eq + Hash {
    /// Everything that may happen next: what it is called, and what is then.
    fn moves(&self) -> Vec<(String, Self)>;

    /// True where the work has come to a good end: a model that never gets there keeps its promises for nothing.
    fn arrived(&self) -> bool;

    /// The promises that this state breaks.
    fn wrong(&self) -> Vec<&'static str>;
}

/// What a walk through all states found.
pub struct Explored {
    pub states: usize,
    pub arrived: usize,
    /// Of each broken promise: how many states break it, and a shortest way into one of them.
    pub wrong: BTreeMap<&'static str, (usize, Vec<String>)>,
}

impl Explored {
    /// How many states break the promise.
    pub fn count(&self, promise: &str) -> usize {
        self.wrong.get(promise).map_or(0, |(count, _)| *count)
    }

    /// Fails with the way into the first mistake.
    #[track_caller]
    pub fn keeps_every_promise(&self) {
        assert!(self.wrong.is_empty(), "{}", self.words());
        assert!(self.arrived > 0, "it never arrives");
    }

    pub fn words(&self) -> String {
        let mut words = format!("{} states", self.states);
        for (promise, (count, way)) in &self.wrong {
            // Writing into a String cannot fail.
            let _ = write!(words, "\n{promise}: {count} states; a shortest way into one:");
            for (n, step) in way.iter().enumerate() {
                let _ = write!(words, "\n  {}. {step}", n + 1);
            }
        }
        words
    }
}

/// Walks through every state that can be reached from `start`.
pub fn explore<W: World>(start: W) -> Explored {
    let mut all = vec![start.clone()];
    // How each state was first reached: from which, by what.
    let mut came: Vec<Option<(usize, String)>> = vec![None];
    let mut known = HashMap::from([(start, 0)]);
    let mut queue = VecDeque::from([0]);
    let mut wrong: BTreeMap<&'static str, (usize, usize)> = BTreeMap::new();
    while let Some(at) = queue.pop_front() {
        for promise in all[at].wrong() {
            wrong.entry(promise).or_insert((0, at)).0 += 1;
        }
        for (name, next) in all[at].moves() {
            if known.contains_key(&next) {
                continue;
            }
            known.insert(next.clone(), all.len());
            queue.push_back(all.len());
            all.push(next);
            came.push(Some((at, name)));
        }
    }
    let way = |to: usize| {
        let mut steps = Vec::new();
        let mut at = to;
        while let Some((from, name)) = &came[at] {
            steps.push(name.clone());
            at = *from;
        }
        steps.reverse();
        steps
    };
    let wrong = wrong.into_iter().map(|(promise, (count, at))| (promise, (count, way(at)))).collect();
    Explored { states: all.len(), arrived: all.iter().filter(|one| one.arrived()).count(), wrong }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts to five by ones and twos; four is wrong.
    #[derive(Clone, PartialEq, Eq, Hash)]
    struct Count(u8);

    impl World for Count {
        fn moves(&self) -> Vec<(String, Self)> {
            let next = [1, 2].into_iter().filter(|step| self.0 + step <= 5);
            next.map(|step| (format!("+{step}"), Self(self.0 + step))).collect()
        }

        fn arrived(&self) -> bool {
            self.0 == 5
        }

        fn wrong(&self) -> Vec<&'static str> {
            if self.0 == 4 { vec!["four"] } else { Vec::new() }
        }
    }

    #[test]
    fn it_finds_every_state_and_a_shortest_way() {
        let found = explore(Count(0));
        assert_eq!((found.states, found.arrived, found.count("four"), found.count("five")), (6, 1, 1, 0));
        assert_eq!(found.wrong["four"].1, ["+2", "+2"]);
    }
}
