//! The pace of a step in batches, changed by keys while it runs.

use super::act;
use super::dialog::field::{Field, Rule};
use super::dialog::form::Kind;
use super::keymap::Action;
use super::message::Out;
use super::model::Model;
use super::offer::Offer;
use super::theme::Ink;
use super::view;
use crate::run::{Attempt, CommandVerb, Tuning};

/// The attempt on the screen that works in batches now, and its pace.
fn running(model: &Model) -> Option<(Attempt, Tuning)> {
    let (_, run) = view::shown_step(model)?;
    let (attempt, tuning) = Tuning::running(run?)?;
    Some((attempt.clone(), tuning))
}

fn wanted(action: Action, now: Tuning) -> Tuning {
    match action {
        Action::Bigger => now.more(),
        _ => now.less(),
    }
}

/// What a key of the pace would do now.
pub fn offer(action: Action, model: &Model) -> Offer {
    let Some((_, now)) = running(model) else { return Offer::Absent };
    match action {
        Action::Retune => {
            Offer::Yes("changes the size or time of its batches, and the pause between them (asks)".to_owned())
        }
        _ if wanted(action, now) == now => Offer::No("its batches cannot be changed further that way".to_owned()),
        _ => Offer::Yes(format!("from its next batch on: {}", now.change(&wanted(action, now)))),
    }
}

pub fn act(model: &mut Model, action: Action) -> Option<Out> {
    let (attempt, from) = running(model)?;
    if action == Action::Retune {
        let (batch, pause) = from.as_typed();
        let fields = vec![
            Field::with_text("keys or time a batch", Rule::Required, &batch),
            Field::with_text("pause between them", Rule::Required, &pause),
        ];
        return act::open(model, Kind::Retune(attempt, from), Vec::new(), fields);
    }
    // It names the pace it starts from: a second press has to see what became of the first.
    if model.sent.is_some() {
        model.tell(Ink::Active, "sent already, waiting for the engine");
        return None;
    }
    let to = wanted(action, from);
    model.tell(Ink::Active, format!("asked for: {}", from.change(&to)));
    Some(act::send(model, CommandVerb::Retune { attempt, from, to }))
}

/// The words of the question.
pub fn said(now: &Tuning) -> Vec<(Ink, String)> {
    let paused = match now.pause_ms {
        0 => "without a pause".to_owned(),
        ms => format!("with a pause of {}", crate::run::describe::duration(ms)),
    };
    vec![
        (Ink::Text, format!("Now: {}, {paused}.", crate::run::retune::sizes(&now.size))),
        (
            Ink::Dim,
            "A number (2000) is a fixed size; a time (200ms) lets the size follow it. It holds from the next batch on, \
             also after a resume, and the journal says who changed it."
                .to_owned(),
        ),
    ]
}
