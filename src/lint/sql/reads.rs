//! Does it read as SQL at all? By squawk's grammar of PostgreSQL, so that a slip of the pen is found without a server.

use squawk_syntax::SourceFile;

use super::gather::{Role, Sql};
use crate::lint::desk::Desk;
use crate::lint::rule::Rule;
use crate::runbook::sql::Dialect;

pub(super) static RULES: &[&Rule] = &[&UNREADABLE];

static UNREADABLE: Rule = Rule::warning(
    "sql-unreadable",
    "this does not read as SQL of PostgreSQL: the step would fail when its turn comes",
    "mend it; where it is right, and newer than this program: gonogo check --env ENV has the server read it, then waive it",
);

/// One finding for a piece: what follows the first slip is read wrongly too.
pub(super) fn check(desk: &Desk<'_>, sql: &Sql) {
    if sql.dialect != Dialect::Postgres || sql.role == Role::Fragment || sql.nesting.is_too_deep() {
        return;
    }
    if let Some(error) = SourceFile::parse(&sql.text).errors().first() {
        let start = usize::from(error.range().start());
        let end = usize::from(error.range().end()).max(start);
        desk.note(&UNREADABLE, &sql.subject, &sql.spot.part(start..end), error.message());
    }
}
