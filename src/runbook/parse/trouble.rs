//! Known problems of a step: how they are recognised, what helps, and SQL that takes them away where the step is SQL itself.

use super::reader::Reader;
use super::verbs::Read;
use super::{FormulaKind, Owner, Script as Site, Wants, values};
use crate::runbook::text::Located;
use crate::runbook::{SqlText, Trouble, Verb, sql};

/// Reads `trouble` of a step that was read as `step`.
pub(super) fn trouble(table: &Reader<'_, '_>, owner: &Owner, only: &[String], step: &Read) -> Vec<Trouble> {
    let all = table.tables("trouble", "a known trouble");
    all.into_iter().filter_map(|one| one_trouble(one, owner, only, step)).collect()
}

fn one_trouble(table: Reader<'_, '_>, owner: &Owner, only: &[String], step: &Read) -> Option<Trouble> {
    let matching = table.need_text("match", "match = \"already exists\"");
    let matching = matching.and_then(|text| values::pattern(table.notes, &text));
    let cause = table.label("cause");
    let fix = table.label("fix");
    let sql = table.text("sql");
    if cause.is_none() && fix.is_none() && !table.has("cause") && !table.has("fix") {
        table.missing("cause", "cause = \"…\" and fix = \"…\"");
    }
    let remedy = sql.as_ref().and_then(|sql| remedy(&table, owner, only, step, sql));
    table.finish();
    // The words of the fix carry its SQL: a person reads what it is before it is sent, or sends it themselves.
    let fix = match (fix, sql.map(|sql| sql.text)) {
        (Some(fix), Some(sql)) => format!("{fix} (SQL: {sql})"),
        (fix, sql) => fix.or(sql).unwrap_or_default(),
    };
    Some(Trouble { matching: matching?, cause: cause.unwrap_or_default(), fix, remedy })
}

/// The SQL as an action: it runs where the step's own SQL runs, ahead of it. Beside any other verb it is only read.
fn remedy(table: &Reader<'_, '_>, owner: &Owner, only: &[String], step: &Read, text: &Located) -> Option<SqlText> {
    let Verb::Sql(script) = &step.verb else { return None };
    table.notes.formula(text, FormulaKind::Sql, owner, None);
    let (transaction, target) = (script.transaction, step.target.clone());
    let site = Site { text: text.clone(), transaction, target, only: only.to_vec(), wants: Wants::Statements };
    table.notes.scripts.borrow_mut().push(site);
    // What only reads finds the cause, and takes nothing away.
    let acts = !sql::only_reads(&text.text);
    acts.then(|| SqlText { line: table.notes.line(text), text: text.text.clone() })
}
