//! What a restore would lose: the rows that were written since its backup, by the server's own counters. They lag by about a
//! second, count the run's own writes too, know nothing of TRUNCATE, and are lost when the server crashes: then nothing is
//! claimed.

use super::dump::{Counter, Counters};
use super::event::Moment;
use super::state::RunState;
use super::words;
use crate::runbook::expr::{self, Place};
use crate::runbook::{Runbook, Step, StepId, Undo, Verb, clean};

/// Tables that are named; of the others only the sum is told.
const NAMED: usize = 8;
/// Tables that are kept by name: a journal is no place for thousands.
const KEPT: usize = 50;

/// By table, the most first: rows inserted, updated or deleted; beyond [`KEPT`] tables the sum of the others, last. Err: why
/// it is not known.
pub type Lost = Result<Vec<(String, u64)>, String>;

/// What was last found out of one backup.
#[derive(Clone, Debug, PartialEq)]
pub struct Loss {
    pub at: Moment,
    pub lost: Lost,
}

/// The writes between two looks at the counters.
pub fn between(before: &Counters, now: &Counters) -> Lost {
    if before.since != now.since {
        return Err("the server has begun to count anew".to_owned());
    }
    let mut lost = Vec::new();
    for table in &now.tables {
        let known = before.tables.iter().find(|known| known.oid == table.oid);
        let written = writes(known, table).ok_or("a counter of the server went backwards")?;
        if written > 0 {
            lost.push((table.name.clone(), written));
        }
    }
    lost.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let others = lost.split_off(lost.len().min(KEPT));
    if !others.is_empty() {
        let sum = others.iter().map(|(_, rows)| rows).sum();
        lost.push((format!("{} more", words::plural(others.len() as u64, "table")), sum));
    }
    Ok(lost)
}

/// A table that was not there is all new.
fn writes(known: Option<&Counter>, now: &Counter) -> Option<u64> {
    let none = Counter::default();
    let known = known.unwrap_or(&none);
    let inserted = now.inserted.checked_sub(known.inserted)?;
    let updated = now.updated.checked_sub(known.updated)?;
    let deleted = now.deleted.checked_sub(known.deleted)?;
    Some(inserted + updated + deleted)
}

/// In words, without foreign characters.
pub fn words_of(lost: &Lost) -> String {
    match lost {
        Err(why) => format!("how many rows were written since is not known: {}", clean::line(why, 200)),
        Ok(tables) if tables.is_empty() => "no row was written since, as far as the server has counted".to_owned(),
        Ok(tables) => {
            let sum: u64 = tables.iter().map(|(_, rows)| rows).sum();
            let named = tables.iter().take(NAMED).map(|(name, rows)| format!("{} {rows}", clean::line(name, 80)));
            let more = if tables.len() > NAMED { ", and others" } else { "" };
            format!("about {} written since: {}{more}", words::plural(sum, "row"), named.collect::<Vec<_>>().join(", "))
        }
    }
}

/// What the restores among these steps would lose, one sentence each.
pub fn of_steps<'a>(book: &Runbook, state: &RunState, steps: impl Iterator<Item = &'a Step>) -> Vec<String> {
    steps.filter_map(|step| of_step(book, state, step)).collect()
}

fn of_step(book: &Runbook, state: &RunState, step: &Step) -> Option<String> {
    let Verb::Restore(restore) = &step.verb else { return None };
    let context = super::context::of(book, state);
    let file = expr::render(&restore.file, Place::Text, &context).ok()?;
    let taken = state.steps.iter().filter_map(|(id, run)| {
        let facts = run.facts.as_ref()?;
        let taken = facts.taken.as_ref().filter(|_| facts.file.as_ref().is_some_and(|made| made.path == file))?;
        Some((taken, id, facts))
    });
    let Some((_, id, facts)) = taken.max_by(|a, b| a.0.cmp(b.0)) else {
        return Some(format!(
            "{}: not taken by this run, what was written since is not known",
            clean::line(&file, 120)
        ));
    };
    let age = super::dump::age_s(facts, state.at.wall).unwrap_or_default().unsigned_abs();
    let age = format!("backup {id} is {} old", super::describe::duration(age.saturating_mul(1_000)));
    Some(match state.losses.get(id) {
        Some(loss) => {
            let ago = super::describe::duration(state.at.ms.saturating_sub(loss.at.ms));
            format!("{age}; {} (seen {ago} ago)", words_of(&loss.lost))
        }
        None => format!("{age}; what was written since was not counted yet"),
    })
}

