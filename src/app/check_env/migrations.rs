//! The files that a step `migrations` will apply or take back, looked at like the SQL of any other step.

use super::objects::View;
use crate::print::Level;
use crate::run::MigrationOrder;
use crate::run::event::Statement;
use crate::run::migrations::{due, part};
use crate::runbook::Step;
use crate::runbook::migrations::{Migrations, Part, Way};
use crate::runbook::sql::Dialect;

impl View<'_> {
    /// File by file, those whose turn it will be by what the tool's table says and what steps before apply.
    pub async fn migrations(&mut self, mut order: MigrationOrder, files: &Migrations, step: &Step) {
        if order.way == Way::Down {
            order.since = Some(self.past.applied_by(&step.id));
        }
        let rows = match self.target.migrated(&order).await {
            Ok(rows) => self.past.recorded(&order, rows),
            Err(error) => return self.unsure(step.line, &error.to_string(), "say which tool it is, or name its table"),
        };
        let turns = match due(&order, &rows) {
            Ok(plan) => plan.turns,
            Err(refused) => return self.unsure(step.line, &refused.what, &refused.hint),
        };
        for turn in &turns {
            let (Some(ordered), Some(file)) = (order.files.get(*turn), files.files.get(*turn)) else { continue };
            if let Some(part) = part(file, order.way) {
                self.file(part).await;
            }
            self.past.migrates(&order, &step.id, ordered);
        }
        match turns.as_slice() {
            [] if order.way == Way::Up => self.say(Level::Ok, 0, "no file is pending".to_owned(), None),
            [] => self.say(Level::Ok, 0, "there will be nothing to take back".to_owned(), None),
            _ => self.sum_up(),
        }
    }

    /// It will be refused, unless something before changes that; what it does then, nobody knows.
    fn unsure(&mut self, line: u32, why: &str, hint: &str) {
        if self.past.is_open() {
            self.say(Level::Ok, 0, format!("known when it runs: {why}, before the steps that come first"), None);
        } else {
            self.error(line, why.to_owned(), hint);
        }
        self.past.does_more(self.act);
    }

    async fn file(&mut self, part: &Part) {
        let dialect = if self.target.is_sqlite() { Dialect::Sqlite } else { Dialect::Postgres };
        // What cannot be split was said when the runbook was loaded.
        let pieces = part.statements(dialect).unwrap_or_default();
        let statements: Vec<Statement> =
            pieces.into_iter().map(|piece| Statement { sql: piece.sql, line: piece.line }).collect();
        let runbook = std::mem::replace(&mut self.place, part.path.clone());
        self.text(&statements).await;
        self.place = runbook;
    }
}
