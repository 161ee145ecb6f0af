//! A failure told whole: what, where (with a caret under the place), what is safe, what is known to help.

use ratatui::text::Line;

use crate::run::clean;
use crate::run::event::{Resolved, Statement};
use crate::run::facts::{Effect, Fault};
use crate::tui::model::Model;
use crate::tui::text;
use crate::tui::theme::Ink;

pub fn lines(
    model: &Model,
    word: &str,
    fault: &Fault,
    resolved: Option<&Resolved>,
    width: usize,
) -> Vec<Line<'static>> {
    let mut out = Vec::new();
    let mut say = |ink: Ink, label: &str, words: &str| {
        let head = if label.is_empty() { " ".to_owned() } else { format!(" {label}: ") };
        let indent = text::width(&head);
        for (n, part) in text::wrap(words, width.saturating_sub(indent)).into_iter().enumerate() {
            let head = if n == 0 { head.clone() } else { " ".repeat(indent) };
            out.push(Line::styled(format!("{head}{part}"), model.look.style(ink)));
        }
    };
    let state = fault.sqlstate.as_ref().map_or(String::new(), |state| format!("{} ", clean::line(state, 10)));
    say(Ink::Bad, &format!("✖ {word}"), &format!("{state}{}", clean::line(&fault.summary, 1_000)));
    let place = clean::line(&fault.place, 200);
    match (fault.statement, place.is_empty()) {
        (Some(n), true) => say(Ink::Dim, "at", &format!("statement {n}")),
        (Some(n), false) => say(Ink::Dim, "at", &format!("{place}, statement {n}")),
        (None, false) => say(Ink::Dim, "at", &place),
        (None, true) => {}
    }
    if let Some((source, caret)) = caret(fault, resolved, width) {
        say(Ink::Text, "", &source);
        say(Ink::Bad, "", &caret);
    }
    for (label, words) in [("detail", &fault.detail), ("hint", &fault.hint)] {
        if let Some(words) = words {
            say(Ink::Text, label, clean::block(words).trim_end());
        }
    }
    if fault.effect == Effect::Possible {
        say(Ink::Warn, "careful", "all or part of it may have happened");
    }
    if !fault.safe.is_empty() {
        say(Ink::Good, "safe", &clean::line(&fault.safe, 600));
    }
    if let Some((cause, fix)) = &fault.trouble {
        say(Ink::Strong, "known cause", &clean::line(cause, 600));
        say(Ink::Strong, "what helps", &clean::line(fix, 600));
    }
    out
}

/// The line of SQL that failed and the caret under the character, both cut to the same window.
fn caret(fault: &Fault, resolved: Option<&Resolved>, width: usize) -> Option<(String, String)> {
    let Some(Resolved::Sql { statements, .. }) = resolved else {
        return None;
    };
    let statement: &Statement = statements.get((fault.statement? as usize).checked_sub(1)?)?;
    let at = (fault.position? as usize).checked_sub(1)?;
    let before: String = statement.sql.chars().take(at).collect();
    let start = before.rfind('\n').map_or(0, |n| n + 1);
    let head = clean::line(&before[start..], usize::MAX);
    let rest: String = statement.sql.chars().skip(at).take_while(|c| *c != '\n').collect();
    let tail = clean::line(rest.trim_end(), 2_000);
    let number = format!("{} │ ", statement.line as usize + before.matches('\n').count());
    let room = width.saturating_sub(text::width(&number) + 1).max(8);
    // Far to the right: show the end of what comes before, so that the caret stays in sight.
    let (head, shift) = if text::width(&head) + text::width(&tail) > room && text::width(&head) > room * 2 / 3 {
        (end_of(&head, room / 3), 1)
    } else {
        (head, 0)
    };
    let head = if shift == 1 { format!("…{head}") } else { head };
    let column = text::width(&number) + text::width(&head);
    let source = format!("{number}{}", text::cut(&format!("{head}{tail}"), room));
    Some((source, format!("{}^", " ".repeat(column))))
}

/// The last `columns` columns of a text.
fn end_of(text: &str, columns: usize) -> String {
    let mut out: Vec<char> = Vec::new();
    for c in text.chars().rev() {
        let more: String = out.iter().rev().collect();
        if text::width(&more) >= columns {
            break;
        }
        out.push(c);
    }
    out.into_iter().rev().collect()
}
