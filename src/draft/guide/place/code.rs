//! What stands in fences: statements and commands become steps, trees checklists.

use super::super::book::Verb;
use super::super::fence::{self, Unit, Work};
use super::super::words::{self, Topic};
use super::super::{answers, byhand, place::options};
use super::{DECIDED, EXPLAINS, Placer, is_sql};
use crate::draft::fit::fit;
use crate::draft::query;
use crate::runbook::sql::{self, Dialect};

impl Placer<'_> {
    pub(super) fn code(&mut self, language: &str, numbers: Vec<usize>, expecting: bool) {
        let (Some(first), Some(last)) = (numbers.first(), numbers.last()) else { return };
        let all: Vec<(usize, &str)> = (*first..=*last).filter_map(|n| Some((n, *self.lines.get(n - 1)?))).collect();
        match self.topic() {
            // What is done later is not done in the window.
            Topic::Followup(hours) => {
                let lead = self.lead.take();
                let text: Vec<&str> = all.iter().map(|(_, line)| *line).collect();
                let text = lead.iter().map(|(words, _)| words.as_str()).chain(text).collect::<Vec<_>>().join("\n");
                let lines = lead.into_iter().flat_map(|(_, lines)| lines).chain(numbers);
                return self.later(hours, text, lines.collect());
            }
            Topic::Explains => return self.leave(&numbers, "it stands where the guide explains: is it to be done?"),
            _ => {}
        }
        if expecting && !matches!(language, "sql" | "bash" | "sh" | "shell") {
            let text: Vec<&str> = all.iter().map(|(_, line)| *line).collect();
            return self.expected(text.join("\n"), &numbers);
        }
        match (language, fence::looks_like(&all)) {
            (name, _) if is_sql(name) => self.units(fence::sql_units(&all)),
            ("", "sql") => self.units(fence::sql_units(&all)),
            ("bash" | "sh" | "shell" | "zsh" | "console", _) | ("", "shell") => self.units(fence::shell_units(&all)),
            ("" | "text" | "txt" | "plain", _) if !self.asks_nothing() => self.tree(&all),
            ("" | "text" | "txt" | "plain", _) => self.leave(&numbers, EXPLAINS),
            (other, _) => self.leave(&numbers, &format!("a fence of `{other}`: neither SQL nor a shell")),
        }
    }

    /// A plain fence: lines with the signs of a tree, or ticks, are items; lines without begin a group.
    fn tree(&mut self, all: &[(usize, &str)]) {
        const SIGNS: [char; 12] = ['│', '├', '└', '─', '|', '+', '-', '*', '•', '`', ' ', '\t'];
        let is_item =
            |line: &str| line.trim_start().starts_with(SIGNS) || words::unticked(line).0.len() < line.trim().len();
        if !all.iter().any(|(_, line)| is_item(line)) {
            let text: Vec<&str> = all.iter().map(|(_, line)| *line).collect();
            let lines = all.iter().filter(|(_, line)| !line.trim().is_empty()).map(|(n, _)| *n).collect();
            let name = self.name();
            return self.add(name.clone(), Verb::Checklist(vec![name]), lines, vec![text.join("\n")]);
        }
        let mut group: Option<(String, usize)> = None;
        for (n, line) in all.iter().filter(|(_, line)| line.contains(char::is_alphanumeric)) {
            let (text, ticked) = words::unticked(line.trim_matches(SIGNS));
            if ticked {
                self.book.ticks.push(*n);
            }
            if self.topic() == Topic::GoNoGo && words::decided(&text) {
                self.leave(&[*n], DECIDED);
                continue;
            }
            if is_item(line) && !text.ends_with(':') {
                self.items.push((text, vec![*n]));
            } else {
                let before = group.replace((text, *n));
                self.flush_items(before);
            }
        }
        self.flush_items(group);
    }

    fn units(&mut self, units: Vec<Unit>) {
        let mut warns = false;
        for mut unit in units {
            // A warning holds for what follows it, up to the next words; behind one stands how to do it.
            let warning = unit.lead.iter().rposition(|line| words::is_warning(line));
            let advice = unit.lead.iter().rposition(|line| words::is_advice(line)).filter(|at| warning < Some(*at));
            warns = if unit.lead.is_empty() { warns } else { warning.is_some() && advice.is_none() };
            if let (Some(_), Some(at)) = (warning, advice) {
                unit.lead[..=at].rotate_right(1);
            }
            match warns {
                true => self.leave(&unit.lines, "an example of what not to do"),
                false => self.unit(unit),
            }
        }
    }

    fn unit(&mut self, mut unit: Unit) {
        if self.last.is_some() && unit.lead.first().is_some_and(|words| options::is_other(words)) {
            return self.keep_aside(&unit.lines);
        }
        if let Some((words, lines)) = self.lead.take() {
            let (words, says) = answers::parted(&words);
            unit.expected.extend(says.map(str::to_owned));
            unit.lead.insert(0, words.to_owned());
            unit.lines.extend(lines);
        }
        let mut help: Vec<String> =
            unit.lead.iter().skip(1).chain(&unit.said).filter(|words| !words.is_empty()).cloned().collect();
        // A tick before a statement would stand as an answer in the step's title.
        let said = unit.lead.first().map(|words| words::unticked(words).0);
        let said = said.filter(|words| words.contains(char::is_alphanumeric));
        let (mut outside, mut asks) = (false, false);
        let verb = match unit.work {
            Work::Left(why) => return self.leave(&unit.lines, &why),
            Work::Note => {
                let name = self.name();
                help.insert(0, said.unwrap_or_else(|| name.clone()));
                return self.add(name.clone(), Verb::Checklist(vec![name]), unit.lines, help);
            }
            Work::Prose(items) => Verb::Checklist(items.into_iter().map(|(text, _)| text).collect()),
            Work::Shell(text) => match byhand::why(&text) {
                Some(why) => {
                    help.insert(0, text);
                    Verb::Checklist(vec![why.to_owned()])
                }
                None => Verb::Shell(text),
            },
            Work::File(path) => match (self.read)(&path).map(|text| fit(&text).map(|fit| (fit, query::asks(&text)))) {
                Some(Ok((fit, asked))) => {
                    (outside, asks) = (fit.alone, asked);
                    match fit.without {
                        Some(text) => {
                            help.push(format!("{path} without its BEGIN and COMMIT: gonogo begins and commits"));
                            Verb::Sql(text)
                        }
                        None => Verb::File(path),
                    }
                }
                Some(Err(why)) => return self.leave(&unit.lines, &format!("{path}: {}", why.message)),
                None => Verb::Psql(path),
            },
            Work::Sql(text) => match fit(&text) {
                Ok(fit) => {
                    (outside, asks) = (fit.alone, query::asks(&text));
                    Verb::Sql(fit.without.unwrap_or(text))
                }
                Err(why) => return self.leave(&unit.lines, &why.message),
            },
        };
        let before = self.said.last().and_then(|(text, _)| answers::parted(text).1.map(str::to_owned));
        let title = said.unwrap_or_else(|| match self.led() {
            Some((text, lines)) => {
                unit.lines.extend(lines);
                text
            }
            None => self.called(&verb),
        });
        let expect = unit
            .expected
            .iter()
            .chain(&before)
            .find_map(|words| words::expectation(words))
            .filter(|_| reads_once(&verb));
        help.extend(unit.expected);
        self.add(title, verb, unit.lines, help);
        if let Some(step) = self.last_step() {
            step.expect = expect;
            (step.asks, step.outside) = (asks, outside);
        }
    }
}

/// One query, whose answer an expectation can be about.
pub(super) fn reads_once(verb: &Verb) -> bool {
    let Verb::Sql(text) = verb else { return false };
    sql::split(text, Dialect::Postgres).is_ok_and(|pieces| pieces.len() == 1) && sql::only_reads(text)
}
