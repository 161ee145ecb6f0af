//! Steps: what is common to all of them. What they do is in `verbs`.

use std::collections::BTreeSet;

use super::reader::Reader;
use super::{FormulaKind, Notes, Owner, dump, handed, mask, migrations, trouble, undo, values, verbs, verify};
use crate::runbook::expr::Place;
use crate::runbook::sql::Dialect;
use crate::runbook::suggest;
use crate::runbook::text::Located;
use crate::runbook::{Channel, Environment, Expr, OnFail, Runbook, Step, StepId, Verb};

/// What steps may name.
pub(super) struct Known {
    pub roles: Vec<String>,
    pub environments: Vec<Environment>,
    pub channels: Vec<Channel>,
}

impl Known {
    pub fn new(runbook: &Runbook) -> Self {
        Self {
            roles: runbook.roles.iter().map(|(id, _)| id.clone()).collect(),
            environments: runbook.environments.clone(),
            channels: runbook.channels.clone(),
        }
    }

    /// The kinds of server that a target may be on; PostgreSQL where nothing is known.
    pub fn dialects(&self, only: &[String], target: Option<&String>) -> BTreeSet<Dialect> {
        let dialect = |one: &Environment| target.map(|target| one.dialect(target));
        let mut all: BTreeSet<Dialect> = self.within(only).filter_map(dialect).collect();
        if all.is_empty() {
            all.insert(Dialect::Postgres);
        }
        all
    }

    /// The environments that `only` leaves, or all.
    pub(super) fn within(&self, only: &[String]) -> impl Iterator<Item = &Environment> {
        let chosen = only.to_vec();
        self.environments.iter().filter(move |one| chosen.is_empty() || chosen.contains(&one.name))
    }
}

/// Where a step stands.
pub(super) enum Home<'h> {
    Phase,
    /// Of a rollback plan, by its id and the title for steps that have none.
    Plan {
        plan: &'h str,
        title: String,
    },
    /// The undo of a step.
    Undo {
        title: &'h str,
        role: Option<String>,
        only: &'h [String],
    },
}

impl Home<'_> {
    pub fn owner(&self, id: &str) -> Owner {
        match self {
            Self::Phase => Owner::Step(id.to_owned()),
            Self::Plan { plan, .. } => Owner::Plan { plan: (*plan).to_owned(), step: id.to_owned() },
            Self::Undo { .. } => Owner::Undo(id.to_owned()),
        }
    }
}

/// Reads a step whose id is known, and reports its unknown keys.
pub(super) fn step(table: Reader<'_, '_>, known: &Known, home: &Home<'_>, id: &str) -> Step {
    let owner = home.owner(id);
    let only = match home {
        Home::Undo { only, .. } => only.to_vec(),
        _ => only(&table, known),
    };
    let title = title(&table, home, id);
    let role = match home {
        Home::Undo { role, .. } => role.clone(),
        _ => role(&table, known),
    };
    let verb = verbs::verb(&table, known, &owner, &only, matches!(home, Home::Undo { .. }));
    let facts = (verb.word, verb.facts);
    // What could not be read was said: nothing else of the step is to blame.
    let unread = verb.word != "wait" && matches!(verb.verb, Verb::Wait(_));
    let step = Step {
        id: StepId(id.to_owned()),
        help: (!matches!(home, Home::Undo { .. })).then(|| table.label("help")).flatten(),
        expects_nothing: says_none(&table),
        expect: expected(&table, &owner, facts),
        only_if: (!matches!(home, Home::Undo { .. })).then(|| expression(&table, "only_if", &owner, None)).flatten(),
        max_rows: if unread { table.whole("max_rows", 0..=u32::MAX) } else { max_rows(&table, &verb.verb) },
        mask: if matches!(home, Home::Undo { .. }) { Vec::new() } else { mask::columns(&table) },
        timeout: super::head::positive(&table, "timeout"),
        unrecord: table.flag("unrecord").unwrap_or(false),
        retries: retries(&table),
        on_fail: on_fail(&table, home),
        undo: undo::undo(&table, known, home, id, &title, role.as_ref(), &only),
        trouble: trouble::trouble(&table, &owner, &only, &verb),
        expected_time: table.duration("expected_time"),
        produces: verb.produces,
        env: if matches!(verb.word, "run" | "shell") { handed::env(&table) } else { Vec::new() },
        verify: verify::verify(&table, known, &owner, &only, verb.word, id),
        loses: loses(&table, home),
        line: table.notes.line_at(table.span.start),
        from: table.notes.origin(table.span.start),
        target: verb.target,
        verb: verb.verb,
        title,
        role,
        only,
    };
    let step = mask::with_undo(step);
    let at = if table.has("undo") { table.key_span("undo") } else { table.span.clone() };
    let step = if unread { step } else { migrations::completed(table.notes, at, step) };
    if step.unrecord && !matches!(home, Home::Undo { .. }) {
        table.refuse("unrecord", "`unrecord` belongs to the `undo` of a `migrations`", "write it there");
    }
    misplaced(&table, &step.verb);
    dump::costs(&table, &step.verb, home);
    if table.has("approvals") {
        let message = "`approvals` belongs to an environment: people approve a whole runbook, not a step";
        table.refuse("approvals", message, "write it in [environments.NAME]; a `poll` asks people within a run");
    }
    table.finish();
    step
}

