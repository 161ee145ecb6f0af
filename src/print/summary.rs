//! The last lines of a headless run: what became of it, what is left behind, what to type next.

use crate::run::event::{Direction, End, HoldCause, OtherRun};
use crate::run::state::{StepRun, StepStatus};
use crate::run::{RunState, clean, words};
use crate::runbook::{Runbook, StepId};

/// Several lines, each ended by a line feed. The first says the outcome, the last ones are commands to type.
/// `journal`: the folder of runs, where it was named on the command line.
pub fn summary(state: &RunState, runbook: &Runbook, journal: Option<&str>) -> String {
    let (outcome, next) = outcome(state, runbook);
    let mut out = format!("\n{outcome}\n  {:<9} {}\n", "so far", progress(state, runbook));
    if let Some(left) = left_behind(state, runbook) {
        out.push_str(&format!("  {:<9} {left}\n", "in place"));
    }
    for (n, Next { command, when }) in next.iter().enumerate() {
        let label = if n == 0 { "next" } else { "" };
        let place = journal.map(|path| format!(" --journal {}", quoted(path))).unwrap_or_default();
        let when = when.map(|when| format!("   ({when})")).unwrap_or_default();
        out.push_str(&format!("  {label:<9} {command}{place}{when}\n"));
    }
    out
}

/// Where a run stands that is taken up again: one line, ended by a line feed.
pub fn standing(state: &RunState, runbook: &Runbook) -> String {
    let so_far = format!(
        "{} · {}",
        if state.seq == 1 { "1 entry".to_owned() } else { format!("{} entries", words::count(state.seq)) },
        progress(state, runbook)
    );
    let held =
        state.hold.as_ref().map(|hold| format!(" · held: {}", words::hold(&hold.cause, runbook))).unwrap_or_default();
    format!("{} goes on after {so_far}{held} · earlier entries: --log\n", words::name(&state.opened.run))
}

/// A command to type, and when.
struct Next {
    command: String,
    when: Option<&'static str>,
}

impl Next {
    fn new(command: String) -> Self {
        Self { command, when: None }
    }

    fn when(self, when: &'static str) -> Self {
        Self { when: Some(when), ..self }
    }
}

/// Characters of a path.
const PATH: usize = 4_096;

/// As one word of a shell.
pub fn quoted(path: &str) -> String {
    let path = clean::line(path, PATH);
    match path.chars().all(|c| c.is_ascii_alphanumeric() || "/._-+@".contains(c)) {
        true => path,
        false => format!("'{}'", path.replace('\'', "'\\''")),
    }
}

fn outcome(state: &RunState, runbook: &Runbook) -> (String, Vec<Next>) {
    let run = words::name(&state.opened.run);
    let commands =
        |verbs: &[&str]| verbs.iter().map(|verb| Next::new(format!("gonogo {verb} {run}"))).collect::<Vec<_>>();
    if let Some((end, reason, _)) = &state.ended {
        let next = commands(if *end == End::Done { &["report"] } else { &["report", "replay"] });
        let verb = match end {
            End::Done => "is",
            End::Failed => "has",
            End::RolledBack => "was",
        };
        return (with_reason(&format!("The run {verb} {}", words::end(*end)), reason), next);
    }
    let doubt = state.steps.iter().find(|(_, step)| step.status == StepStatus::InDoubt);
    if let Some((id, step)) = doubt {
        let text =
            format!("The run is held: {} is in doubt; look whether it happened, then say so", words::name(&id.0));
        return (text, settles(&run, &words::name(&id.0), step));
    }
    if let Some(hold) = &state.hold {
        return (format!("The run is held: {}", words::hold(&hold.cause, runbook)), held(state, &run, &hold.cause));
    }
    match state.engine.as_ref().is_some_and(|engine| engine.running) {
        true => ("The run goes on".to_owned(), commands(&["watch"])),
        false => (interrupted(state), commands(&["resume", "report"])),
    }
}

