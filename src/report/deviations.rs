//! Which entries say that a run was not as its runbook says.

use super::model::Deviation;
use crate::run::event::{HoldCause, Rehearsed, Resolved};
use crate::run::{Entry, Event, remedy, words};

/// `silence`: milliseconds since the entry before; none while no engine has had the run yet.
pub fn of(entry: &Entry, silence: Option<u64>) -> Option<Deviation> {
    let blank = Deviation {
        seq: entry.seq,
        at: entry.at.wall,
        what: "",
        step: None,
        by: String::new(),
        reason: String::new(),
        before: None,
        after: None,
    };
    about_step(&entry.event, &blank).or_else(|| about_run(&entry.event, &blank, silence))
}

fn about_step(event: &Event, blank: &Deviation) -> Option<Deviation> {
    let one = |what, step: &str, by: &str, reason: &str| Deviation {
        what,
        step: Some(step.to_owned()),
        by: by.to_owned(),
        reason: reason.to_owned(),
        ..blank.clone()
    };
    Some(match event {
        Event::StepSkipped { step, by, reason } => one("skipped", &step.0, by, reason),
        Event::SqlEdited { step, before, after, by } => {
            Deviation { before: Some(before.clone()), after: Some(after.clone()), ..one("edited", &step.0, by, "") }
        }
        Event::StepStarted { attempt, by, resolved } if attempt.n > 1 => {
            let reason = format!("{} attempt {}", words::direction(attempt.direction), attempt.n);
            match resolved {
                Resolved::Sql { statements, .. } if remedy::fixing(resolved) > 0 => {
                    let fix = statements.iter().take(remedy::fixing(resolved) as usize).map(|one| one.sql.as_str());
                    let sent = format!("{reason}, ahead of it: {}", fix.collect::<Vec<_>>().join("; "));
                    one("fixed and retried", &attempt.step.0, by, &sent)
                }
                _ => one("retried", &attempt.step.0, by, &reason),
            }
        }
        Event::Settled { attempt, claim, by, reason } => {
            let reason = format!("said to be {}: {reason}", words::claim(*claim));
            one("settled by claim", &attempt.step.0, by, &reason)
        }
        Event::CancelAsked { attempt, by } => one("cancelled", &attempt.step.0, by, ""),
        Event::BatchRetuned { attempt, from, to, by } => one("retuned", &attempt.step.0, by, &from.change(to)),
        Event::LeftoverAsked { attempt, by, .. } => one("cancelled on the server", &attempt.step.0, by, ""),
        _ => return None,
    })
}

fn about_run(event: &Event, blank: &Deviation, silence: Option<u64>) -> Option<Deviation> {
    let one = |what, by: &str, reason: &str| Deviation {
        what,
        by: by.to_owned(),
        reason: reason.to_owned(),
        ..blank.clone()
    };
    Some(match event {
        Event::RunOpened(opened) if opened.unrehearsed.is_some() => {
            one("not rehearsed", &opened.by, opened.unrehearsed.as_deref().unwrap_or_default())
        }
        Event::RunOpened(opened) => {
            let otherwise = opened.rehearsed.as_ref().and_then(Rehearsed::otherwise)?;
            one("rehearsed with other values", &opened.by, &otherwise)
        }
        Event::PhaseLeft { phase, early: Some((by, reason)) } => {
            one("signed off early", by, &format!("phase {phase}: {reason}"))
        }
        Event::CountdownStopped { trigger, by } => one("countdown stopped", by, &format!("trigger {trigger}")),
        Event::EngineStopped { by, reason } => one("interrupted", by, reason),
        Event::EngineStarted { by, host, pid, .. } => {
            let silence = words::duration(silence?);
            let blind = format!("nothing was written for {silence} before: no probe seen, no trigger judged");
            one("taken up again", by, &format!("on {host}, pid {pid}; {blind}"))
        }
        Event::Gap { ms } => one("stood still", "", &format!("nobody watched for {}", words::duration(*ms))),
        Event::Held { cause: HoldCause::Coverage { phase, missed }, by } => {
            one("not seen well enough", by, &format!("phase {phase}: {missed}"))
        }
        Event::Held { cause: HoldCause::Breached { phase, trigger, unjudged }, by } => {
            let what = if *unjudged { "breached, and not judged yet" } else { "still breached" };
            one(what, by, &format!("phase {phase}: trigger {trigger}, when its time was over"))
        }
        Event::Told { channel, tell, error: Some(error), .. } => {
            one("not told", "", &format!("{channel}, {}: {error}", tell.word()))
        }
        Event::TargetLost { target, error } => one("target lost", "", &format!("{target}: {error}")),
        Event::TargetOwned { target, owner, .. } => one("another owner", "", &format!("{target}: {owner}")),
        Event::TakenOver { target, owner, by } => one("taken over", by, &format!("{target}: {owner}")),
        Event::AdvanceSet { auto: true, by } => one("advance by itself", by, "steps start without a confirm"),
        _ => return None,
    })
}
