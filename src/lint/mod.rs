//! The lint: mistakes that a runbook can hold although it reads well. It knows the language, touches nothing, and every
//! finding has a rule with an id, a reason and a recipe.

mod book;
mod desk;
mod finding;
mod refused;
mod rule;
mod sarif;
mod shell;
mod sql;
mod waive;

pub use finding::{Finding, Findings, Subject, Waived};
pub use refused::refused;
pub use rule::{Rule, Severity, rule, rules};
pub use sarif::sarif;

use desk::Desk;

use crate::runbook::Runbook;

/// Parsers of SQL and shell go down into what is nested, and drop it in the same way: files of the size that is read at
/// all must not end the program.
const STACK: usize = 2 << 30;

/// Everything that the rules find in a runbook, waived findings marked. The order is that of the files.
pub fn lint(runbook: &Runbook) -> Findings {
    std::thread::scope(|scope| {
        // Only what is used of it is taken.
        let deep = std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, || everything(runbook));
        match deep.map(|thread| thread.join()) {
            Ok(Ok(findings)) => findings,
            Ok(Err(panic)) => std::panic::resume_unwind(panic),
            // A machine that grants no such stack still has its own.
            Err(_) => everything(runbook),
        }
    })
}

fn everything(runbook: &Runbook) -> Findings {
    let desk = Desk::new(runbook);
    let lines = shell::gather(&desk);
    book::check(&desk);
    sql::check(&desk);
    shell::check(&desk, &lines);
    let mut list = desk.take();
    waive::apply(&desk, &mut list);
    let main = &runbook.source.name;
    list.sort_by(|a, b| key(main, a).cmp(&key(main, b)));
    // A file that two steps name is read twice; what one of them does not waive stays open.
    list.dedup_by(|a, b| a.rule.id == b.rule.id && a.problem == b.problem);
    Findings { list, texts: desk.texts() }
}

fn key<'f>(main: &str, finding: &'f Finding) -> (bool, &'f str, usize, usize, &'f str, bool) {
    let problem = &finding.problem;
    let is_other = problem.file != main;
    (is_other, &problem.file, problem.span.start, problem.span.end, finding.rule.id, finding.waived.is_some())
}
