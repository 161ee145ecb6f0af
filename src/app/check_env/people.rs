//! Whether the people and the rehearsal that an environment wants are there.

use std::path::Path;
use std::sync::Arc;

use super::Look;
use crate::app::{approve, rehearsed};
use crate::cli::CheckArgs;
use crate::journal::Home;
use crate::run::words;

impl Look {
    pub async fn people(&mut self, args: &CheckArgs, file: &Path) {
        let book = Arc::clone(&self.book);
        let Some(environment) = book.environment(&self.environment) else { return };
        let set = &self.state.opened.set;
        match approve::needed(args.shared.approvals.as_deref(), &book, &environment.name, set, file) {
            Ok(people) if people.is_empty() => {}
            Ok(people) => {
                let names: Vec<String> = people.iter().map(|one| words::name(&one.by)).collect();
                self.ok("approvals", format!("approved by {}", names.join(", ")));
            }
            Err(stop) => self.warn("approvals", stop.words, "a live run is refused until then"),
        }
        if !environment.rehearsal {
            return;
        }
        let last = match Home::new(args.place.journal.as_deref()) {
            Ok(home) => rehearsed::last(&home, &book).await,
            Err(_) => None,
        };
        match last {
            Some(last) if last.same_digest => {
                let at = words::date(last.at, book.window.zone);
                let what = format!("rehearsed as it is on {at} in {}", words::name(&last.environment));
                match last.otherwise() {
                    None => self.ok("rehearsal", what),
                    Some(otherwise) => {
                        let hint = "it counts; what these values change has not been tried";
                        self.warn("rehearsal", format!("{what}, with other values: {otherwise}"), hint);
                    }
                }
            }
            _ => {
                let what = "no rehearsal of this very runbook is known in this journal folder";
                self.warn("rehearsal", what, "rehearse it (gonogo rehearse), or say why not with --unrehearsed");
            }
        }
    }
}