fn title(table: &Reader<'_, '_>, home: &Home<'_>, id: &str) -> String {
    match home {
        Home::Undo { title, .. } => format!("Undo: {title}"),
        Home::Plan { title, .. } => table.label("title").unwrap_or_else(|| title.clone()),
        Home::Phase => table.label("title").unwrap_or_else(|| id.to_owned()),
    }
}

fn only(table: &Reader<'_, '_>, known: &Known) -> Vec<String> {
    let names: Vec<&str> = known.environments.iter().map(|one| one.name.as_str()).collect();
    let texts = table.texts("only").unwrap_or_default();
    for text in texts.iter().filter(|text| !names.contains(&text.text.as_str())) {
        let hint = suggest::hint(&text.text, &names, "the runbook has no [environments]");
        table.notes.at(text, format!("there is no environment `{}`", text.text), hint);
    }
    texts.into_iter().map(|text| text.text).collect()
}

fn role(table: &Reader<'_, '_>, known: &Known) -> Option<String> {
    let role = table.text("role")?;
    known_role(table.notes, &role, known).then_some(role.text)
}

pub(super) fn known_role(notes: &Notes<'_>, role: &Located, known: &Known) -> bool {
    let names: Vec<&str> = known.roles.iter().map(String::as_str).collect();
    let found = names.contains(&role.text.as_str());
    if !found {
        let hint = suggest::hint(&role.text, &names, "name it under [roles] first");
        notes.at(role, format!("there is no role `{}`", role.text), hint);
    }
    found
}

