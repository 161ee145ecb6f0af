//! The command palette: every action by name with its key, and every step; disabled ones say why.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};

use super::field::{Field, Rule};
use crate::run::clean;
use crate::runbook::StepId;
use crate::tui::keymap::{Action, BINDINGS, Binding, key_name, name};
use crate::tui::model::Model;
use crate::tui::offer::{Offer, offer};
use crate::tui::view;

#[derive(Clone, Debug)]
pub struct Palette {
    pub field: Field,
    pub chosen: usize,
}

/// What a line of the palette does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    Act(Action),
    Show(StepId),
}

#[derive(Clone, Debug)]
pub struct Line {
    pub target: Target,
    pub key: String,
    pub name: String,
    /// The consequence, or why it cannot be had.
    pub words: String,
    pub enabled: bool,
}

pub enum Answer {
    Stay,
    Back,
    Run(Target),
}

impl Palette {
    pub fn new() -> Self {
        Self { field: Field::new("command", Rule::Free), chosen: 0 }
    }

    pub fn key(&mut self, model: &Model, key: KeyEvent) -> Answer {
        let ctrl = key.modifiers.contains(KeyModifiers::CONTROL);
        let lines = self.lines(model);
        match key.code {
            KeyCode::Esc => return Answer::Back,
            KeyCode::Char('c') if ctrl => return Answer::Back,
            KeyCode::Up => self.chosen = self.chosen.saturating_sub(1),
            KeyCode::Down => self.chosen = (self.chosen + 1).min(lines.len().saturating_sub(1)),
            KeyCode::PageUp => self.chosen = self.chosen.saturating_sub(8),
            KeyCode::PageDown => self.chosen = (self.chosen + 8).min(lines.len().saturating_sub(1)),
            KeyCode::Enter => {
                return match lines.into_iter().nth(self.chosen) {
                    Some(line) if line.enabled => Answer::Run(line.target),
                    _ => Answer::Stay,
                };
            }
            _ => {
                self.field.key(key);
                self.chosen = 0;
            }
        }
        Answer::Stay
    }

    /// The lines that match what is typed, best first.
    pub fn lines(&self, model: &Model) -> Vec<Line> {
        let all = all(model);
        let typed = self.field.text();
        if typed.is_empty() {
            return all;
        }
        let mut matcher = Matcher::new(Config::DEFAULT);
        let pattern = Pattern::parse(&typed, CaseMatching::Ignore, Normalization::Smart);
        let mut buffer = Vec::new();
        let mut scored: Vec<(u32, Line)> = all
            .into_iter()
            .filter_map(|line| {
                let hay = format!("{} {}{}", line.name, line.words, also(&line.target));
                let score = pattern.score(Utf32Str::new(&hay, &mut buffer), &mut matcher)?;
                Some((score, line))
            })
            .collect();
        scored.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
        scored.into_iter().map(|(_, line)| line).collect()
    }
}

/// Other words by which a command is looked for.
fn also(target: &Target) -> &'static str {
    match target {
        Target::Act(Action::Abandon) => " give up, end the run here, abort, abandon, stop, cancel the run",
        Target::Act(Action::Rollback) => " undo, revert, go back",
        Target::Act(Action::Hold) => " pause, go on, resume",
        Target::Act(_) | Target::Show(_) => "",
    }
}

fn all(model: &Model) -> Vec<Line> {
    let mut lines: Vec<Line> = BINDINGS.iter().filter_map(|row| action_line(model, row)).collect();
    // What can be done comes first; the order of the table is kept within.
    lines.sort_by_key(|line| !line.enabled);
    lines.extend(model.runbook.steps().map(|step| Line {
        target: Target::Show(step.id.clone()),
        key: String::new(),
        name: format!("go to {}", clean::line(view::title(step), 60)),
        words: format!("shows step {}", clean::line(&step.id.0, 40)),
        enabled: true,
    }));
    lines
}

fn action_line(model: &Model, row: &Binding) -> Option<Line> {
    if matches!(row.action, Action::Palette | Action::SeekTenth) {
        return None;
    }
    let (words, enabled) = match offer(row.action, model) {
        Offer::Yes(words) => (words, true),
        Offer::No(why) => (why, false),
        Offer::Absent => return None,
    };
    Some(Line {
        target: Target::Act(row.action),
        key: key_name(model, row).unwrap_or_default(),
        name: name(model, row),
        words,
        enabled,
    })
}
