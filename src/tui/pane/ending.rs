//! The end of a run on one page: how it ended, what was done, which criteria hold, what remains to be done.

use ratatui::text::{Line, Span};

use crate::run::clean;
use crate::run::describe::duration;
use crate::run::event::End;
use crate::run::state::StepStatus;
use crate::run::words;
use crate::tui::model::Model;
use crate::tui::text;
use crate::tui::theme::{self, Ink};
use crate::tui::view::next;

pub fn lines(model: &Model, width: usize) -> Vec<Line<'static>> {
    let Some((end, reason, at)) = &model.state.ended else {
        return Vec::new();
    };
    let look = model.look;
    let mut out = Vec::new();
    let mut say = |ink: Ink, glyph: &str, words: &str| {
        for (n, part) in text::wrap(words, width.saturating_sub(5)).into_iter().enumerate() {
            let sign = if n == 0 { glyph } else { "" };
            out.push(Line::from(vec![
                Span::styled(format!(" {} ", text::left(sign, 1)), look.style(ink)),
                Span::styled(part, look.style(if ink == Ink::Good { Ink::Text } else { ink })),
            ]));
        }
    };
    let (ink, glyph, word) = match end {
        End::Done => (Ink::Good, "✔", "DONE"),
        End::Failed => (Ink::Bad, "✖", "FAILED"),
        End::RolledBack => (Ink::Warn, "↩", "ROLLED BACK"),
    };
    let reason = clean::line(reason, 600);
    let gap = if reason.is_empty() { "" } else { ": " };
    say(ink, glyph, &format!("{word} after {}{gap}{reason}", duration(at.ms)));
    say(Ink::Text, "", &counts(model));
    if !model.runbook.criteria.is_empty() {
        say(Ink::Text, "", "");
        say(Ink::Strong, "", "What was to be true at the end");
    }
    for criterion in &model.runbook.criteria {
        let (ink, glyph, detail) = match model.state.criteria.get(&criterion.id) {
            Some((Some(true), detail)) => (Ink::Good, "✔", detail.as_str()),
            Some((Some(false), detail)) => (Ink::Bad, "✖", detail.as_str()),
            Some((None, detail)) => (Ink::Warn, "?", detail.as_str()),
            None => (Ink::Dim, "○", "not judged"),
        };
        let title = clean::line(&criterion.title, 200);
        say(ink, glyph, &format!("{title}: {}", clean::line(detail, 400)));
    }
    let idle = words::no_followups(&model.state);
    if !model.runbook.followups.is_empty() {
        say(Ink::Text, "", "");
        let title = if idle.is_none() { "What remains to be done" } else { "Follow-ups" };
        say(Ink::Strong, "", title);
    }
    for followup in &model.runbook.followups {
        let title = clean::line(&followup.title, 200);
        match &idle {
            Some(why) => say(Ink::Dim, "–", &format!("{title}: {why}")),
            None => {
                let due = duration(followup.due.as_millis() as u64);
                say(Ink::Text, "○", &format!("{title} (due {due} after the window)"));
            }
        }
    }
    say(Ink::Text, "", "");
    say(Ink::Text, "", &format!("gonogo report {} tells all of it.", next::run_id(model)));
    out
}

/// `9 steps done, 1 skipped, 2 undone`.
fn counts(model: &Model) -> String {
    use StepStatus::{Broke, Done, Failed, InDoubt, Left, Pending, Skipped, UndoFailed, UndoSkipped, Undone};
    let statuses = || model.runbook.steps().map(|step| model.state.status(&step.id));
    let counted: Vec<String> = [Done, Skipped, Left, Failed, Broke, InDoubt, Undone, UndoFailed, UndoSkipped, Pending]
        .into_iter()
        .map(|wanted| (statuses().filter(|status| *status == wanted).count(), wanted))
        .filter(|(count, _)| *count > 0)
        .map(|(count, status)| format!("{count} {}", theme::word(&status)))
        .collect();
    format!("steps: {}", counted.join(", "))
}
