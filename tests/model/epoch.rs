//! Two engines at one target, the second because the first was taken for dead. Each transaction looks at the target's epoch;
//! taking over raises it.

use crate::explore::{World, explore};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Look {
    /// `select epoch … for share`: whoever raises it waits for the transaction's end.
    ForShare,
    /// A plain `select`.
    Plain,
    /// Not at all.
    Never,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum At {
    Idle,
    Open,
    Committing,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Target {
    look: Look,
    epoch: u8,
    /// Of the engine of epoch 1 and of that of epoch 2.
    engines: [At; 2],
    /// Transactions that each may still begin.
    left: [u8; 2],
    taken_over: bool,
    /// A transaction of the first engine was committed after the second had taken over.
    late: bool,
}

const LATE: &str = "the old engine committed after it was taken over";
const TOGETHER: &str = "both engines have a transaction that can commit";

impl Target {
    fn new(look: Look) -> Self {
        Self { look, epoch: 1, engines: [At::Idle; 2], left: [2, 2], taken_over: false, late: false }
    }

    fn engine(&self, n: usize, at: At) -> Self {
        let mut next = self.clone();
        next.engines[n] = at;
        next
    }

    fn is_stale(&self, n: usize) -> bool {
        self.look != Look::Never && self.epoch != n as u8 + 1
    }

    fn steps(&self, n: usize) -> Vec<(&'static str, Self)> {
        match self.engines[n] {
            At::Idle if self.left[n] > 0 && (n == 0 || self.taken_over) => {
                let stale = self.is_stale(n);
                let mut next = self.engine(n, if stale { At::Idle } else { At::Open });
                next.left[n] -= 1;
                vec![(if stale { "begins, and aborts: its epoch is stale" } else { "begins" }, next)]
            }
            At::Open => vec![
                ("sends COMMIT", self.engine(n, At::Committing)),
                ("loses its transaction", self.engine(n, At::Idle)),
            ],
            At::Committing => {
                let mut next = self.engine(n, At::Idle);
                next.late |= n == 0 && self.taken_over;
                vec![("is committed", next)]
            }
            At::Idle => Vec::new(),
        }
    }

    fn take_over(&self) -> Option<Self> {
        let waits = self.look == Look::ForShare && self.engines[0] != At::Idle;
        (!self.taken_over && !waits).then(|| Self { epoch: 2, taken_over: true, ..self.clone() })
    }
}

impl World for Target {
    fn moves(&self) -> Vec<(String, Self)> {
        let mut out = Vec::new();
        for n in 0..2 {
            out.extend(self.steps(n).into_iter().map(|(what, next)| (format!("engine {}: {what}", n + 1), next)));
        }
        out.extend(self.take_over().map(|next| ("engine 2: takes over, the epoch is raised".to_owned(), next)));
        out
    }

    fn arrived(&self) -> bool {
        self.taken_over && self.left == [0, 0] && self.engines == [At::Idle; 2]
    }

    fn wrong(&self) -> Vec<&'static str> {
        let mut wrong = Vec::new();
        if self.late {
            wrong.push(LATE);
        }
        if self.engines.iter().all(|at| *at != At::Idle) {
            wrong.push(TOGETHER);
        }
        wrong
    }
}

#[test]
fn a_stale_epoch_never_commits() {
    let found = explore(Target::new(Look::ForShare));
    println!("── epoch, looked at for share: {}", found.words());
    found.keeps_every_promise();
    assert_eq!(found.states, 28);
}

#[test]
fn an_epoch_that_is_only_read_is_caught() {
    let found = explore(Target::new(Look::Plain));
    println!("── epoch, only read: {}", found.words());
    assert_eq!((found.count(LATE), found.count(TOGETHER)), (14, 16));
}

#[test]
fn no_epoch_at_all_is_caught() {
    let found = explore(Target::new(Look::Never));
    println!("── no epoch: {}", found.words());
    assert_eq!((found.count(LATE), found.count(TOGETHER)), (28, 24));
}
