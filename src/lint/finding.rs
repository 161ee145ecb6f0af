//! Findings: what a rule says about a place of a runbook, for people and as data.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::rule::{Rule, Severity};
use crate::runbook::{Problem, clean, lines, picture};

/// Graphemes of a text of a finding that are shown.
const TEXT: usize = 400;
/// Findings shown in full; beyond it they are only counted.
const SHOWN: usize = 200;

/// What a finding is about: what waivers go by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    pub step: Option<String>,
    pub phase: Option<String>,
    pub probe: Option<String>,
    pub trigger: Option<String>,
    /// A file the runbook names, by its path as written.
    pub file: Option<String>,
}

/// The waiver that answers for a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waived {
    pub reason: String,
    /// 1-based line of the waiver.
    pub line: u32,
}

/// A rule that a place of the runbook breaks.
#[derive(Clone, Debug)]
pub struct Finding {
    pub rule: &'static Rule,
    /// The place, the message, and as its hint the rule's recipe.
    pub problem: Problem,
    pub subject: Subject,
    pub waived: Option<Waived>,
}

/// Everything that was found in one runbook, in the order of its files.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    pub list: Vec<Finding>,
    /// Texts of the files that findings point into, by the names that they use.
    pub(super) texts: BTreeMap<String, String>,
}

impl Findings {
    /// Those that nobody answers for.
    pub fn open(&self) -> impl Iterator<Item = &Finding> {
        self.list.iter().filter(|finding| finding.waived.is_none())
    }

    pub fn count(&self, severity: Severity) -> usize {
        self.open().filter(|finding| finding.rule.severity == severity).count()
    }

    pub fn waived(&self) -> usize {
        self.list.len() - self.open().count()
    }

    /// `2 errors, 1 warning, 3 waived`; empty where there is nothing.
    pub fn summary(&self) -> String {
        let severities = [Severity::Error, Severity::Warning, Severity::Note];
        let counted = severities.map(|one| (self.count(one), one.word()));
        let mut parts: Vec<String> = counted
            .iter()
            .filter(|(n, _)| *n > 0)
            .map(|(n, word)| format!("{n} {word}{}", if *n == 1 { "" } else { "s" }))
            .collect();
        if self.waived() > 0 {
            parts.push(format!("{} waived", self.waived()));
        }
        parts.join(", ")
    }

    /// As a compiler shows it. `least`: nothing below that. Waived findings are a line each, with the reason.
    pub fn render(&self, color: bool, least: Severity) -> String {
        let mut out = String::new();
        let open = self.open().filter(|finding| finding.rule.severity >= least);
        for finding in open.take(SHOWN) {
            let text = self.texts.get(&finding.problem.file);
            let tone = finding.rule.severity.tone();
            out.push_str(&picture(tone, Some(finding.rule.id), &finding.problem, text, color));
            out.push_str("\n\n");
        }
        let waived = self.list.iter().filter_map(|finding| Some((finding, finding.waived.as_ref()?)));
        for (finding, waived) in waived.filter(|(finding, _)| finding.rule.severity >= least) {
            let Problem { file, line, .. } = &finding.problem;
            let place = format!("{}:{line}", clean::line(file, TEXT));
            out.push_str(&format!("waived[{}]: {place}: {}\n", finding.rule.id, clean::line(&waived.reason, TEXT)));
        }
        out
    }

    /// A list of objects: `rule`, `severity`, `file`, `line`, `column`, `end_line`, `end_column` (1-based, in characters; 0
    /// where a whole file is meant), `message`, `recipe`, `waived` (`{"reason", "line"}` or null). Texts cleaned.
    pub fn to_json(&self) -> Value {
        let ends = Ends::of(self);
        self.list.iter().map(|finding| Self::one(finding, &ends)).collect()
    }

    fn one(finding: &Finding, ends: &Ends<'_>) -> Value {
        let problem = &finding.problem;
        let (end_line, end_column) = ends.end(problem);
        let waived = finding.waived.as_ref();
        json!({
            "rule": finding.rule.id,
            "severity": finding.rule.severity.word(),
            "file": clean::line(&problem.file, TEXT),
            "line": problem.line,
            "column": problem.column,
            "end_line": end_line,
            "end_column": end_column,
            "message": clean::line(&problem.message, TEXT),
            "recipe": clean::line(&problem.hint, TEXT),
            "waived": waived.map(|one| json!({ "reason": clean::line(&one.reason, TEXT), "line": one.line })),
        })
    }
}

/// Where places end: the lines of each file that findings point into are found once.
pub(super) struct Ends<'f>(BTreeMap<&'f str, (&'f str, Vec<usize>)>);

impl<'f> Ends<'f> {
    pub fn of(findings: &'f Findings) -> Self {
        let named: BTreeSet<&str> = findings.list.iter().map(|finding| finding.problem.file.as_str()).collect();
        let texts = findings.texts.iter().filter(|(file, _)| named.contains(file.as_str()));
        Self(texts.map(|(file, text)| (file.as_str(), (text.as_str(), lines(text)))).collect())
    }

    /// 1-based line and column (in characters) behind the last byte of a problem's place; 0, 0 where a file is meant.
    pub fn end(&self, problem: &Problem) -> (u32, u32) {
        let Some((text, starts)) = self.0.get(problem.file.as_str()).filter(|_| problem.line > 0) else {
            return (0, 0);
        };
        let end = problem.span.end.min(text.len());
        let line = starts.partition_point(|start| *start <= end);
        let start = line.checked_sub(1).and_then(|n| starts.get(n)).copied().unwrap_or(0);
        let column = text.get(start..end).unwrap_or_default().chars().count() + 1;
        (u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX))
    }
}