/// The backups whose loss is worth knowing, where some way back of the runbook restores: step, target, counters of then.
pub fn watched<'a>(book: &'a Runbook, state: &'a RunState) -> Vec<(&'a StepId, &'a str, &'a Counters)> {
    let restores = |step: &Step| matches!(step.verb, Verb::Restore(_));
    let undone = |step: &Step| matches!(&step.undo, Undo::By(undo) if restores(undo));
    let some = book.rollbacks.iter().flat_map(|plan| &plan.steps).any(restores) || book.steps().any(undone);
    let backups = book.steps().filter(move |step| some && matches!(step.verb, Verb::Backup(_)));
    let counted = |step: &'a Step| {
        let counters = state.steps.get(&step.id)?.facts.as_ref()?.counters.as_deref()?;
        let target = step.target.as_deref()?;
        // Whom a new engine is only about to reach is not silent yet.
        let answered = state.targets.get(target).is_some_and(|run| run.reached || run.lost.is_some());
        answered.then_some((&step.id, target, counters))
    };
    backups.filter_map(counted).collect()
}

/// The reason of a rollback with what it costs by the last count, for the journal and every face.
pub fn priced(book: &Runbook, state: &RunState, plan: Option<&str>, reason: String) -> String {
    let steps: Vec<&Step> = match plan.and_then(|plan| book.plan(plan)) {
        Some(plan) => plan.steps.iter().collect(),
        None => super::plan::way_back(book, state)
            .undo
            .iter()
            .filter_map(|id| match &book.step(id)?.undo {
                Undo::By(undo) => Some(&**undo),
                _ => None,
            })
            .collect(),
    };
    let lost = of_steps(book, state, steps.into_iter());
    match lost.is_empty() {
        true => reason,
        false if reason.is_empty() => lost.join("; "),
        false => format!("{reason}; {}", lost.join("; ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counters(since: &str, tables: &[(u32, u64, u64, u64)]) -> Counters {
        let tables = tables.iter().map(|&(oid, inserted, updated, deleted)| Counter {
            oid,
            name: format!("t{oid}"),
            inserted,
            updated,
            deleted,
        });
        Counters { since: since.to_owned(), tables: tables.collect() }
    }

    #[test]
    fn what_was_written_is_counted_by_table_the_most_first() {
        let before = counters("a", &[(1, 5, 0, 0), (2, 0, 0, 0), (3, 9, 9, 9)]);
        let now = counters("a", &[(1, 6, 2, 0), (2, 0, 0, 0), (4, 7, 0, 1)]);
        let lost = between(&before, &now);
        assert_eq!(lost, Ok(vec![("t4".to_owned(), 8), ("t1".to_owned(), 3)]));
        assert_eq!(words_of(&lost), "about 11 rows written since: t4 8, t1 3");
        assert_eq!(between(&before, &before), Ok(Vec::new()));
    }

    #[test]
    fn of_many_tables_those_with_the_most_are_kept_and_the_sum_of_the_others() {
        let tables: Vec<_> = (1..=1_000).map(|n| (n, u64::from(n), 0, 0)).collect();
        let lost = between(&counters("a", &[]), &counters("a", &tables)).unwrap();
        assert_eq!(lost.len(), KEPT + 1);
        assert_eq!((&lost[0], lost[KEPT].0.as_str()), (&("t1000".to_owned(), 1_000), "950 tables more"));
        assert_eq!(lost.iter().map(|(_, rows)| rows).sum::<u64>(), 500_500);
        assert!(words_of(&Ok(lost)).ends_with("t993 993, and others"));
    }

    #[test]
    fn a_target_is_asked_once_it_was_reached() {
        let text = "format = 1\nid = \"b\"\n[environments.test]\ntargets.main = { url = \"postgres://h/d\" }\n\
                    [[phase]]\nid = \"prepare\"\n[[phase.step]]\nid = \"save\"\nbackup = \"a.dump\"\n\
                    [[rollback]]\nid = \"r\"\n[[rollback.step]]\nrestore = \"a.dump\"\nloses = \"all\"\n";
        let source = crate::runbook::Source { name: "b.toml".into(), text: text.into(), ..Default::default() };
        let book = crate::runbook::from_source(source, &Default::default()).unwrap();
        let mut state = RunState::default();
        let facts = crate::run::Facts { counters: Some(Box::new(counters("a", &[]))), ..Default::default() };
        let run = crate::run::state::StepRun { facts: Some(facts), ..Default::default() };
        state.steps.insert("save".into(), run);
        assert!(watched(&book, &state).is_empty(), "not reached yet");
        let target = state.targets.entry("main".to_owned()).or_default();
        target.reached = true;
        assert_eq!(watched(&book, &state).len(), 1);
        let target = state.targets.entry("main".to_owned()).or_default();
        (target.reached, target.lost) = (false, Some("gone".to_owned()));
        assert_eq!(watched(&book, &state).len(), 1, "what is lost is told");
    }

    #[test]
    fn what_cannot_be_known_is_never_zero() {
        let before = counters("a", &[(1, 5, 0, 0)]);
        assert!(between(&before, &counters("b", &[(1, 5, 0, 0)])).is_err(), "counted anew");
        let backwards = between(&before, &counters("a", &[(1, 4, 9, 0)]));
        assert!(words_of(&backwards).contains("is not known"), "{backwards:?}");
    }
}
