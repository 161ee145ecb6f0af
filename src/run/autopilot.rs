//! What a headless run may answer by itself: exactly what `--yes` and `--answers` cover, never a question of doubt.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::clean;
use super::command::CommandVerb;
use super::event::HoldCause;
use super::follow::{acting, targets_ready};
use super::plan;
use super::state::{RunState, StepStatus};
use crate::runbook::{Item, Runbook, Step, StepId, Verb};

/// What may be answered without a person.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Answers {
    /// `--yes`: starts, ticks and go votes. Never words, never doubt, never the name of a protected target.
    #[serde(skip)]
    pub yes: bool,
    /// `--retry`: the step that a run stands held for is tried once more.
    #[serde(skip)]
    pub retry: bool,
    /// `--roll-back`, `--give-up`: what a person says first of all of a run that stands held.
    #[serde(skip)]
    pub word: Option<CommandVerb>,
    /// Step id: question: answer.
    pub answers: BTreeMap<String, BTreeMap<String, String>>,
    /// Step id: role: `go` or `no-go: reason`.
    pub polls: BTreeMap<String, BTreeMap<String, String>>,
    /// `--confirm`: the name of a protected target's database.
    #[serde(skip)]
    pub confirm: Option<String>,
    /// `--take-over`: the name of the database that is taken from a run that has not ended.
    #[serde(skip)]
    pub take_over: Option<String>,
}

impl Answers {
    /// What in it names nothing of the runbook, or says neither go nor no-go: one sentence each.
    pub fn unfit(&self, book: &Runbook) -> Vec<String> {
        let mut wrong = Vec::new();
        for (id, given) in &self.answers {
            let Some(Verb::Checklist(items)) = book.step(&StepId(id.clone())).map(|step| &step.verb) else {
                wrong.push(format!("answers: the runbook has no checklist {id}"));
                continue;
            };
            let unknown = given.keys().filter(|ask| !items.iter().any(|item| item.ask == **ask));
            wrong.extend(unknown.map(|ask| format!("answers: checklist {id} does not ask {ask:?}")));
        }
        for (id, given) in &self.polls {
            let Some(Verb::Poll(roles)) = book.step(&StepId(id.clone())).map(|step| &step.verb) else {
                wrong.push(format!("polls: the runbook has no poll {id}"));
                continue;
            };
            for (role, vote) in given {
                if !roles.contains(role) {
                    wrong.push(format!("polls: {role} has no vote in {id}"));
                }
                if vote != "go" && !vote.starts_with("no-go: ") {
                    wrong.push(format!("polls: {id}, {role}: write \"go\" or \"no-go: REASON\", not {vote:?}"));
                }
            }
        }
        wrong
    }
}

/// True where the run stands before an item that wants words.
pub fn lacks_words(book: &Runbook, state: &RunState) -> bool {
    let step = if state.rolling_back() { plan::next_back(book, state) } else { plan::cursor(book, state) };
    let Some((step, Verb::Checklist(items))) = step.map(|step| (step, &step.verb)) else { return false };
    let ticked = |n: usize| state.steps.get(&step.id).is_some_and(|run| run.ticks.contains_key(&n));
    items.iter().enumerate().find(|(n, _)| !ticked(*n)).is_some_and(|(_, item)| item.answer_required)
}

/// What `--answers` needs for the checklists that are not done, as TOML to fill in: an empty answer is refused. None: nothing wants
/// words.
pub fn wanted(book: &Runbook, state: &RunState) -> Option<String> {
    let quoted = |text: &str| clean::json(&toml::Value::String(text.to_owned()).to_string());
    let mut out = String::new();
    for step in book.steps().filter(|step| !matches!(state.status(&step.id), StepStatus::Done | StepStatus::Skipped)) {
        let Verb::Checklist(items) = &step.verb else { continue };
        let ticks = state.steps.get(&step.id).map(|run| &run.ticks);
        let open = |n: &usize| ticks.is_none_or(|ticks| !ticks.contains_key(n));
        let asks = items.iter().enumerate().filter(|(n, item)| item.answer_required && open(n));
        let lines: String = asks.map(|(_, item)| format!("{} = \"\"\n", quoted(&item.ask))).collect();
        if !lines.is_empty() {
            out.push_str(&format!("[answers.{}]\n{lines}", quoted(&step.id.0)));
        }
    }
    (!out.is_empty()).then_some(out)
}

/// What the autopilot does next.
#[derive(Clone, Debug, PartialEq)]
pub enum Move {
    Do(CommandVerb),
    /// Something moves by itself: wait.
    Wait,
    /// Nobody here may answer this: hold and leave.
    Stuck(String),
}

/// The next move; asked again after every change.
pub fn next(book: &Runbook, state: &RunState, answers: &Answers) -> Move {
    let recovering = state.rollback.is_some() && !state.rolling_back();
    if state.ended.is_some() || state.countdown().is_some() || recovering {
        return Move::Wait;
    }
    if runs_by_itself(book, state) {
        return Move::Wait;
    }
    // Each target is reached, or lost, within its connect timeout: what it says may be worth more than leaving now.
    if state.hold.is_none() && !plan::targets_answered(book, state) {
        return Move::Wait;
    }
    if let Some(step) = interrupted(state).filter(|_| answers.yes) {
        return Move::Do(CommandVerb::Retry { step });
    }
    if let Some(hold) = &state.hold {
        if let (HoldCause::Owned { target, .. }, Some(text)) = (&hold.cause, &answers.take_over) {
            return Move::Do(CommandVerb::TakeOver { target: target.clone(), text: text.clone() });
        }
        if let HoldCause::NoGo { step, .. } = &hold.cause
            && let Some(verb) = settled(state, step, answers)
        {
            return Move::Do(verb);
        }
        return Move::Stuck(super::words::hold(&hold.cause, book));
    }
    if plan::needs_confirmation(book, state) {
        return confirm(book, state, answers);
    }
    if !targets_ready(book, state) {
        return Move::Wait;
    }
    let step = if state.rolling_back() { plan::next_back(book, state) } else { plan::cursor(book, state) };
    match step {
        Some(step) => at_step(state, step, answers),
        None => Move::Wait,
    }
}

