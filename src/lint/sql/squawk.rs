//! What squawk knows of PostgreSQL's locks and rewrites, under our ids, severities and recipes.
//!
//! Its other rules are left out; docs/lint.md says of each why.

use std::collections::{BTreeMap, BTreeSet};

use squawk_linter::{Linter, LinterSettings, Rule as Code, Violation};
use squawk_syntax::SourceFile;

use super::gather::Sql;
use super::words::Words;
use crate::lint::desk::Desk;
use crate::lint::rule::Rule;
use crate::runbook::sql::Dialect;

pub(super) static RULES: &[&Rule] = &[
    &INDEX,
    &DROP_INDEX,
    &NOT_VALID,
    &FOREIGN_KEY,
    &DEFAULT,
    &TYPE,
    &NOT_NULL,
    &REQUIRED,
    &SERIAL,
    &UNIQUE,
    &REINDEX,
    &DETACH,
    &TWICE,
    &LONG,
];

static INDEX: Rule = Rule::warning(
    "squawk-require-concurrent-index-creation",
    "CREATE INDEX lets nobody write to the table until it is built",
    "a step of its own with transaction = \"none\": create index concurrently",
);
static DROP_INDEX: Rule = Rule::note(
    "squawk-require-concurrent-index-deletion",
    "DROP INDEX waits for every reader of the table, and everybody else waits behind it",
    "a step of its own with transaction = \"none\": drop index concurrently; the lock_timeout bounds the wait otherwise",
);
static NOT_VALID: Rule = Rule::warning(
    "squawk-constraint-missing-not-valid",
    "a new constraint scans the table while nobody can write to it",
    "add it NOT VALID, and validate constraint in a later step",
);
static FOREIGN_KEY: Rule = Rule::warning(
    "squawk-adding-foreign-key-constraint",
    "a new foreign key scans the table while nobody can write to either of the two tables",
    "add it NOT VALID, and validate constraint in a later step, which lets writes through",
);
static DEFAULT: Rule = Rule::warning(
    "squawk-adding-field-with-default",
    "a column whose default is not constant rewrites the table under a lock that stops even readers",
    "add the column without default, fill it with `batch`, then set the default",
);
static TYPE: Rule = Rule::warning(
    "squawk-changing-column-type",
    "another type rewrites the table and its indexes under a lock that stops even readers, and old code meets a new type",
    "a new column, filled with `batch`, both written for a time, then the old one dropped; a longer varchar is harmless: waive it",
);
static NOT_NULL: Rule = Rule::warning(
    "squawk-adding-not-nullable-field",
    "SET NOT NULL scans the table under a lock that stops even readers",
    "add constraint … check (c is not null) not valid, validate it in a later step, then set not null, which is quick",
);
static REQUIRED: Rule = Rule::warning(
    "squawk-adding-required-field",
    "ADD COLUMN … NOT NULL without a default fails on a table that has a row",
    "give it a constant default, or add it nullable, fill it, then set not null",
);
static SERIAL: Rule = Rule::warning(
    "squawk-adding-serial-primary-key-field",
    "a new primary key builds its index while nobody can read or write the table",
    "create unique index concurrently first, then add primary key using index",
);
static UNIQUE: Rule = Rule::warning(
    "squawk-disallowed-unique-constraint",
    "a new UNIQUE constraint builds its index while nobody can read or write the table",
    "create unique index concurrently first, then add constraint … unique using index",
);
static REINDEX: Rule = Rule::warning(
    "squawk-require-concurrent-reindex",
    "REINDEX lets nobody write to the table, and stops whoever reads by that index",
    "a step of its own with transaction = \"none\": reindex … concurrently",
);
static DETACH: Rule = Rule::warning(
    "squawk-require-concurrent-partition-detach",
    "DETACH PARTITION stops everybody who reads or writes the parent",
    "a step of its own with transaction = \"none\": detach partition … concurrently",
);
static TWICE: Rule = Rule::error(
    "squawk-ban-duplicate-column-assignments",
    "the server refuses to set one column twice",
    "keep one of the assignments",
);
static LONG: Rule = Rule::warning(
    "squawk-identifier-too-long",
    "PostgreSQL cuts names after 63 bytes: the object is called otherwise than the script says",
    "choose a shorter name",
);

const CODES: &[(Code, &Rule)] = &[
    (Code::RequireConcurrentIndexCreation, &INDEX),
    (Code::RequireConcurrentIndexDeletion, &DROP_INDEX),
    (Code::AddingForeignKeyConstraint, &FOREIGN_KEY),
    (Code::AddingFieldWithDefault, &DEFAULT),
    (Code::ChangingColumnType, &TYPE),
    (Code::AddingNotNullableField, &NOT_NULL),
    (Code::AddingRequiredField, &REQUIRED),
    (Code::AddingSerialPrimaryKeyField, &SERIAL),
    (Code::DisallowedUniqueConstraint, &UNIQUE),
    (Code::RequireConcurrentReindex, &REINDEX),
    (Code::RequireConcurrentPartitionDetach, &DETACH),
    (Code::BanDuplicateColumnAssignments, &TWICE),
    (Code::IdentifierTooLong, &LONG),
    // Last: where one of the others says more of the same place, it is left out.
    (Code::ConstraintMissingNotValid, &NOT_VALID),
];

