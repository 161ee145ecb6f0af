//! What can only be checked once everything is read: names in expressions, SQL, shell quotes, secrets in plain text.

mod json;
mod names;
mod script;
mod secrets;
mod shell;
mod snapshots;

pub(super) use secrets::passwords;

use super::Runbook;
use super::parse::Notes;

pub(super) fn everything(notes: &Notes<'_>, runbook: &Runbook) {
    names::check(notes, runbook);
    script::check(notes, runbook);
    snapshots::check(notes, runbook);
}