/// What goes on from a no-go: the answers say go now where they, or somebody, said no-go. `--yes` alone changes no vote.
fn settled(state: &RunState, poll: &StepId, answers: &Answers) -> Option<CommandVerb> {
    let says_go =
        |role: &str| answers.polls.get(&poll.0).and_then(|all| all.get(role)).is_some_and(|vote| vote == "go");
    match plan::no_go(state, poll) {
        Some(role) if says_go(role) && state.status(poll) == StepStatus::Running => {
            Some(CommandVerb::Vote { step: poll.clone(), role: role.to_owned(), go: true, reason: String::new() })
        }
        Some(_) => None,
        None => answers.yes.then_some(CommandVerb::Release),
    }
}

/// The step that a hold is about, where its attempt only lost its engine and is proven not to have happened.
fn interrupted(state: &RunState) -> Option<StepId> {
    let id = match &state.hold.as_ref()?.cause {
        HoldCause::Step { step } => step,
        HoldCause::Undo { attempt } => &attempt.step,
        _ => return None,
    };
    state.steps.get(id)?.was_interrupted().then(|| id.clone())
}

/// Why a run that stands held may be taken up again by `--yes`: only where a person or
/// the engine itself paused it, or what was missing then may be there now.
pub fn may_release(cause: &HoldCause) -> bool {
    matches!(
        cause,
        HoldCause::Operator { .. }
            | HoldCause::Unanswered { .. }
            | HoldCause::Target { .. }
            | HoldCause::Owned { .. }
            | HoldCause::Missing { .. }
            | HoldCause::JournalFull {}
    )
}

/// The step that a run stands held for since before `since_ms` on the run clock, and that can be tried again.
pub fn failed_before(state: &RunState, since_ms: u64) -> Option<StepId> {
    let hold = state.hold.as_ref().filter(|hold| hold.at.ms < since_ms)?;
    let step = match &hold.cause {
        HoldCause::Step { step } => step,
        HoldCause::Undo { attempt } => &attempt.step,
        _ => return None,
    };
    let failed = matches!(state.status(step), StepStatus::Failed | StepStatus::Broke | StepStatus::UndoFailed);
    failed.then(|| step.clone())
}

/// True while something runs that no person has to answer.
fn runs_by_itself(book: &Runbook, state: &RunState) -> bool {
    state.open.iter().any(|attempt| {
        let human = acting(book, attempt).is_some_and(|step| step.verb.is_human());
        !human && matches!(state.status(&attempt.step), StepStatus::Running | StepStatus::Undoing)
    })
}

fn confirm(book: &Runbook, state: &RunState, answers: &Answers) -> Move {
    match (&answers.confirm, plan::confirmation_word(book, state)) {
        (_, None) => Move::Wait,
        (Some(text), Some(_)) => Move::Do(CommandVerb::Confirm { text: text.clone() }),
        (None, Some(word)) => {
            Move::Stuck(format!("the environment is protected: --confirm {word:?} says that this is meant"))
        }
    }
}

fn at_step(state: &RunState, step: &Step, answers: &Answers) -> Move {
    match (state.status(&step.id), &step.verb) {
        (StepStatus::Running, Verb::Checklist(items)) => tick(state, &step.id, items, answers),
        (StepStatus::Running, Verb::Poll(roles)) => vote(state, &step.id, roles, answers),
        (StepStatus::Pending | StepStatus::Undone, verb) if !verb.is_human() => {
            if answers.yes {
                Move::Do(CommandVerb::Start { step: step.id.clone() })
            } else {
                Move::Stuck(format!("step {} waits to be started", step.id))
            }
        }
        _ => Move::Wait,
    }
}

fn tick(state: &RunState, id: &StepId, items: &[Item], answers: &Answers) -> Move {
    let ticked = |n: usize| state.steps.get(id).is_some_and(|run| run.ticks.contains_key(&n));
    let Some((n, item)) = items.iter().enumerate().find(|(n, _)| !ticked(*n)) else { return Move::Wait };
    let answer = answers.answers.get(&id.0).and_then(|all| all.get(&item.ask)).cloned();
    let covered = answer.is_some() || (answers.yes && !item.answer_required);
    if covered {
        return Move::Do(CommandVerb::Tick { step: id.clone(), item: n, answer });
    }
    Move::Stuck(format!("step {id} asks: {:?}", item.ask))
}

fn vote(state: &RunState, id: &StepId, roles: &[String], answers: &Answers) -> Move {
    let voted = |role: &String| state.steps.get(id).is_some_and(|run| run.votes.contains_key(role));
    let Some(role) = roles.iter().find(|role| !voted(role)) else { return Move::Wait };
    let said = answers.polls.get(&id.0).and_then(|all| all.get(role));
    let (go, reason) = match said.map(String::as_str) {
        Some("go") => (true, String::new()),
        Some(no) => (false, no.trim_start_matches("no-go").trim_start_matches([':', ' ']).to_owned()),
        None if answers.yes => (true, String::new()),
        None => return Move::Stuck(format!("step {id} asks {role}: go or no-go?")),
    };
    let reason = if !go && reason.is_empty() { "no reason given".to_owned() } else { reason };
    Move::Do(CommandVerb::Vote { step: id.clone(), role: role.clone(), go, reason })
}
