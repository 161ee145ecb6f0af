//! What is refused while a runbook is read, under ids of rules as well: tools that collect findings need one for each.

use super::finding::{Finding, Findings, Subject};
use super::rule::Rule;
use crate::runbook::{Problem, Problems};

pub(super) static RULES: &[&Rule] = &[&INVALID, &ZONE, &IN_TRANSACTION, &CONTROL, &PSQL, &PASSWORD];

static INVALID: Rule = Rule::error(
    "runbook-invalid",
    "refused at reading: the file is no runbook, or a name, key, type or expression in it is wrong",
    "mend what the message names; docs/language.md has every key",
);
static ZONE: Rule = Rule::error(
    "time-without-zone",
    "refused at reading: a start without offset or zone, or one that the clocks' change makes double or void",
    "write starts = 2024-01-31T08:00:00Z, or name the zone: zone = \"Europe/Berlin\"",
);
static IN_TRANSACTION: Rule = Rule::error(
    "sql-not-in-transaction",
    "refused at reading: the server refuses this statement in a transaction (create index concurrently, vacuum, …)",
    "write transaction = \"none\" for the step, and give it nothing else to do",
);
static CONTROL: Rule = Rule::error(
    "sql-transaction-control",
    "refused at reading: begin, commit and their like would break the transaction that the step runs in",
    "leave them out: gonogo begins and commits",
);
static PSQL: Rule = Rule::error(
    "sql-psql-command",
    "refused at reading: commands of psql and COPY from or to the client are no SQL that a server takes",
    "write the SQL itself, or use a `run` step with psql",
);
static PASSWORD: Rule = Rule::error(
    "secret-in-runbook",
    "refused at reading: a password or token in plain text ends in journals, reports and repositories",
    "name it: env:NAME, file:PATH or cmd:COMMAND",
);

/// Words of a message, and the rule they belong to; all else is `runbook-invalid`.
const WORDS: &[(&str, &Rule)] = &[
    ("without an offset", &ZONE),
    ("the clocks are set", &ZONE),
    ("cannot run in a transaction", &IN_TRANSACTION),
    ("would break the transaction", &CONTROL),
    ("is not sent: outside of a transaction", &CONTROL),
    ("is a command of psql", &PSQL),
    ("has nobody at the other end", &PSQL),
    ("password", &PASSWORD),
    ("holds a secret in plain text", &PASSWORD),
];

/// The problems of a runbook that was refused, as findings.
pub fn refused(problems: &Problems) -> Findings {
    let mut findings = Findings::default();
    for problem in problems.list() {
        if let Some(text) = problems.text(&problem.file) {
            findings.texts.entry(problem.file.clone()).or_insert_with(|| text.clone());
        }
        findings.list.push(finding(problem));
    }
    findings
}

fn finding(problem: &Problem) -> Finding {
    let found = WORDS.iter().find(|(words, _)| problem.message.contains(words));
    let rule = found.map_or(&INVALID, |(_, rule)| *rule);
    Finding { rule, problem: problem.clone(), subject: Subject::default(), waived: None }
}