/// On the way back an outage is there already: to be quick counts for more than to be gentle.
pub(super) fn is_asked(sql: &Sql) -> bool {
    sql.dialect == Dialect::Postgres && sql.is_forward()
}

/// Violations by the byte at which they start.
type Starts<'v> = BTreeMap<usize, Vec<&'v Violation>>;

pub(super) fn check(desk: &Desk<'_>, sql: &Sql, earlier: &Earlier) {
    if !is_asked(sql) || sql.nesting.is_too_deep() {
        return;
    }
    let text = without_comments(&sql.text);
    let mut linter = Linter::from(CODES.iter().map(|(code, _)| *code));
    linter.settings = LinterSettings { assume_in_transaction: sql.transaction, ..LinterSettings::default() };
    let violations = linter.lint(&SourceFile::parse(&text), &text);
    let places = violations.iter().map(|one| (usize::from(one.text_range.start()), one));
    let by_start: Starts<'_> = places.fold(Starts::new(), |mut all, (start, one)| {
        all.entry(start).or_default().push(one);
        all
    });
    for (code, rule) in CODES {
        for one in violations.iter().filter(|one| one.code == *code) {
            let at = usize::from(one.text_range.start())..usize::from(one.text_range.end());
            let about_new = about(sql, at.start).is_some_and(|table| earlier.made.contains(&table));
            let said = *code == Code::ConstraintMissingNotValid && is_said(&by_start, one);
            let proven = *code == Code::AddingNotNullableField && is_proven(earlier, sql, at.start);
            if !about_new && !said && !proven {
                let first = one.message.split(['.', '\n']).next().unwrap_or_default();
                desk.note(rule, &sql.subject, &sql.spot.part(at), first);
            }
        }
    }
}

/// True where a constraint that was validated before says already that the column has no NULL: then SET NOT NULL asks nothing.
fn is_proven(earlier: &Earlier, sql: &Sql, at: usize) -> bool {
    let Some(words) = sql.statement_at(at) else { return false };
    let Some((table, _)) = altered(words) else { return false };
    // The violation begins at the option: the column stands before it.
    let option = (0..words.len()).find(|n| words.span(*n, *n).start >= at).unwrap_or(0);
    let column = option.checked_sub(1).map(|n| words.get(n)).unwrap_or_default();
    earlier.validated.contains(&table) && earlier.checked.contains(&(table, column.to_owned()))
}

fn altered(words: &Words) -> Option<(String, usize)> {
    words.starts(&["alter", "table"]).then(|| words.name(2)).flatten()
}

/// What goes forward before a piece of SQL: of earlier steps, and of the same step's earlier files.
#[derive(Default)]
pub(super) struct Earlier {
    /// Tables that are made: nobody uses them yet.
    made: BTreeSet<String>,
    /// Tables and columns of which a constraint says that there is no NULL.
    checked: BTreeSet<(String, String)>,
    /// Tables with a constraint that is validated.
    validated: BTreeSet<String>,
}

impl Earlier {
    pub fn add(&mut self, sql: &Sql) {
        for words in sql.statements.iter().filter(|_| sql.is_forward()) {
            self.made.extend(super::made(words));
            let Some((table, _)) = altered(words) else { continue };
            let checks = words.all(&["check", "("]).into_iter().filter(|n| words.seq(n + 3, &["is", "not", "null"]));
            self.checked.extend(checks.map(|n| (table.clone(), words.get(n + 2).to_owned())));
            if words.has(&["validate", "constraint"]) {
                self.validated.insert(table);
            }
        }
    }
}

/// Comments blanked out, byte for byte: squawk obeys comments that silence it, and here waivers do that, with a reason.
fn without_comments(text: &str) -> String {
    let mut out = text.as_bytes().to_vec();
    let mut start = 0;
    for token in squawk_lexer::tokenize(text) {
        let end = (start + token.len as usize).min(text.len());
        use squawk_lexer::TokenKind::{BlockComment, LineComment};
        if matches!(token.kind, LineComment | BlockComment { .. }) {
            out[start..end].iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
        }
        start = end;
    }
    String::from_utf8(out).unwrap_or_else(|_| text.to_owned())
}

/// True where another violation stands inside of the same place.
fn is_said(all: &Starts<'_>, one: &Violation) -> bool {
    let inside = all.range(usize::from(one.text_range.start())..=usize::from(one.text_range.end()));
    inside
        .flat_map(|(_, all)| all)
        .any(|other| other.code != one.code && one.text_range.contains_range(other.text_range))
}

/// The table that the statement around a byte is about.
fn about(sql: &Sql, at: usize) -> Option<String> {
    let words = sql.statement_at(at)?;
    let place = words.find(&["on"]).or(words.find(&["table"])).map_or(0, |n| n + 1);
    words.name(place).map(|(name, _)| name)
}
