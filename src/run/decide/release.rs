//! What going on means for a held run: some holds end by it, some want another decision.

use super::super::event::{End, Event, HoldCause};
use super::super::triggers;
use super::{Desk, Ruling};

impl Desk<'_> {
    /// Lets a held run go on, where what holds it leaves that to a person.
    pub(super) fn release(self) -> Ruling {
        let Some(hold) = &self.state.hold else { return Err("the run is not held".to_owned()) };
        match &hold.cause {
            HoldCause::InDoubt { attempt } => {
                return Err(format!("the outcome of {attempt} is not known: settle it first"));
            }
            HoldCause::Step { step } => return Err(format!("step {step} failed: retry it, skip it, or roll back")),
            HoldCause::Coverage { phase, .. } => {
                return Err(format!("phase {phase} was not seen well enough: sign it off with a reason, or roll back"));
            }
            HoldCause::Breached { phase, trigger, .. } if self.still_breached(trigger) => {
                return Err(format!(
                    "what {trigger} looks for is still true: sign phase {phase} off with a reason, or roll back"
                ));
            }
            HoldCause::Undo { attempt } => return Err(format!("{attempt} failed: retry it, or skip it with a reason")),
            // A later engine has found room.
            HoldCause::JournalFull {} if self.state.engine.as_ref().is_some_and(|engine| hold.at >= engine.since) => {
                return Err("the journal's disk is full: make room, let go (q), then resume".to_owned());
            }
            HoldCause::Criteria { criteria } => {
                let reason = format!("accepted by {} with criteria not met: {}", self.by, criteria.join(", "));
                return Ok(vec![Event::Released { by: self.by }, Event::RunEnded { end: End::Failed, reason }]);
            }
            _ => {}
        }
        Ok(vec![Event::Released { by: self.by }])
    }

    fn still_breached(&self, trigger: &str) -> bool {
        let trigger = self.book.trigger(trigger);
        trigger.is_some_and(|trigger| triggers::still_breached(self.book, self.state, trigger, self.now))
    }
}