/// An expression under `key`.
pub(super) fn expression(
    table: &Reader<'_, '_>,
    key: &'static str,
    owner: &Owner,
    facts: Option<(&'static str, &'static [&'static str])>,
) -> Option<Expr> {
    let text = table.text(key)?;
    if text.text.trim().is_empty() {
        table.notes.at(&text, format!("`{key}` is empty"), "an example: value == 43");
        return None;
    }
    table.notes.formula(&text, FormulaKind::Expression, owner, facts);
    Some(Expr { line: table.notes.line(&text), source: text.text })
}

/// `expect = "none"`: that nothing is expected is said, not forgotten.
fn says_none(table: &Reader<'_, '_>) -> bool {
    table.text("expect").is_some_and(|text| text.text.trim() == "none")
}

fn expected(table: &Reader<'_, '_>, owner: &Owner, facts: (&'static str, &'static [&'static str])) -> Option<Expr> {
    if says_none(table) { None } else { expression(table, "expect", owner, Some(facts)) }
}

fn retries(table: &Reader<'_, '_>) -> u32 {
    table.whole("retries", 0..=100).unwrap_or(0)
}

fn max_rows(table: &Reader<'_, '_>, verb: &Verb) -> Option<u32> {
    if !table.has("max_rows") {
        return None;
    }
    match verb {
        Verb::Sql(script) if script.transaction && script.asks.is_rows() => table.whole("max_rows", 0..=u32::MAX),
        Verb::Sql(script) if script.asks.is_rows() => {
            let message = "`max_rows` cannot be kept outside of a transaction: nothing could be taken back";
            table.refuse("max_rows", message, "leave it out, or leave transaction = \"none\" out");
            None
        }
        other => {
            let message = format!("`max_rows` belongs to `sql` and `file`, not to `{}`", other.word());
            table.refuse("max_rows", message, "leave it out");
            None
        }
    }
}

fn on_fail(table: &Reader<'_, '_>, home: &Home<'_>) -> OnFail {
    if !matches!(home, Home::Phase) && table.has("on_fail") {
        let message = "`on_fail` has no meaning in a rollback: what fails there holds";
        table.refuse("on_fail", message, "leave it out");
        return OnFail::Hold;
    }
    const CHOICES: &[(&str, OnFail)] =
        &[("hold", OnFail::Hold), ("rollback", OnFail::Rollback), ("continue", OnFail::Continue)];
    values::one_of(table, "on_fail", CHOICES).unwrap_or_default()
}

fn loses(table: &Reader<'_, '_>, home: &Home<'_>) -> Option<String> {
    if matches!(home, Home::Phase) && table.has("loses") {
        let message = "`loses` says what a rollback costs: it belongs to an `undo` or to a step of a [[rollback]]";
        table.refuse("loses", message, "write it there");
        return None;
    }
    table.label("loses")
}

/// Keys that mean nothing for the step's verb.
fn misplaced(table: &Reader<'_, '_>, verb: &Verb) {
    if !verb.is_human() {
        return;
    }
    let timed = matches!(verb, Verb::Poll(_));
    for key in ["timeout", "retries"] {
        if table.has(key) && !(timed && key == "timeout") {
            let message = format!("`{key}` has no meaning for a `{}`: a person answers it", verb.word());
            table.refuse(key, message, "leave it out");
        }
    }
    if timed && table.has("timeout") && table.text("on_fail").is_some_and(|text| text.text == "continue") {
        let message = "a poll whose time runs out would be passed over: silence would be a go";
        table.refuse("on_fail", message, "leave it out: the run is then held, and a person decides");
    }
}

/// The target a step works on: the one it names, else `main`, else the only one there is.
pub(super) fn target(table: &Reader<'_, '_>, known: &Known, key: &'static str, only: &[String]) -> Option<String> {
    let named = table.text(key);
    let Some(named) = named else {
        if table.has(key) {
            return None;
        }
        return default_target(table, known, only);
    };
    for environment in known.within(only) {
        let names: Vec<&str> = environment.targets.iter().map(|(name, _)| name.as_str()).collect();
        if !names.contains(&named.text.as_str()) {
            let message = format!("the environment `{}` has no target `{}`", environment.name, named.text);
            let hint = suggest::hint(&named.text, &names, "name one under its `targets`");
            table.notes.at(&named, message, hint);
            return None;
        }
    }
    if known.environments.is_empty() {
        let message = format!("there is no target `{}`: the runbook has no [environments]", named.text);
        table.notes.at(&named, message, "write [environments.staging] with targets.main = \"env:DATABASE_URL\"");
        return None;
    }
    Some(named.text)
}

fn default_target(table: &Reader<'_, '_>, known: &Known, only: &[String]) -> Option<String> {
    let mut common: Option<Vec<String>> = None;
    for environment in known.within(only) {
        let names = environment.targets.iter().map(|(name, _)| name.clone());
        common = Some(match common {
            None => names.collect(),
            Some(before) => {
                let names: Vec<String> = names.collect();
                before.into_iter().filter(|name| names.contains(name)).collect()
            }
        });
    }
    let common = common.unwrap_or_default();
    if let Some(name) = common.iter().find(|name| *name == "main") {
        return Some(name.clone());
    }
    if let [name] = common.as_slice() {
        return Some(name.clone());
    }
    let span = table.span.clone();
    if common.is_empty() {
        let message = "this works on a database, and the environments name no target that all of them have";
        let hint = "write targets.main = \"env:DATABASE_URL\" under each [environments.…]";
        table.notes.say(span, message, hint);
    } else {
        let message = "which target? the environments have several";
        table.notes.say(span, message, format!("write target = \"…\": {}", common.join(", ")));
    }
    None
}

/// A template that stands in a step.
pub(super) fn template(notes: &Notes<'_>, text: &Located, place: Place, owner: &Owner) -> String {
    notes.template(text, place, owner);
    text.text.clone()
}
