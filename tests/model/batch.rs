//! Batches with a checkpoint: two workers on one table, the second because the first was taken for dead. Each batch and the
//! checkpoint's move are one transaction.

use crate::explore::{World, explore};

const BATCHES: u8 = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Rule {
    /// `update checkpoint set batch = expected + 1 where batch = expected`: no row, no batch.
    Compare,
    /// The same without the `where`.
    Overwrite,
    /// The checkpoint moves in a transaction of its own, after the batch.
    Apart,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum At {
    Idle,
    /// Knows which batch comes next.
    Read,
    /// Has moved the checkpoint in its transaction, and holds its row.
    Moved,
    /// Has worked on the batch without holding anything.
    Worked,
    /// Its batch is committed, the checkpoint is not.
    Committed,
    Gone,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Worker {
    at: At,
    expected: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Table {
    rule: Rule,
    checkpoint: u8,
    /// How often each batch was worked on.
    worked: [u8; BATCHES as usize],
    workers: [Worker; 2],
}

const TWICE: &str = "a batch was worked on twice";
const SKIPPED: &str = "the checkpoint is past a batch that nobody worked on";

impl Table {
    fn new(rule: Rule) -> Self {
        Self { rule, checkpoint: 0, worked: [0; BATCHES as usize], workers: [Worker { at: At::Idle, expected: 0 }; 2] }
    }

    fn with(&self, n: usize, at: At) -> Self {
        let mut next = self.clone();
        next.workers[n].at = at;
        next
    }

    fn commit(&self, n: usize, at: At) -> Self {
        let mut next = self.with(n, at);
        let batch = self.workers[n].expected;
        next.worked[usize::from(batch)] += 1;
        if self.rule != Rule::Apart {
            next.checkpoint = batch + 1;
        }
        next
    }

    fn is_held(&self) -> bool {
        self.workers.iter().any(|worker| worker.at == At::Moved)
    }

    fn steps(&self, n: usize) -> Vec<(&'static str, Self)> {
        let Worker { at, expected } = self.workers[n];
        match (at, self.rule) {
            (At::Idle, _) if self.checkpoint < BATCHES => {
                let mut next = self.with(n, At::Read);
                next.workers[n].expected = self.checkpoint;
                vec![("reads the checkpoint", next)]
            }
            (At::Read, Rule::Apart) => vec![("works on its batch", self.with(n, At::Worked))],
            // The other holds the checkpoint's row: it waits, and then sees what the other has left.
            (At::Read, _) if self.is_held() => Vec::new(),
            (At::Read, Rule::Compare) if self.checkpoint != expected => {
                vec![("moves no row: somebody did that batch", self.with(n, At::Idle))]
            }
            (At::Read, _) => vec![("moves the checkpoint and works on its batch", self.with(n, At::Moved))],
            (At::Moved, _) => {
                vec![("commits", self.commit(n, At::Idle)), ("loses its transaction", self.with(n, At::Idle))]
            }
            (At::Worked, _) => vec![
                ("commits its batch", self.commit(n, At::Committed)),
                ("loses its transaction", self.with(n, At::Idle)),
            ],
            (At::Committed, _) => {
                let mut next = self.with(n, At::Idle);
                next.checkpoint = expected + 1;
                vec![("moves the checkpoint", next)]
            }
            _ => Vec::new(),
        }
    }
}

impl World for Table {
    fn moves(&self) -> Vec<(String, Self)> {
        let mut out = Vec::new();
        for n in 0..2 {
            out.extend(self.steps(n).into_iter().map(|(what, next)| (format!("worker {}: {what}", n + 1), next)));
            if self.workers[n].at != At::Gone && n == 0 {
                out.push(("worker 1: dies".to_owned(), self.with(n, At::Gone)));
            }
        }
        out
    }

    fn arrived(&self) -> bool {
        self.checkpoint == BATCHES && self.worked.iter().all(|times| *times == 1)
    }

    fn wrong(&self) -> Vec<&'static str> {
        let mut wrong = Vec::new();
        if self.worked.iter().any(|times| *times > 1) {
            wrong.push(TWICE);
        }
        if self.worked.iter().take(usize::from(self.checkpoint)).any(|times| *times == 0) {
            wrong.push(SKIPPED);
        }
        wrong
    }
}

#[test]
fn compare_and_set_does_every_batch_once() {
    let found = explore(Table::new(Rule::Compare));
    println!("── checkpoint, compare and set: {}", found.words());
    found.keeps_every_promise();
    assert_eq!(found.states, 120);
}

#[test]
fn a_checkpoint_that_is_only_overwritten_is_caught() {
    let found = explore(Table::new(Rule::Overwrite));
    println!("── checkpoint, overwritten: {}", found.words());
    assert_eq!((found.count(TWICE), found.count(SKIPPED)), (523, 0));
}

#[test]
fn a_checkpoint_in_a_transaction_of_its_own_is_caught() {
    let found = explore(Table::new(Rule::Apart));
    println!("── checkpoint, in a transaction of its own: {}", found.words());
    assert_eq!((found.count(TWICE), found.count(SKIPPED)), (872, 0));
}
