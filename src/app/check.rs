//! `gonogo check`: everything that is wrong or hazardous in runbooks, at once; and what a run is not begun with.

use std::path::Path;

use serde_json::{Value, json};

use crate::app::{Done, Stop, code, say, say_bytes, say_error, terminal};
use crate::cli::{CheckArgs, Least};
use crate::lint::{self, Findings, Severity};
use crate::run::words::plural;
use crate::runbook::{self, Problems, Runbook, clean};

pub fn check(args: &CheckArgs) -> Done {
    if args.rules {
        return rules(args.json);
    }
    let checked: Vec<Checked<'_>> = args.files.iter().map(|file| Checked::of(file)).collect();
    if args.sarif {
        let all: Vec<Findings> = checked.iter().map(|one| one.findings.clone()).collect();
        say(&serde_json::to_string_pretty(&lint::sarif(&all, env!("CARGO_PKG_VERSION"))).map_err(Stop::internal)?);
    } else if args.json {
        let all: Vec<Value> = checked.iter().map(Checked::to_json).collect();
        say(&serde_json::to_string_pretty(&all).map_err(Stop::internal)?);
    } else {
        checked.iter().for_each(|one| one.tell(args.least));
    }
    let bad = checked.iter().any(|one| one.is_bad(args.strict));
    Ok(if bad { code::BAD_RUNBOOK } else { code::DONE })
}

/// A runbook that was checked: what it is, or why it is none, and what the lint says.
pub(super) struct Checked<'f> {
    file: &'f Path,
    book: Result<Runbook, Problems>,
    findings: Findings,
}

impl<'f> Checked<'f> {
    pub fn of(file: &'f Path) -> Self {
        let book = runbook::load(file, &Default::default());
        let findings = match &book {
            Ok(book) => lint::lint(book),
            Err(problems) => lint::refused(problems),
        };
        Self { file, book, findings }
    }

    pub fn is_bad(&self, strict: bool) -> bool {
        let warnings = if strict { self.findings.count(Severity::Warning) } else { 0 };
        self.book.is_err() || self.findings.count(Severity::Error) + warnings > 0
    }

    pub fn to_json(&self) -> Value {
        let (problems, digest) = match &self.book {
            Ok(book) => (json!([]), Some(&book.source.digest)),
            Err(problems) => (problems.to_json(), None),
        };
        json!({
            "file": clean::line(&self.file.to_string_lossy(), 400),
            "ok": !self.is_bad(false),
            "problems": problems,
            "digest": digest,
            "findings": self.findings.to_json(),
            "waived": self.findings.waived(),
        })
    }

    fn tell(&self, least: Least) {
        let book = match &self.book {
            Ok(book) => book,
            Err(problems) => return say_bytes(problems.render(terminal::colour_on_stdout()).as_bytes()),
        };
        say_bytes(self.findings.render(terminal::colour_on_stdout(), severity(least)).as_bytes());
        let found = self.findings.summary();
        let word = if self.findings.count(Severity::Error) > 0 { "not sound" } else { "ok" };
        say(&format!(
            "{}: {word} · {} in {} · digest {}{}{found}",
            clean::line(&self.file.to_string_lossy(), 400),
            plural(book.steps().count() as u64, "step"),
            plural(book.phases.len() as u64, "phase"),
            &book.source.digest[..12.min(book.source.digest.len())],
            if found.is_empty() { "" } else { " · " },
        ));
    }
}

fn severity(least: Least) -> Severity {
    match least {
        Least::Note => Severity::Note,
        Least::Warning => Severity::Warning,
        Least::Error => Severity::Error,
    }
}

fn rules(as_json: bool) -> Done {
    let rules = lint::rules();
    if as_json {
        let one = |rule: &&lint::Rule| {
            let severity = rule.severity.word();
            json!({ "id": rule.id, "severity": severity, "reason": rule.reason, "recipe": rule.recipe })
        };
        let all: Vec<Value> = rules.iter().map(one).collect();
        say(&serde_json::to_string_pretty(&all).map_err(Stop::internal)?);
        return Ok(code::DONE);
    }
    for rule in rules {
        say(&format!("{} ({})\n    {}\n    → {}", rule.id, rule.severity.word(), rule.reason, rule.recipe));
    }
    Ok(code::DONE)
}

/// A protected environment is not touched by a runbook with errors that nobody answers for. Elsewhere they are said: what
/// is tried on staging is refused in production.
///
/// # Errors
/// The findings, where the environment is protected.
pub fn before_a_run(book: &Runbook, environment: &str) -> Result<(), Stop> {
    let findings = lint::lint(book);
    let errors = findings.count(Severity::Error) as u64;
    if errors == 0 {
        return Ok(());
    }
    let counted = plural(errors, "error");
    if !book.environment(environment).is_some_and(|one| one.protected) {
        let name = clean::line(&book.source.name, 400);
        say_error(&format!(
            "the check finds {counted} in this runbook, a protected environment would refuse it: gonogo check {name}"
        ));
        return Ok(());
    }
    let shown = findings.render(terminal::colour_on_stderr(), Severity::Error);
    let words = format!(
        "{shown}{counted}, and environment {environment} is protected: nothing was started. Mend them, or say in a [[waive]] \
         why they are right here; gonogo check shows everything"
    );
    Err(Stop::new(code::BAD_RUNBOOK, words))
}
