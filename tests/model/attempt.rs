//! One step of SQL in a transaction, tried at most twice, while the engine may die at any point and what it sent may still
//! arrive. Who asks afterwards what became of it, and how, is what the variants differ in.

use crate::explore::{Explored, World, explore};

/// What keeps two transactions apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Key {
    None,
    /// A row that names step and attempt.
    PerAttempt,
    /// A row that names the step alone.
    PerStep,
}

/// How an attempt that nobody runs any more is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Resolver {
    /// Reads whether the effect is there.
    Select,
    /// Writes `fenced` under the attempt's key.
    Fence,
    /// Asks for the transaction's status by the number in the journal.
    Status,
    /// As `Status`, but the server may have forgotten it.
    StatusOrLost,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Rules {
    key: Key,
    resolver: Resolver,
    /// The journal is told that COMMIT will be sent before it is; nobody but the run's engine can tell it.
    judged: bool,
}

/// How far a runner is with an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum At {
    Nowhere,
    Ordered,
    Began,
    Worked,
    Judged,
    Sent,
    Over,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Tx {
    None,
    Open,
    /// COMMIT has arrived: the effect is on its way and nobody sees it yet.
    Committing,
    Committed,
    Aborted,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Row {
    None,
    /// Inserted by a transaction that is open: who wants the same key has to wait.
    Held,
    Done,
    Fenced,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Outcome {
    Done,
    Failed,
    /// A person has to say.
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Attempt {
    /// In the journal.
    intent: bool,
    judged: bool,
    outcome: Option<Outcome>,
    /// In the engine, or in what is left of it.
    at: At,
    zombie: bool,
    /// In the target.
    tx: Tx,
    row: Row,
}

const NEW: Attempt = Attempt {
    intent: false,
    judged: false,
    outcome: None,
    at: At::Nowhere,
    zombie: false,
    tx: Tx::None,
    row: Row::None,
};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Step {
    rules: Rules,
    tries: [Attempt; 2],
    /// How often the engine may still die.
    deaths: u8,
    /// The operator went back, taking the step for not done.
    rolled_back: bool,
}

const DOUBLED: &str = "the effect happened twice";
const ROLLED_BACK: &str = "rolled back as not done, yet committed";
const LOST: &str = "said to be done, yet not there";
const REPEATED: &str = "a second attempt while the first was open";
const CLOSED_WRONG: &str = "closed as failed, yet committed";

type Moves = Vec<(String, Step)>;

impl Step {
    fn new(rules: Rules) -> Self {
        Self { rules, tries: [NEW; 2], deaths: 2, rolled_back: false }
    }

    fn with(&self, n: usize, change: impl FnOnce(&mut Attempt)) -> Self {
        let mut next = self.clone();
        change(&mut next.tries[n]);
        next
    }

    /// The key that an attempt's transaction writes: as it stands, and whose transaction holds it.
    fn conflict(&self, n: usize) -> Row {
        match self.rules.key {
            Key::None => Row::None,
            Key::PerAttempt => self.tries[n].row,
            Key::PerStep => {
                let others = self.tries.iter().enumerate().filter(|(m, _)| *m != n).map(|(_, other)| other.row);
                others.chain([self.tries[n].row]).find(|row| *row != Row::None).unwrap_or(Row::None)
            }
        }
    }

    /// What a runner does next, be it alive or a zombie. Only who is alive writes to the journal.
    fn runner(&self, n: usize, out: &mut Moves) {
        let one = &self.tries[n];
        let who = if one.zombie { "the zombie" } else { "the runner" };
        let mut add = |what: &str, next: Self| out.push((format!("attempt {}: {who} {what}", n + 1), next));
        let dead = matches!(one.tx, Tx::Aborted);
        match one.at {
            At::Ordered => match self.conflict(n) {
                Row::Held => {}
                Row::None => {
                    let row = if self.rules.key == Key::None { Row::None } else { Row::Held };
                    let began = |one: &mut Attempt| (one.at, one.tx, one.row) = (At::Began, Tx::Open, row);
                    add("begins, its key goes in", self.with(n, began));
                }
                Row::Done | Row::Fenced => {
                    let refused = |one: &mut Attempt| (one.at, one.tx) = (At::Began, Tx::Aborted);
                    add("begins, its key is taken", self.with(n, refused));
                }
            },
            At::Began if !dead => add("runs the statements", self.with(n, |one| one.at = At::Worked)),
            At::Worked if !dead && !self.rules.judged => add("is content", self.with(n, |one| one.at = At::Judged)),
            At::Worked if !dead && !one.zombie => {
                add(
                    "has it journaled that it will commit",
                    self.with(n, |one| (one.at, one.judged) = (At::Judged, true)),
                );
            }
            At::Judged if !dead => {
                add("sends COMMIT", self.with(n, |one| (one.at, one.tx) = (At::Sent, Tx::Committing)));
            }
            At::Sent if one.tx == Tx::Committed && !one.zombie => {
                let done = |one: &mut Attempt| (one.at, one.outcome) = (At::Over, Some(Outcome::Done));
                add("hears that it is committed, and journals it", self.with(n, done));
            }
            // Before COMMIT was sent an error is an answer.
            At::Began | At::Worked | At::Judged if dead && !one.zombie => {
                let failed = |one: &mut Attempt| (one.at, one.outcome) = (At::Over, Some(Outcome::Failed));
                add("hears that it is taken back, and journals it", self.with(n, failed));
            }
            // Afterwards it is none: whoever asks later decides.
            At::Sent if !one.zombie => add("loses its connection", self.with(n, |one| one.zombie = true)),
            _ => {}
        }
    }

    fn server(&self, n: usize, out: &mut Moves) {
        let one = &self.tries[n];
        let mut add = |what: &str, next: Self| out.push((format!("attempt {}: the server {what}", n + 1), next));
        let aborted = |one: &mut Attempt| {
            one.tx = Tx::Aborted;
            if one.row == Row::Held {
                one.row = Row::None;
            }
        };
        let committed = |one: &mut Attempt| {
            one.tx = Tx::Committed;
            if one.row == Row::Held {
                one.row = Row::Done;
            }
        };
        match one.tx {
            Tx::Open => add("ends the session, all is taken back", self.with(n, aborted)),
            Tx::Committing => {
                add("commits", self.with(n, committed));
                add("dies before the commit is on its disk", self.with(n, aborted));
            }
            Tx::None | Tx::Committed | Tx::Aborted => {}
        }
    }

    fn resolver(&self, n: usize, out: &mut Moves) {
        let one = &self.tries[n];
        if !one.intent || one.outcome.is_some() || !one.zombie {
            return;
        }
        let mut add = |what: &str, next: Self| out.push((format!("attempt {}: the resolver {what}", n + 1), next));
        let close = |outcome| self.with(n, |one| one.outcome = Some(outcome));
        match self.rules.resolver {
            Resolver::Select if one.tx == Tx::Committed => add("sees the effect: done", close(Outcome::Done)),
            Resolver::Select => add("sees no effect: failed", close(Outcome::Failed)),
            Resolver::Fence => match one.row {
                Row::None => add("writes the fence", self.with(n, |one| one.row = Row::Fenced)),
                Row::Held => {}
                Row::Done => add("finds the key taken: done", close(Outcome::Done)),
                Row::Fenced => add("finds its fence: failed", close(Outcome::Failed)),
            },
            Resolver::Status | Resolver::StatusOrLost if !one.judged => {
                add("finds that COMMIT was never to be sent: failed", close(Outcome::Failed));
            }
            Resolver::Status | Resolver::StatusOrLost => {
                match one.tx {
                    Tx::Committed => add("is told committed: done", close(Outcome::Done)),
                    Tx::Aborted => add("is told aborted: failed", close(Outcome::Failed)),
                    Tx::None | Tx::Open | Tx::Committing => {}
                }
                if self.rules.resolver == Resolver::StatusOrLost {
                    add("is told nothing: unknown", close(Outcome::Unknown));
                }
            }
        }
    }

    fn operator(&self, n: usize, out: &mut Moves) {
        let one = &self.tries[n];
        let mut add = |what: &str, next: Self| out.push((format!("attempt {}: the operator {what}", n + 1), next));
        match one.outcome {
            Some(Outcome::Failed) if n == self.last() => {
                add("rolls back, the step was not done", Self { rolled_back: true, ..self.clone() });
            }
            // Whoever looks at a transaction that is over says what is so. A false claim is a false claim.
            Some(Outcome::Unknown) if one.tx == Tx::Committed => {
                add("settles it as done", self.with(n, |one| one.outcome = Some(Outcome::Done)));
            }
            Some(Outcome::Unknown) if one.tx == Tx::Aborted => {
                add("settles it as not done", self.with(n, |one| one.outcome = Some(Outcome::Failed)));
            }
            _ => {}
        }
    }

    /// The newest attempt.
    fn last(&self) -> usize {
        usize::from(self.tries[1].intent)
    }

    fn orders(&self, out: &mut Moves) {
        let first = !self.tries[0].intent;
        let again = self.tries[0].outcome == Some(Outcome::Failed) && !self.tries[1].intent;
        let n = usize::from(!first);
        if (first || again) && !self.rolled_back {
            let ordered = |one: &mut Attempt| (one.intent, one.at) = (true, At::Ordered);
            out.push((format!("attempt {}: the engine journals the order", n + 1), self.with(n, ordered)));
        }
    }

    fn death(&self, out: &mut Moves) {
        let runs = |one: &Attempt| !one.zombie && one.intent && one.outcome.is_none();
        if self.deaths > 0 && self.tries.iter().any(runs) {
            let mut next = self.clone();
            next.deaths -= 1;
            next.tries.iter_mut().filter(|one| runs(one)).for_each(|one| one.zombie = true);
            out.push(("the engine dies, another takes the run up".to_owned(), next));
        }
    }
}

impl World for Step {
    fn moves(&self) -> Moves {
        let mut out = Vec::new();
        self.orders(&mut out);
        self.death(&mut out);
        for n in 0..2 {
            self.runner(n, &mut out);
            self.server(n, &mut out);
            self.resolver(n, &mut out);
            if !self.rolled_back {
                self.operator(n, &mut out);
            }
        }
        out
    }

    /// The second attempt did what the first did not.
    fn arrived(&self) -> bool {
        self.tries[1].outcome == Some(Outcome::Done)
    }

    fn wrong(&self) -> Vec<&'static str> {
        let committed = |one: &&Attempt| one.tx == Tx::Committed;
        let effects = self.tries.iter().filter(committed).count();
        let said = |outcome| self.tries.iter().filter(move |one| one.outcome == Some(outcome));
        let mut wrong = Vec::new();
        let mut add = |broken: bool, promise| wrong.extend(broken.then_some(promise));
        add(effects > 1, DOUBLED);
        add(self.rolled_back && effects > 0, ROLLED_BACK);
        add(said(Outcome::Done).any(|one| one.tx != Tx::Committed), LOST);
        add(said(Outcome::Failed).any(|one| one.tx == Tx::Committed), CLOSED_WRONG);
        add(self.tries[1].intent && self.tries[0].outcome != Some(Outcome::Failed), REPEATED);
        wrong
    }
}

fn walk(name: &str, key: Key, resolver: Resolver, judged: bool) -> Explored {
    let found = explore(Step::new(Rules { key, resolver, judged }));
    println!("── {name}: {}", found.words());
    found
}

#[test]
fn the_fence_keeps_every_promise() {
    let found = walk("fence", Key::PerAttempt, Resolver::Fence, false);
    found.keeps_every_promise();
    assert_eq!(found.states, 362);
    let found = walk("fence, with the witness in the journal", Key::PerAttempt, Resolver::Fence, true);
    found.keeps_every_promise();
    assert_eq!(found.states, 426);
}

#[test]
fn without_a_ledger_the_witness_and_the_status_keep_every_promise() {
    let found = walk("witness and status", Key::None, Resolver::Status, true);
    found.keeps_every_promise();
    assert_eq!(found.states, 501);
    // The same without the witness: who is not told of a number closes what may still commit.
    let found = walk("status alone", Key::None, Resolver::Status, false);
    assert!(found.count(ROLLED_BACK) > 0 && found.count(DOUBLED) > 0);
}

#[test]
fn where_the_status_is_lost_a_person_is_asked_and_nothing_is_wrong() {
    let found = walk("witness, status lost", Key::None, Resolver::StatusOrLost, true);
    found.keeps_every_promise();
    assert_eq!(found.states, 586);
}

#[test]
fn without_a_key_it_is_caught() {
    let found = walk("no key", Key::None, Resolver::Select, false);
    assert_eq!((found.states, found.count(DOUBLED), found.count(ROLLED_BACK), found.count(LOST)), (781, 16, 49, 0));
}

#[test]
fn a_key_for_each_attempt_without_a_fence_is_caught() {
    let found = walk("key with attempt, no fence", Key::PerAttempt, Resolver::Select, false);
    assert_eq!((found.states, found.count(DOUBLED), found.count(ROLLED_BACK), found.count(LOST)), (781, 16, 49, 0));
}

#[test]
fn one_key_for_the_step_decided_by_reading_is_caught() {
    let found = walk("one key per step, SELECT decides", Key::PerStep, Resolver::Select, false);
    assert_eq!((found.states, found.count(DOUBLED), found.count(ROLLED_BACK), found.count(LOST)), (562, 0, 25, 0));
}