/// What to type where a person has to decide first.
fn held(state: &RunState, run: &str, cause: &HoldCause) -> Vec<Next> {
    let (resume, report) = (Next::new(format!("gonogo resume {run}")), Next::new(format!("gonogo report {run}")));
    match cause {
        HoldCause::Step { .. } | HoldCause::Undo { .. } => vec![resume.when("on its screen: r tries it again"), report],
        HoldCause::Owned { target, .. } => {
            let seen = state.targets.get(target);
            let others = seen.map(|seen| seen.others.as_slice()).unwrap_or_default();
            let ways = others.iter().flat_map(OtherRun::commands);
            let mut next: Vec<Next> = ways.map(|(command, when)| Next::new(command).when(when)).collect();
            let database = seen.and_then(|seen| seen.fingerprint.as_ref()).map(|print| quoted(&print.database));
            let database = database.unwrap_or_else(|| "DATABASE_NAME".to_owned());
            let take = Next::new(format!("gonogo resume {run} --headless --take-over {database}"));
            let end = Next::new(format!("gonogo resume {run} --headless --give-up REASON"));
            next.extend([resume.when("once the other run has ended"), take.when("where it never will")]);
            next.extend([end.when("ends this run where it stands"), report]);
            next
        }
        _ => vec![resume, report],
    }
}

/// What to type once somebody has looked.
fn settles(run: &str, id: &str, step: &StepRun) -> Vec<Next> {
    let undo = step.attempt.as_ref().is_some_and(|attempt| attempt.direction == Direction::Undo);
    let undo = if undo { " --by-undo" } else { "" };
    let settle = |said: &str| Next::new(format!("gonogo settle {run} {id} {said}{undo} --reason 'how you know'"));
    vec![settle("done"), settle("not-done"), Next::new(format!("gonogo resume {run}"))]
}

fn interrupted(state: &RunState) -> String {
    let open: Vec<String> = state.open.iter().map(|attempt| words::name(&attempt.to_string())).collect();
    match open.is_empty() {
        true => "The run is interrupted: no engine holds it".to_owned(),
        false => format!("The run is interrupted: {} was under way; resume finds out", open.join(", ")),
    }
}

fn with_reason(outcome: &str, reason: &str) -> String {
    match reason.is_empty() {
        true => outcome.to_owned(),
        false => format!("{outcome}: {}", words::phrase(reason)),
    }
}

/// `4 of 8 steps done · 1 skipped · 12m04`.
fn progress(state: &RunState, runbook: &Runbook) -> String {
    let count = |status: StepStatus| runbook.steps().filter(|step| state.status(&step.id) == status).count();
    let mut out = format!("{} of {} steps done", count(StepStatus::Done), runbook.steps().count());
    for status in [
        StepStatus::Skipped,
        StepStatus::Left,
        StepStatus::Failed,
        StepStatus::Broke,
        StepStatus::InDoubt,
        StepStatus::Undone,
        StepStatus::UndoFailed,
        StepStatus::UndoSkipped,
    ] {
        match count(status.clone()) {
            0 => {}
            n => out.push_str(&format!(" · {n} {}", words::status(&status))),
        }
    }
    let end = state.ended.as_ref().map_or(state.at, |(_, _, at)| *at);
    out + &format!(" · {}", words::duration(end.ms.saturating_sub(state.opened_at.ms)))
}

/// The effects of a run that failed: nothing took them back.
fn left_behind(state: &RunState, runbook: &Runbook) -> Option<String> {
    let failed = matches!(state.ended, Some((End::Failed, ..)));
    let counts = |id: &&StepId| runbook.step(id).is_none_or(|step| step.changes());
    // Whose undo was skipped is no longer to be undone, but may still be there.
    let given_up = state.steps.iter().filter(|(_, run)| run.status == StepStatus::UndoSkipped).map(|(id, _)| id);
    let left = state.completed.iter().chain(given_up).filter(counts);
    let names: Vec<String> = left.map(|id| words::name(&id.0)).collect();
    if !failed || names.is_empty() {
        return None;
    }
    Some(format!("{} (done and not undone)", names.join(", ")))
}
