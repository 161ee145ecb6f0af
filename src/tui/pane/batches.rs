//! A step in batches at work: how far it is, as a bar and in numbers, and why it waits.

use crate::run::Batches;
use crate::run::describe::duration;
use crate::run::state::StepRun;
use crate::tui::model::Model;
use crate::tui::theme::{self, Ink};

/// Columns of the bar.
const BAR: usize = 24;
/// Below this width there is no bar.
const NARROW: usize = 40;

pub fn lines(
    model: &Model,
    batches: &Batches,
    sign: &str,
    run: &StepRun,
    width: usize,
    say: &mut dyn FnMut(Ink, &str),
) {
    let mut head = vec![format!("{sign} {}", theme::word(&run.status))];
    if let Some(share) = batches.percent() {
        let bar = (width >= NARROW).then(|| bar(batches.permille.unwrap_or(0), model.look.ascii));
        head.push(bar.into_iter().chain([share]).collect::<Vec<_>>().join(" "));
    }
    head.push(match (batches.left(), batches.throttled) {
        (Some(left), _) => left,
        (None, true) => "waits".to_owned(),
        (None, false) => "time left not known yet".to_owned(),
    });
    say(Ink::Active, &head.join(" · "));
    let elapsed = run.took_ms(model.now.ms.max(model.state.at.ms)).unwrap_or(0).max(batches.ms);
    let mut counts = batches.counts();
    counts.push(format!("{} so far", duration(elapsed)));
    if run.cancel_asked {
        counts.push("cancel asked".to_owned());
    }
    say(Ink::Text, &counts.join(" · "));
    if let Some(pause) = batches.pause() {
        say(Ink::Warn, &pause);
    }
}

/// Full only where all of it is done.
fn bar(permille: u16, ascii: bool) -> String {
    let full = usize::from(permille.min(1_000)) * BAR / 1_000;
    let (done, open) = if ascii { ("#", ".") } else { ("█", "░") };
    done.repeat(full) + &open.repeat(BAR - full)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_full_at_the_end_only() {
        assert_eq!(bar(0, true), ".".repeat(BAR));
        assert_eq!(bar(999, true), format!("{}.", "#".repeat(BAR - 1)));
        assert_eq!(bar(1_000, false), "█".repeat(BAR));
        assert_eq!(bar(u16::MAX, true).len(), BAR);
    }
}
