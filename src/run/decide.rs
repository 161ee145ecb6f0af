//! The only rules: what an input means for a run at `now`. What then follows by itself is `follow`'s.

mod release;

use super::command::{Command, CommandVerb};
use super::event::{Attempt, Claim, Direction, End, Event, HoldCause, Moment, Resolved};
use super::facts::Outcome;
pub use super::input::Input;
use super::plan::{self};
use super::state::{Hold, RunState, StepRun, StepStatus};
use super::{fault, follow, giving_up, limits, mask, poll, prepare, remedy, retune};
use crate::runbook::{Asks, Runbook, Step, StepId, Verb};

/// The events an input means. A refusal is an event too.
pub fn decide(book: &Runbook, state: &RunState, input: Input, now: Moment) -> Vec<Event> {
    match input {
        Input::Fact(event) => vec![event],
        Input::Sample { probe, value, took_ms } => {
            let masked = book.environment(&state.opened.environment).map(|one| one.mask.as_slice()).unwrap_or_default();
            let value = match book.probe(&probe) {
                Some(spec) => mask::sample(masked, spec, value),
                None => value,
            };
            vec![Event::SampleTaken { probe, value, took_ms }]
        }
        Input::Chunk { attempt, chunk } if is_open(state, &attempt) => {
            vec![Event::Output { chunk: mask::chunk(book, state, &attempt, chunk), attempt }]
        }
        Input::Chunk { .. } => Vec::new(),
        Input::Ended { attempt, outcome } if is_open(state, &attempt) => {
            let outcome = mask::outcome(book, state, &attempt, fault::complete(book, state, &attempt, outcome));
            // A doubt that is decided lifts its own hold.
            let decided = !matches!(outcome, Outcome::Unknown { .. });
            let about = state.hold.as_ref().filter(|hold| is_in_doubt(&hold.cause, &attempt) && decided);
            let mut events: Vec<Event> =
                about.map(|_| Event::Released { by: super::GONOGO.to_owned() }).into_iter().collect();
            let warning = mask::unmatched(book, state, &attempt);
            events.splice(0..0, warning.into_iter().chain([Event::StepEnded { attempt, outcome }]));
            events
        }
        Input::Ended { .. } => Vec::new(),
        Input::Command(command) => {
            let by = command.by.clone();
            let what = name(&command.verb);
            match order(book, state, command, now) {
                Ok(events) => events,
                Err(why) => vec![Event::Refused { by, what, why }],
            }
        }
    }
}

fn is_in_doubt(cause: &HoldCause, attempt: &Attempt) -> bool {
    matches!(cause, HoldCause::InDoubt { attempt: doubted } if doubted == attempt)
}

fn is_open(state: &RunState, attempt: &Attempt) -> bool {
    state.open.contains(attempt)
}

/// The words of a command, for the log of refusals.
fn name(verb: &CommandVerb) -> String {
    let value = serde_json::to_value(verb).unwrap_or_default();
    let word = value.get("do").and_then(|word| word.as_str()).unwrap_or("command").replace('_', " ");
    match value.get("step").and_then(|step| step.as_str()) {
        Some(step) => format!("{word} {step}"),
        None => word,
    }
}

type Ruling = Result<Vec<Event>, String>;

fn order(book: &Runbook, state: &RunState, command: Command, now: Moment) -> Ruling {
    let Command { by, seen, verb } = command;
    if state.ended.is_some() && !matches!(verb, CommandVerb::Note { .. } | CommandVerb::Quit { .. }) {
        return Err("the run has ended".to_owned());
    }
    if state.engine.as_ref().is_some_and(|engine| !engine.running) {
        return Err("the engine has let go of the run".to_owned());
    }
    let desk = Desk { book, state, by, seen, now };
    match verb {
        CommandVerb::Confirm { text } => desk.confirm(text),
        CommandVerb::Start { step } => desk.start(&step),
        CommandVerb::Retry { step } => desk.retry(&step, false),
        CommandVerb::Fix { step } => desk.retry(&step, true),
        CommandVerb::Skip { step, reason } => desk.skip(step, reason),
        CommandVerb::Cancel { attempt } => desk.cancel(attempt),
        CommandVerb::CancelLeftover { attempt, terminate } => desk.cancel_leftover(attempt, terminate),
        CommandVerb::Settle { attempt, claim, reason } => desk.settle(attempt, claim, reason),
        CommandVerb::Tick { step, item, answer } => desk.tick(step, item, answer),
        CommandVerb::Untick { step, item } => desk.untick(step, item),
        CommandVerb::Vote { step, role, go, reason } => desk.vote(step, role, go, reason),
        CommandVerb::EditSql { step, sql } => desk.edit(step, sql),
        CommandVerb::Retune { attempt, from, to } => retune::order(state, attempt, from, to, desk.by),
        CommandVerb::SignOff { phase, reason } => desk.sign_off(phase, reason),
        CommandVerb::Hold { reason } => desk.hold(reason),
        CommandVerb::Release => desk.release(),
        CommandVerb::TakeOver { target, text } => desk.take_over(target, &text),
        CommandVerb::SetAdvance { auto } => Ok(vec![Event::AdvanceSet { auto, by: desk.by }]),
        CommandVerb::Rollback { plan, reason } => desk.rollback(plan, reason),
        CommandVerb::StopCountdown => desk.stop_countdown(),
        CommandVerb::Note { text, step } => desk.note(text, step),
        CommandVerb::Quit { reason } => desk.quit(reason),
        CommandVerb::Abandon { reason } => desk.abandon(reason),
    }
}

