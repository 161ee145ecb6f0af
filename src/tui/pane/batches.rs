//! A step in batches at work: how far it is, as a bar and in numbers, and why it waits.

use super::result;
use crate::run::Batches;
use crate::run::describe::duration;
use crate::run::state::StepRun;
use crate::runbook::Step;
use crate::tui::model::Model;
use crate::tui::text;
use crate::tui::theme::Ink;
use crate::tui::view::{self, paced};

/// Columns of the bar: the most, and the fewest that say something.
const BAR: usize = 40;
const SHORTEST: usize = 8;
/// What the pane leaves free at its sides.
const MARGIN: usize = 2;

pub fn lines(
    model: &Model,
    batches: &Batches,
    sign: &str,
    (step, run): (&Step, &StepRun),
    width: usize,
    say: &mut dyn FnMut(Ink, &str),
) {
    let state = format!("{sign} {}", view::word(model, &run.status));
    let left = match (batches.left(), batches.throttled) {
        (Some(left), _) => left,
        (None, true) => "waits".to_owned(),
        (None, false) => "time left not known yet".to_owned(),
    };
    let head = match batches.percent() {
        Some(share) => {
            let rest = text::width(&format!("{state} ·  {share} · {left}")) + MARGIN;
            let bar = bar(batches.permille.unwrap_or(0), width.saturating_sub(rest).min(BAR), model.look.ascii);
            let share = if bar.is_empty() { share } else { format!("{bar} {share}") };
            format!("{state} · {share} · {left}")
        }
        None => format!("{state} · {left}"),
    };
    say(Ink::Active, &head);
    let elapsed = paced::elapsed(model, run).max(batches.ms);
    let mut counts = batches.counts();
    counts.push(format!("{} so far{}", duration(elapsed), result::beside(model, step, run)));
    if run.cancel_asked {
        counts.push("cancel asked".to_owned());
    }
    say(Ink::Text, &counts.join(" · "));
    if let Some(pause) = batches.pause() {
        say(Ink::Warn, &pause);
    }
}

/// Full only where all of it is done; nothing where there is no room for it.
fn bar(permille: u16, columns: usize, ascii: bool) -> String {
    if columns < SHORTEST {
        return String::new();
    }
    let full = usize::from(permille.min(1_000)) * columns / 1_000;
    let (done, open) = if ascii { ("#", ".") } else { ("█", "░") };
    done.repeat(full) + &open.repeat(columns - full)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_full_at_the_end_only() {
        assert_eq!(bar(0, 20, true), ".".repeat(20));
        assert_eq!(bar(999, 20, true), format!("{}.", "#".repeat(19)));
        assert_eq!(bar(1_000, BAR, false), "█".repeat(BAR));
        assert_eq!(bar(u16::MAX, 9, true).len(), 9);
        assert_eq!(bar(500, SHORTEST - 1, true), "");
    }
}
