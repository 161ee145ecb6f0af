//! SQL of steps and probes: it splits, holds nothing that only psql knows, and nothing that cannot run where it runs.

use std::collections::BTreeSet;

use crate::runbook::parse::{Notes, Script, Wants};
use crate::runbook::sql::{self, Dialect, Finding};
use crate::runbook::{Runbook, expr};

pub(super) fn check(notes: &Notes<'_>, runbook: &Runbook) {
    for script in notes.scripts.take() {
        quotes(notes, runbook, &script);
        let mut findings = of_all(&dialects(runbook, &script), &script);
        let one = matches!(script.wants, Wants::One | Wants::Decides | Wants::Query);
        if findings.is_empty() && one {
            findings.extend(more_than_one(&script).or_else(|| writes(&script)));
        }
        for finding in findings {
            notes.within(&script.text, finding.at, finding.message, finding.hint);
        }
    }
}

/// The kinds of server it may run on; PostgreSQL where nothing is known.
fn dialects(runbook: &Runbook, script: &Script) -> BTreeSet<Dialect> {
    let within = |name: &String| script.only.is_empty() || script.only.contains(name);
    let environments = runbook.environments.iter().filter(|one| within(&one.name));
    let targets = environments.flat_map(|one| &one.targets);
    let mut all: BTreeSet<Dialect> = targets
        .filter(|(name, _)| script.target.as_ref() == Some(name))
        .map(|(_, spec)| Dialect::of(&spec.url))
        .collect();
    if all.is_empty() {
        all.insert(Dialect::Postgres);
    }
    all
}

/// What is wrong on every kind of server: what is right on one of them is left to the run.
fn of_all(dialects: &BTreeSet<Dialect>, script: &Script) -> Vec<Finding> {
    let masked = sql::mask(&script.text.text);
    let mut all = dialects.iter().map(|dialect| match script.wants {
        Wants::Fragment => sql::fragment(&masked, *dialect).into_iter().collect(),
        Wants::Statements | Wants::One | Wants::Decides | Wants::Query => {
            sql::judge(&masked, *dialect, script.transaction)
        }
    });
    let first = all.next().unwrap_or_default();
    all.fold(first, |left, right| {
        left.into_iter().filter(|one| right.iter().any(|other| other.message == one.message)).collect()
    })
}

fn more_than_one(script: &Script) -> Option<Finding> {
    let masked = sql::mask(&script.text.text);
    let pieces = sql::split(&masked, Dialect::Postgres).ok()?;
    let second = pieces.get(1)?;
    Some(Finding {
        at: second.offset..second.offset + second.sql.len(),
        message: "this asks one thing, and here is its second statement".into(),
        hint: "keep one of them".into(),
    })
}

/// A step's probe is asked at any time, also while nobody looks.
fn writes(script: &Script) -> Option<Finding> {
    let text = &script.text.text;
    let (message, hint) = match script.wants {
        Wants::Decides => (
            "the probe of a step only looks: it must be a query that writes nothing",
            "an example: probe = \"select to_regclass('public.new_table') is not null\"",
        ),
        Wants::Query => (
            "`explain` runs what it explains: it must be a query that writes nothing",
            "explain the query that finds the rows; or analyze = false, which only plans",
        ),
        _ => return None,
    };
    let finding = || Finding { at: 0..text.len(), message: message.into(), hint: hint.into() };
    (!sql::only_reads(text)).then(finding)
}

/// A text becomes a literal with quotes of its own: inside quotes it would come apart.
fn quotes(notes: &Notes<'_>, runbook: &Runbook, script: &Script) {
    let Ok(names) = expr::template_names(&script.text.text) else {
        return;
    };
    let places: Vec<usize> = names
        .emits
        .iter()
        .filter(|(_, name)| !sql::is_bare(name.as_deref(), &runbook.vars))
        .map(|(at, _)| at.start)
        .collect();
    let mut inside: BTreeSet<usize> = BTreeSet::new();
    for dialect in dialects(runbook, script) {
        inside.extend(sql::quoted(&script.text.text, &places, dialect));
    }
    for (at, _) in names.emits.iter().filter(|(at, _)| inside.contains(&at.start)) {
        let message = "a template inside quotes: the value brings its own";
        let hint = "write it without quotes; to join texts: 'backup of ' || {{ name }}; for a name: {{ name | ident }}";
        notes.within(&script.text, at.clone(), message, hint);
    }
}
