//! Several ways of doing one thing: the first is a step, the others stand beside it as comments.

use std::sync::LazyLock;

use regex::Regex;

use super::super::book::Note;
use super::Placer;

/// Where an alternative belongs.
#[derive(Clone, Debug)]
pub(super) struct Options {
    /// The level of the headings that name them; 7 where paragraphs do.
    pub(super) level: u8,
    /// The step that the first of them became: way back, part, step.
    pub(super) first: Option<(bool, usize, usize)>,
    /// What is read now is not the first.
    pub(super) aside: bool,
}

static OPTION: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"(?i)^[^\p{Alphabetic}]*(?:option|alternative|variant|approach|method)\s+([a-z]|\d{1,2})\b\s*(?:[:.)(\-–—]|$)",
    )
    .ok()
});

/// `Option A: …`: true for the first, false for the others. None: it is none of several ways.
pub(super) fn option(text: &str) -> Option<bool> {
    let name = OPTION.as_ref()?.captures(text)?[1].to_lowercase();
    Some(matches!(name.as_str(), "a" | "1"))
}

/// True for words over another way: `Or if using PM2`, `Alternatively: …`.
pub(super) fn is_other(text: &str) -> bool {
    let plain = text.trim_start_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
    ["or if ", "or, ", "or: ", "or use ", "or using ", "or via ", "or with ", "alternatively"]
        .iter()
        .any(|start| plain.starts_with(start))
        || matches!(plain.as_str(), "or" | "or:")
}

impl Placer<'_> {
    /// Notes that one of several ways begins.
    pub(super) fn choose(&mut self, first: bool, level: u8) {
        match &mut self.options {
            Some(options) if !first => options.aside = options.first.is_some(),
            _ => self.options = first.then_some(Options { level, first: None, aside: false }),
        }
    }

    /// True while what is read is another way of doing what is a step already.
    pub(super) fn is_aside(&self) -> bool {
        self.options.as_ref().is_some_and(|options| options.aside)
    }

    /// Keeps lines of another way as a comment of the first.
    pub(super) fn keep_aside(&mut self, lines: &[usize]) {
        let place = self.options.as_ref().filter(|options| options.aside).and_then(|options| options.first);
        self.beside(place.or(self.last), lines);
    }

    fn beside(&mut self, place: Option<(bool, usize, usize)>, lines: &[usize]) {
        let texts: Vec<(usize, String)> =
            lines.iter().filter_map(|n| Some((*n, (*self.lines.get(n - 1)?).to_owned()))).collect();
        let Some((plan, part, at)) = place else { return };
        let parts = if plan { &mut self.book.plans } else { &mut self.book.phases };
        let Some(step) = parts.get_mut(part).and_then(|part| part.steps.get_mut(at)) else { return };
        let why = format!("another way of doing step `{}`: it stands there as a comment", step.id);
        match step.others.last_mut() {
            Some(note) => note.lines.extend(texts),
            None => step.others.push(Note { lines: texts }),
        }
        self.leave(lines, &why);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_are_told_from_words() {
        assert_eq!(option("Option A: Single Transaction"), Some(true));
        assert_eq!(option("Option 2 - by hand"), Some(false));
        assert_eq!(option("Options are many"), None);
        assert_eq!(option("Option a user chose"), None);
        assert!(is_other("Or if using PM2") && is_other("Alternatively, by hand"));
        assert!(!is_other("Order the tables") && !is_other("or else"));
    }
}