/// One command at its desk: who asks, what they saw, what is so.
struct Desk<'a> {
    book: &'a Runbook,
    state: &'a RunState,
    by: String,
    seen: u64,
    now: Moment,
}

impl Desk<'_> {
    /// The step as it is, if the sender saw it so.
    fn step(&self, id: &StepId) -> Result<(&Step, StepRun), String> {
        let step = self.book.step(id).ok_or_else(|| format!("this runbook has no step {id}"))?;
        let run = self.state.steps.get(id).cloned().unwrap_or_default();
        if run.changed > self.seen {
            return Err(format!("step {id} changed while you looked at it; look again, then decide"));
        }
        Ok((step, run))
    }

    /// A human step that is being answered.
    fn answering(&self, id: &StepId) -> Result<&Step, String> {
        // Several people answer one poll: another's vote does not make mine stale.
        let step = self.book.step(id).ok_or_else(|| format!("this runbook has no step {id}"))?;
        if self.state.status(id) != StepStatus::Running {
            return Err(format!("step {id} is not open for answers"));
        }
        Ok(step)
    }

    fn confirm(self, text: String) -> Ruling {
        if !plan::needs_confirmation(self.book, self.state) {
            return Err("there is nothing to confirm".to_owned());
        }
        let word = plan::confirmation_word(self.book, self.state)
            .ok_or("the target has not been reached yet, so its name is not known")?;
        if text.trim() != word {
            let digits = if word.contains(' ') { " and the last four digits of its system" } else { "" };
            return Err(format!("{:?} is not the name of the target's database{digits}", text.trim()));
        }
        Ok(vec![Event::Confirmed { by: self.by, text: word }])
    }

    fn free_to_go(&self) -> Result<(), String> {
        if plan::needs_confirmation(self.book, self.state) {
            return Err("the environment is protected: type its database's name first".to_owned());
        }
        if self.state.rollback.is_some() {
            return Err("the run is rolled back: nothing goes forward any more".to_owned());
        }
        self.targets_known()?;
        if self.state.countdown().is_some() {
            return Err("a rollback is counting down: stop it first".to_owned());
        }
        if let Some(attempt) = self.state.open.iter().find(|open| self.state.status(&open.step) == StepStatus::InDoubt)
        {
            return Err(format!("the outcome of {attempt} is not known: settle it first"));
        }
        Ok(())
    }

    /// Nothing starts before each target has said who it is.
    fn targets_known(&self) -> Result<(), String> {
        match follow::silent_target(self.book, self.state) {
            Some(target) => Err(format!("target {target} has not said yet who it is; try again when it has")),
            None => Ok(()),
        }
    }

    fn start(self, id: &StepId) -> Ruling {
        let (step, run) = self.step(id)?;
        self.free_to_go()?;
        if self.state.hold.is_some() {
            return Err("the run is held: continue it first".to_owned());
        }
        if !matches!(run.status, StepStatus::Pending | StepStatus::Undone) {
            return Err(format!("step {id} cannot be started: it is {}", word(&run.status)));
        }
        if plan::cursor(self.book, self.state).map(|step| &step.id) != Some(id) {
            return Err(format!("it is not step {id}'s turn"));
        }
        if !self.state.open.is_empty() {
            return Err("another step is running".to_owned());
        }
        Ok(prepare::start(self.book, self.state, step, Direction::Forward, &self.by))
    }

    /// `fixed`: with the fix of its known trouble ahead of it.
    fn retry(self, id: &StepId, fixed: bool) -> Ruling {
        let (step, run) = self.step(id)?;
        if !self.state.open.is_empty() {
            return Err("another attempt is still open".to_owned());
        }
        if self.state.countdown().is_some() {
            return Err("a rollback is counting down: stop it first".to_owned());
        }
        if self.state.hold.as_ref().is_some_and(|hold| !is_about_a_step(&hold.cause)) {
            return Err("the run is held for another reason: continue it first".to_owned());
        }
        let direction = match run.status {
            StepStatus::Failed | StepStatus::Broke if self.may_go(id) => Direction::Forward,
            StepStatus::UndoFailed if self.state.rolling_back() => Direction::Undo,
            other => return Err(format!("step {id} is {}: there is nothing to retry", word(&other))),
        };
        self.targets_known()?;
        let started = remedy::start(self.book, self.state, step, direction, &self.by, fixed)?;
        let mut events = self.released();
        events.extend(started);
        Ok(events)
    }

    /// True for a step that may still be done: any before a rollback, only those of its plan in one.
    fn may_go(&self, id: &StepId) -> bool {
        let next_back = || plan::next_back(self.book, self.state);
        self.state.rollback.is_none() || (self.state.rolling_back() && next_back().is_some_and(|step| step.id == *id))
    }

    fn released(&self) -> Vec<Event> {
        let hold = self.state.hold.iter().filter(|hold| is_about_a_step(&hold.cause));
        hold.map(|_| Event::Released { by: self.by.clone() }).collect()
    }

    fn skip(self, id: StepId, reason: String) -> Ruling {
        let (_, run) = self.step(&id)?;
        let reason = words(reason, "skipping a step needs a reason")?;
        if matches!(run.status, StepStatus::Running | StepStatus::Undoing | StepStatus::InDoubt) {
            return Err(format!("step {id} is {}: cancel or settle it first", word(&run.status)));
        }
        let forward = self.state.rollback.is_none();
        let at_cursor = forward && plan::cursor(self.book, self.state).is_some_and(|step| step.id == id);
        let at_undo =
            self.state.rolling_back() && plan::next_back(self.book, self.state).is_some_and(|step| step.id == id);
        if !at_cursor && !at_undo {
            return Err(format!("it is not step {id}'s turn"));
        }
        let mut events = vec![Event::StepSkipped { step: id, by: self.by.clone(), reason }];
        events.extend(self.released());
        Ok(events)
    }

    fn cancel(self, attempt: Attempt) -> Ruling {
        if !is_open(self.state, &attempt) || self.state.status(&attempt.step) == StepStatus::InDoubt {
            return Err(format!("{attempt} is not running"));
        }
        if follow::acting(self.book, &attempt).is_some_and(|step| step.verb.is_human()) {
            return Err("a checklist or poll cannot be cancelled: hold, skip or roll back".to_owned());
        }
        Ok(vec![Event::CancelAsked { attempt, by: self.by }])
    }

    fn cancel_leftover(self, attempt: Attempt, terminate: bool) -> Ruling {
        let run = self.state.steps.get(&attempt.step).filter(|run| run.status == StepStatus::InDoubt);
        match run.filter(|_| is_open(self.state, &attempt)).map(|run| &run.resolved) {
            Some(Some(Resolved::Sql { .. } | Resolved::Migrations { .. })) => {
                Ok(vec![Event::LeftoverAsked { attempt, terminate, by: self.by }])
            }
            Some(_) => Err(format!("{attempt} has no session on a server")),
            None => Err(format!("{attempt} is not in doubt")),
        }
    }

    fn settle(self, attempt: Attempt, claim: Claim, reason: String) -> Ruling {
        let in_doubt = is_open(self.state, &attempt) && self.state.status(&attempt.step) == StepStatus::InDoubt;
        if !in_doubt {
            return Err(format!("{attempt} is not in doubt"));
        }
        let reason = words(reason, "say how you know")?;
        let mut events = self.released();
        events.insert(0, Event::Settled { attempt, claim, by: self.by, reason });
        Ok(events)
    }

    fn tick(self, id: StepId, item: usize, answer: Option<String>) -> Ruling {
        let step = self.answering(&id)?;
        let Verb::Checklist(items) = &step.verb else { return Err(format!("step {id} is no checklist")) };
        if self.state.steps.get(&id).is_some_and(|run| run.ticks.contains_key(&item)) {
            return Err("that item is ticked already: untick it first".to_owned());
        }
        let asked = items.get(item).ok_or_else(|| format!("step {id} has no item {}", item + 1))?;
        let answer = answer.map(|text| clip(&text)).filter(|text| !text.is_empty());
        if asked.answer_required && answer.is_none() {
            return Err(format!("{:?} wants an answer in words", asked.ask));
        }
        Ok(vec![Event::Ticked { step: id, item, answer, by: self.by }])
    }

    fn untick(self, id: StepId, item: usize) -> Ruling {
        self.answering(&id)?;
        if !self.state.steps.get(&id).is_some_and(|run| run.ticks.contains_key(&item)) {
            return Err("that item is not ticked".to_owned());
        }
        Ok(vec![Event::Unticked { step: id, item, by: self.by }])
    }

    fn vote(self, id: StepId, role: String, go: bool, reason: String) -> Ruling {
        let step = self.answering(&id)?;
        let Verb::Poll(roles) = &step.verb else { return Err(format!("step {id} is no poll")) };
        if !roles.contains(&role) {
            return Err(format!("{role} has no vote in {id}"));
        }
        poll::closed(step, self.state, self.now)?;
        let before = self.state.steps.get(&id).and_then(|run| run.votes.get(&role));
        if let Some(before) = before {
            if before.go == go {
                return Err(format!("{role} has said so already"));
            }
            // A change of mind is one only for who has seen the first vote.
            self.step(&id)?;
        }
        let reason = if go { clip(&reason) } else { words(reason, "a no-go needs a reason")? };
        let mut events = vec![Event::Voted { step: id.clone(), role: role.clone(), go, reason, by: self.by.clone() }];
        if !go && self.state.hold.is_none() {
            events.push(Event::Held { cause: HoldCause::NoGo { step: id, role }, by: self.by });
        }
        Ok(events)
    }

    fn edit(self, id: StepId, sql: String) -> Ruling {
        let (step, run) = self.step(&id)?;
        let Verb::Sql(script) = &step.verb else { return Err(format!("step {id} has no SQL")) };
        if matches!(script.asks, Asks::Inventory(_)) {
            return Err(format!("the query of step {id} is gonogo's own"));
        }
        if !matches!(run.status, StepStatus::Pending | StepStatus::Failed | StepStatus::Broke | StepStatus::Undone) {
            return Err(format!("step {id} is {}: too late to edit", word(&run.status)));
        }
        if sql.trim().is_empty() || sql.len() as u64 > limits::RUNBOOK_BYTES {
            return Err("the edited SQL is empty or too long".to_owned());
        }
        let before = run.edited.unwrap_or_else(|| script.text.clone());
        Ok(vec![Event::SqlEdited { step: id, before, after: sql, by: self.by }])
    }

    fn sign_off(self, id: String, reason: String) -> Ruling {
        let phase = plan::phase(self.book, self.state).filter(|phase| phase.id == id);
        let phase = phase.ok_or_else(|| format!("the run is not in phase {id}"))?;
        let waits = plan::wants_sign_off(self.state);
        if plan::watch_left_ms(phase, self.state, self.now) == 0 && !waits {
            return Err(format!("phase {id} has no time left to cut short"));
        }
        if let Some(step) = plan::cursor(self.book, self.state) {
            return Err(format!("step {} is still to be done", step.id));
        }
        let reason = words(reason, "say why the watch may end early")?;
        let mut events: Vec<Event> = waits.then(|| Event::Released { by: self.by.clone() }).into_iter().collect();
        events.push(Event::PhaseLeft { phase: id, early: Some((self.by, reason)) });
        Ok(events)
    }

    fn hold(self, reason: String) -> Ruling {
        if self.state.hold.is_some() {
            return Err("the run is held already".to_owned());
        }
        Ok(vec![Event::Held { cause: HoldCause::Operator { reason: clip(&reason) }, by: self.by }])
    }

    fn take_over(self, target: String, text: &str) -> Ruling {
        let run = self.state.targets.get(&target);
        let owner = run.and_then(|run| run.owner.clone());
        let Some(owner) = owner else { return Err(format!("nobody has target {target} instead of this run")) };
        let database = run.and_then(|run| run.fingerprint.as_ref()).map(|print| print.database.as_str());
        if Some(text.trim()) != database {
            return Err(format!("{:?} is not the name of the target's database", text.trim()));
        }
        let about = |hold: &&Hold| matches!(&hold.cause, HoldCause::Owned { target: held, .. } if *held == target);
        let held = self.state.hold.as_ref().filter(about).is_some();
        let mut events = vec![Event::TakenOver { target, owner, by: self.by.clone() }];
        events.extend(held.then_some(Event::Released { by: self.by }));
        Ok(events)
    }

    fn rollback(self, named: Option<String>, reason: String) -> Ruling {
        if let Some(under_way) = &self.state.rollback {
            if !plan::is_stuck_back(self.state) {
                return Err("the run is rolled back already".to_owned());
            }
            if under_way.plan == named {
                return Err("that way back is under way: retry its step, skip it, or choose another".to_owned());
            }
        }
        let reason = words(reason, "a rollback needs a reason")?;
        if let Some(named) = &named
            && self.book.plan(named).is_none()
        {
            return Err(format!("this runbook has no rollback plan {named}"));
        }
        let way = plan::way_back(self.book, self.state);
        if !way.in_doubt.is_empty() {
            return Err(way.obstacle().unwrap_or_default() + ": settle it first");
        }
        Ok(follow::rollback(self.book, self.state, named, self.by, reason))
    }

    fn stop_countdown(self) -> Ruling {
        let Some((trigger, _)) = self.state.countdown() else { return Err("nothing is counting down".to_owned()) };
        let trigger = trigger.to_owned();
        let mut events = vec![Event::CountdownStopped { trigger: trigger.clone(), by: self.by.clone() }];
        if self.state.hold.is_none() {
            events.push(Event::Held { cause: HoldCause::Trigger { trigger }, by: self.by });
        }
        Ok(events)
    }

    fn note(self, text: String, step: Option<StepId>) -> Ruling {
        let text = words(text, "an empty note says nothing")?;
        Ok(vec![Event::NoteAdded { by: self.by, text, step }])
    }

    fn quit(self, reason: String) -> Ruling {
        let running = self.state.open.iter().find(|attempt| {
            follow::acting(self.book, attempt).is_some_and(|step| !step.verb.is_human())
                && matches!(self.state.status(&attempt.step), StepStatus::Running | StepStatus::Undoing)
        });
        if let Some(attempt) = running {
            return Err(format!("{attempt} is running: wait for it or cancel it; leaving the screen does not stop it"));
        }
        let mut events = Vec::new();
        if self.state.hold.is_none() && self.state.ended.is_none() {
            let cause = match reason.trim() {
                "" => HoldCause::Operator { reason: "let go for now".to_owned() },
                what => HoldCause::Unanswered { what: clip(what) },
            };
            events.push(Event::Held { cause, by: self.by.clone() });
        }
        events.push(Event::EngineStopped { by: self.by, reason: clip(&reason) });
        Ok(events)
    }

    fn abandon(self, reason: String) -> Ruling {
        let reason = words(reason, "giving a run up needs a reason")?;
        let mut events = giving_up::questions(self.book, self.state, "the run was given up")?;
        events.push(Event::RunEnded { end: End::Failed, reason: format!("given up by {}: {reason}", self.by) });
        Ok(events)
    }
}

/// True for a hold that deciding about its step lifts.
fn is_about_a_step(cause: &HoldCause) -> bool {
    matches!(
        cause,
        HoldCause::Step { .. } | HoldCause::Undo { .. } | HoldCause::InDoubt { .. } | HoldCause::Rollback { .. }
    )
}

fn word(status: &StepStatus) -> &'static str {
    match status {
        StepStatus::Pending => "not started",
        StepStatus::Running => "running",
        StepStatus::Done => "done",
        StepStatus::Failed => "failed",
        StepStatus::Broke => "broken",
        StepStatus::InDoubt => "in doubt",
        StepStatus::Skipped => "skipped",
        StepStatus::Left => "left unanswered",
        StepStatus::Undoing => "being undone",
        StepStatus::Undone => "undone",
        StepStatus::UndoFailed => "not undone: its undo failed",
        StepStatus::UndoSkipped => "not undone: its undo was skipped",
    }
}

fn clip(text: &str) -> String {
    text.trim().chars().take(limits::WORDS).collect()
}

fn words(text: String, otherwise: &str) -> Result<String, String> {
    let text = clip(&text);
    if text.is_empty() { Err(otherwise.to_owned()) } else { Ok(text) }
}
