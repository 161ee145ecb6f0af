//! Rules about several scripts together: what is true in one step need not be in the next.

use std::collections::BTreeSet;

use super::gather::Sql;
use super::words::Words;
use crate::lint::desk::{Desk, Part};
use crate::lint::rule::Rule;
use crate::runbook::sql;

pub(super) static RULES: &[&Rule] = &[&DROP_AFTER_COUNT, &SWAP, &SWAP_BACK];

static DROP_AFTER_COUNT: Rule = Rule::warning(
    "sql-drop-after-count",
    "between the step that counts and the step that drops rows can come: the count proves nothing about what is dropped",
    "one script: lock table …, a DO block that raises where a row is left, then the drop",
);
static SWAP: Rule = Rule::warning(
    "sql-copy-then-rename",
    "what is written between the copy and the swap is lost; foreign keys stay with the old table, grants do not follow",
    "one script: lock table … in access exclusive mode, copy the rest, compare counts, move keys and grants, rename; or keep both in step by trigger",
);

static SWAP_BACK: Rule = Rule::warning(
    "swap-back-without-loses",
    "to rename the old table back loses every row that was written to the new one, and nobody is told before agreeing to it",
    "write what is lost: loses = \"every write since the swap\"; or copy the new rows back first",
);

pub(super) fn check(desk: &Desk<'_>) {
    let scripts: Vec<&Sql> =
        desk.sql.iter().filter(|sql| sql.is_forward() && sql.statements.len() <= super::MANY).collect();
    desk.sql.iter().filter(|sql| sql.statements.len() <= super::MANY).for_each(|sql| swapped_back(desk, sql));
    let mut before = Before::default();
    for script in scripts {
        for words in &script.statements {
            dropped(desk, script, &before, words);
            swapped(desk, script, &before, words);
        }
        before.add(script);
    }
}

/// What earlier scripts have done to tables.
#[derive(Default)]
struct Before {
    counted: BTreeSet<String>,
    copied: BTreeSet<String>,
}

impl Before {
    fn add(&mut self, script: &Sql) {
        self.copied.extend(script.statements.iter().filter_map(copied));
        if sql::only_reads(&script.text) {
            let counts = script.statements.iter().filter(|words| words.has(&["count", "("]));
            self.counted.extend(counts.flat_map(read));
        }
    }
}

/// A way back that renames tables past each other.
fn swapped_back(desk: &Desk<'_>, sql: &Sql) {
    let act = sql.act.and_then(|n| desk.acts.get(n)).filter(|act| matches!(act.part, Part::Undo | Part::Plan(_)));
    let Some(act) = act.filter(|act| act.step.loses.is_none()) else { return };
    let renames: Vec<&Words> = sql.statements.iter().filter(|words| renamed(words).is_some()).collect();
    let copies = sql.statements.iter().any(|words| copied(words).is_some());
    let names: Vec<(String, String)> = renames.iter().filter_map(|words| renamed(words)).collect();
    let crossed = names.iter().any(|(_, to)| names.iter().any(|(from, _)| from == to));
    if let Some(first) = renames.first().filter(|_| crossed && !copies) {
        let spot = sql.spot.part(first.whole());
        desk.step(&SWAP_BACK, act, &spot, "what was written since the swap is lost, and the step does not say so");
    }
}

/// Old and new name of a table that a statement renames.
fn renamed(words: &Words) -> Option<(String, String)> {
    let (from, next) = words.starts(&["alter", "table"]).then(|| words.name(2))??;
    words.seq(next, &["rename", "to"]).then(|| words.name(next + 2)).flatten().map(|(to, _)| (from, to))
}

fn dropped(desk: &Desk<'_>, script: &Sql, before: &Before, words: &Words) {
    if !words.starts(&["drop", "table"]) {
        return;
    }
    for table in names(words, 2) {
        let guarded = || script.statements.iter().any(|other| !other.is(0, "drop") && looks_at(other, &table));
        if before.counted.contains(&table) && !guarded() {
            let message = format!("{table} was counted in an earlier step; rows may have come since");
            desk.note(&DROP_AFTER_COUNT, &script.subject, &script.spot.part(words.whole()), message);
        }
    }
}

/// The names of a list: `drop table a, b`.
fn names(words: &Words, from: usize) -> Vec<String> {
    let mut all = Vec::new();
    let mut at = from;
    while let Some((name, next)) = words.name(at) {
        all.push(name);
        if !words.is(next, ",") {
            break;
        }
        at = next + 1;
    }
    all
}

/// The tables that a statement reads.
fn read(words: &Words) -> impl Iterator<Item = String> {
    let sources = (0..words.len()).filter(|n| words.is(*n, "from") || words.is(*n, "join"));
    sources.filter_map(|n| words.name(n + 1)).map(|(name, _)| name)
}

/// True where a statement, or the body of a DO block, mentions the table.
fn looks_at(words: &Words, table: &str) -> bool {
    let last = table.rsplit('.').next().unwrap_or(table);
    words.has(&[last]) || words.bodies().iter().any(|body| body.has(&[last]))
}

fn swapped(desk: &Desk<'_>, script: &Sql, before: &Before, words: &Words) {
    if !words.starts(&["alter", "table"]) {
        return;
    }
    let Some((table, next)) = words.name(2).filter(|(_, next)| words.seq(*next, &["rename", "to"])) else { return };
    let copies = || script.statements.iter().any(|words| copied(words).is_some_and(|from| from == table));
    let locked = || script.statements.iter().any(|words| words.starts(&["lock"]) && looks_at(words, &table));
    if before.copied.contains(&table) || (copies() && !locked()) {
        let message = format!("rows written to {table} since it was copied are lost");
        desk.note(&SWAP, &script.subject, &script.spot.part(words.span(0, next + 2)), message);
    }
}

/// The table whose rows a statement copies into another.
fn copied(words: &Words) -> Option<String> {
    let inserts = words.starts(&["insert", "into"]) || (words.is(0, "create") && words.has(&["as", "select"]));
    let select = words.find(&["select"]).filter(|_| inserts)?;
    let from = (select..words.len()).find(|n| words.is(*n, "from") && words.depth(*n) == words.depth(select))?;
    words.name(from + 1).map(|(name, _)| name)
}
