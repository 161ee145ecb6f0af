//! Waivers: which findings the author answers for, and waivers that answer for nothing.

use super::desk::Desk;
use super::finding::{Finding, Subject, Waived};
use super::rule::{Rule, rules};
use crate::runbook::{Seg, Waiver, WaiverScope, nearest};

pub(super) static RULES: &[&Rule] = &[&UNUSED];

static UNUSED: Rule = Rule::warning(
    "waiver-unused",
    "a waiver that matches no finding hides a mistake that may come later, or names the wrong thing",
    "remove it, or name the rule and the step, phase, probe, trigger or file that the finding is about",
);

/// Marks what is waived, and adds a finding for each waiver that matches none.
pub(super) fn apply(desk: &Desk<'_>, findings: &mut Vec<Finding>) {
    let waivers = &desk.book.waivers;
    let mut used = vec![false; waivers.len()];
    for finding in findings.iter_mut() {
        for (waiver, used) in waivers.iter().zip(&mut used) {
            if covers(waiver, finding) {
                *used = true;
                finding.waived = Some(Waived { reason: waiver.reason.clone(), line: waiver.line });
            }
        }
    }
    for (n, waiver) in waivers.iter().enumerate().filter(|(n, _)| !used[*n]) {
        let spot = desk.spot(&[Seg::Key("waive"), Seg::Nth(n)], "rule");
        findings.extend(desk.finding(&UNUSED, &Subject::default(), &spot, words(waiver)));
    }
}

fn covers(waiver: &Waiver, finding: &Finding) -> bool {
    let Subject { step, phase, probe, trigger, file } = &finding.subject;
    let is = |name: &String, subject: &Option<String>| subject.as_ref() == Some(name);
    waiver.rule == finding.rule.id
        && match &waiver.scope {
            WaiverScope::Runbook => true,
            WaiverScope::Step(name) => is(name, step),
            WaiverScope::Phase(name) => is(name, phase),
            WaiverScope::Probe(name) => is(name, probe),
            WaiverScope::Trigger(name) => is(name, trigger),
            WaiverScope::File(name) => is(name, file),
        }
}

fn words(waiver: &Waiver) -> String {
    let ids: Vec<&str> = rules().iter().map(|rule| rule.id).collect();
    if ids.contains(&waiver.rule.as_str()) {
        let scope = waiver.scope.words();
        let about = if scope.is_empty() { String::new() } else { format!(" about {scope}") };
        return format!("`{}` finds nothing{about} that could be waived", waiver.rule);
    }
    let meant = nearest(&waiver.rule, ids).map_or(String::new(), |id| format!("; `{id}`?"));
    format!("there is no rule `{}`{meant}", waiver.rule)
}
