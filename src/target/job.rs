//! A script to run for one attempt, with everything that hangs on it.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use super::proof::{LedgerEntry, Witness};
use crate::run::event::{Direct, Statement};
use crate::run::inventory::Item;
use crate::runbook::Asks;

/// A script to run for one attempt.
#[derive(Clone, Copy)]
pub struct SqlJob<'a> {
    /// The attempt in words; with the target's base it names the session on the server.
    pub label: &'a str,
    /// In the order they run; each a single statement.
    pub statements: &'a [Statement],
    /// All in one transaction, or each by itself.
    pub transaction: bool,
    /// Outside of a transaction: what decides it when nobody sees the end, and what only clears away.
    pub direct: &'a Direct,
    /// Time for the whole job, connecting included.
    pub timeout: Option<Duration>,
    /// Counts rows as they arrive, kept or not: what a progress line shows between two chunks.
    pub counter: Option<&'a AtomicU64>,
    /// Its row in the ledger; none: the attempt of no run, which nobody resolves.
    pub entry: Option<&'a LedgerEntry>,
    /// What is read off the answer, and the snapshot that it is compared with.
    pub asks: &'a Asks,
    pub before: Option<&'a [Item]>,
    /// Takes secrets out of what is compared.
    pub hide: Option<&'a (dyn Fn(&str) -> String + Sync)>,
    /// The run whose claim on the database the transaction looks after, where no row of the ledger does.
    pub fence: Option<&'a str>,
    /// Asked before COMMIT is sent; none: nobody keeps a journal of it.
    pub witness: Option<&'a dyn Witness>,
}

impl<'a> SqlJob<'a> {
    /// A script without limits, proofs and progress of its own.
    pub fn plain(label: &'a str, statements: &'a [Statement], transaction: bool) -> Self {
        const NOTHING: &Direct = &Direct { question: None, cleanup: Vec::new(), cleaning: 0, fixing: 0 };
        Self {
            label,
            statements,
            transaction,
            direct: NOTHING,
            timeout: None,
            counter: None,
            entry: None,
            asks: &Asks::Rows,
            before: None,
            hide: None,
            fence: None,
            witness: None,
        }
    }
}
