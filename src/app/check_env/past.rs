//! What the steps before will have made, changed and taken away by the time a statement is sent.

use crate::run::migrations::{MigrationOrder, OrderedFile, Row, State};
use crate::runbook::StepId;
use crate::runbook::migrations::{Tool, Way};
use crate::runbook::sql::names::{Name, Named};

/// By the statements so far, in the order of the run.
#[derive(Default)]
pub struct Past {
    made: Vec<Name>,
    /// With who takes it away.
    gone: Vec<(Name, String)>,
    changed: Vec<Name>,
    /// Columns that come, and those that go.
    brought: Vec<(Name, String)>,
    lost: Vec<(Name, String)>,
    /// Who does something that names do not tell: a command, a function, a DO block, a text that only the run knows.
    more: Vec<String>,
    /// What other tools' tables will say of files that steps apply: the table, the step, the row.
    applied: Vec<(String, StepId, Row)>,
}

impl Past {
    /// True where a statement so far makes what may be this.
    pub fn makes(&self, name: &Name) -> bool {
        self.made.iter().any(|made| made.may_be(name))
    }

    /// True where the text says a name, as SQL or in quotes, that a statement so far makes.
    pub fn makes_a_name_in(&self, sql: &str) -> bool {
        let of_a_word = |c: char| c.is_alphanumeric() || c == '_';
        let alone = |(at, name): (usize, &str)| {
            let (before, after) = (&sql[..at], &sql[at + name.len()..]);
            !before.ends_with(of_a_word) && !after.starts_with(of_a_word)
        };
        self.made.iter().any(|made| sql.match_indices(&made.name).any(alone))
    }

    /// Who takes it away before.
    pub fn takes_away(&self, name: &Name) -> Option<&str> {
        self.gone.iter().find(|(gone, _)| gone.may_be(name)).map(|(_, who)| who.as_str())
    }

    /// True where its columns may be others by then.
    pub fn touches(&self, name: &Name) -> bool {
        self.makes(name) || self.changed.iter().any(|changed| changed.may_be(name))
    }

    /// Whether a column is there by then, where it is `now`.
    pub fn has_column(&self, table: &Name, column: &str, now: bool) -> bool {
        let is = |one: &(Name, String)| one.0.may_be(table) && one.1 == column;
        self.brought.iter().any(is) || (now && !self.lost.iter().any(is))
    }

    /// True where nothing so far could make a difference to any name.
    pub fn is_empty(&self) -> bool {
        self.made.is_empty() && self.gone.is_empty() && self.changed.is_empty() && self.more.is_empty()
    }

    /// True where something before does what names do not tell.
    pub fn is_open(&self) -> bool {
        !self.more.is_empty()
    }

    /// Who may have made what `act` needs: the last of those before it, else `act` itself.
    pub fn may_make(&self, act: &str) -> Option<&str> {
        let before = self.more.iter().rev().find(|one| *one != act);
        before.or(self.more.last()).map(String::as_str)
    }

    /// `act` does something that cannot be told beforehand.
    pub fn does_more(&mut self, act: &str) {
        if self.more.last().is_none_or(|last| last != act) {
            self.more.push(act.to_owned());
        }
    }

    /// `act` puts something else in the place of all that is there.
    pub fn is_replaced(&mut self, act: &str) {
        self.gone.clear();
        self.lost.clear();
        self.applied.clear();
        self.does_more(act);
    }

    /// What the table of a tool will say by then, where it says `rows` now.
    pub fn recorded(&self, order: &MigrationOrder, mut rows: Vec<Row>) -> Vec<Row> {
        let ours = self.applied.iter().filter(|(table, ..)| table == order.table()).map(|(.., row)| row.clone());
        if order.tool == Tool::GolangMigrate {
            // It has one row: the last version.
            return { ours }.next_back().map_or(rows, |last| vec![last]);
        }
        rows.extend(ours);
        rows
    }

    /// The versions that a step will have applied.
    pub fn applied_by(&self, step: &StepId) -> Vec<String> {
        self.applied.iter().filter(|(_, who, _)| who == step).map(|(.., row)| row.version.clone()).collect()
    }

    /// The file of a step will be applied, or taken back.
    pub fn migrates(&mut self, order: &MigrationOrder, step: &StepId, file: &OrderedFile) {
        let (version, checksum) = (file.version.clone(), file.checksum.clone());
        match order.way {
            Way::Up => {
                let row = Row { version, checksum, state: State::Done, name: None };
                self.applied.push((order.table().to_owned(), step.clone(), row));
            }
            Way::Down => self.applied.retain(|(_, who, row)| who != step || row.version != version),
        }
    }

    /// The statement of `act` will have run.
    pub fn run(&mut self, act: &str, named: &Named) {
        for name in &named.takes_away {
            self.made.retain(|made| !made.may_be(name));
            self.gone.push((name.clone(), act.to_owned()));
        }
        for (name, ..) in &named.makes {
            self.gone.retain(|(gone, _)| !gone.may_be(name));
            self.made.push(name.clone());
        }
        self.changed.extend(named.changes.iter().cloned());
        self.brought.retain(|one| !named.loses.contains(one));
        self.lost.extend(named.loses.iter().cloned());
        self.brought.extend(named.brings.iter().cloned());
        if named.makes_more {
            self.does_more(act);
        }
    }
}
