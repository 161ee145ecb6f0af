//! Every name that an expression or template mentions must be known where it stands, and be there by then.

use std::collections::BTreeMap;
use std::ops::Range;

use super::{json, shell};
use crate::runbook::expr::{self, FACT_NAMES, Flaw, Part, Place, RUN_NAMES, Reference, TARGET_NAMES};
use crate::runbook::parse::{Formula, FormulaKind, Notes, Owner, facts_of, names};
use crate::runbook::{Runbook, Step, StepId, suggest};

pub(super) fn check(notes: &Notes<'_>, runbook: &Runbook) {
    let order: BTreeMap<&str, usize> = runbook.steps().enumerate().map(|(n, step)| (step.id.0.as_str(), n)).collect();
    let plans = runbook.rollbacks.iter().flat_map(|plan| &plan.steps);
    let steps: BTreeMap<&str, &Step> = runbook.steps().chain(plans).map(|step| (step.id.0.as_str(), step)).collect();
    // What is not noted any more is not looked at: a hint compares a name with every other.
    for formula in notes.formulas.take().iter().take_while(|_| !notes.is_full()) {
        let checker = Checker { notes, runbook, order: &order, steps: &steps, formula };
        checker.check();
    }
}

struct Checker<'c> {
    notes: &'c Notes<'c>,
    runbook: &'c Runbook,
    /// The place of each step of a phase.
    order: &'c BTreeMap<&'c str, usize>,
    /// Every step, rollback plans included.
    steps: &'c BTreeMap<&'c str, &'c Step>,
    formula: &'c Formula,
}

impl Checker<'_> {
    fn check(&self) {
        let text = &self.formula.text.text;
        let references = match self.formula.kind {
            FormulaKind::Expression => expr::expression_names(text),
            FormulaKind::Template(_) | FormulaKind::Sql => expr::template_names(text).map(|names| {
                let (notes, runbook, text) = (self.notes, self.runbook, &self.formula.text);
                match self.formula.kind {
                    FormulaKind::Template(Place::Shell) => shell::check(notes, runbook, text, &names.emits),
                    FormulaKind::Template(Place::Json) => json::check(notes, runbook, text, &names.emits),
                    _ => {}
                }
                names.references
            }),
        };
        match references {
            Ok(references) => references.iter().for_each(|one| self.reference(one)),
            Err(flaw) => self.flaw(flaw),
        }
    }

    fn flaw(&self, flaw: Flaw) {
        let hint = if self.formula.kind == FormulaKind::Expression {
            flaw.hint
        } else {
            format!("{}; a {{{{ that is meant literally stands in {{% raw %}}…{{% endraw %}}", flaw.hint)
        };
        self.say(flaw.at, flaw.message, hint);
    }

    fn say(&self, at: Range<usize>, message: impl Into<String>, hint: impl Into<String>) {
        self.notes.within(&self.formula.text, at, message, hint);
    }

    fn reference(&self, one: &Reference) {
        let root = one.root.as_str();
        if self.runbook.vars.iter().any(|(name, _)| name == root) {
            return self.plain(one);
        }
        match root {
            "run" => self.part_of(one, RUN_NAMES),
            "target" if self.formula.owner != Owner::Target => self.target(one),
            "steps" if self.sees_steps() => self.step(one),
            _ if FACT_NAMES.contains(&root) => self.fact(one),
            _ if self.runbook.probe(root).is_some() && self.sees_probes() => self.plain(one),
            _ => self.unknown(one),
        }
    }

    fn sees_steps(&self) -> bool {
        !matches!(self.formula.owner, Owner::Target | Owner::Probe)
    }

    fn sees_probes(&self) -> bool {
        self.sees_steps()
    }

    /// A number or text has no parts.
    fn plain(&self, one: &Reference) {
        if let Some(part) = names(one.path.first()) {
            let message = format!("`{}` is one value: it has no `{part}`", one.root);
            self.say(one.at.clone(), message, format!("write `{}` alone", one.root));
        }
    }

    fn part_of(&self, one: &Reference, known: &[&str]) {
        match names(one.path.first()) {
            Some(part) if known.contains(&part) => {}
            Some(part) => {
                let message = format!("`{}` has no `{part}`", one.root);
                self.say(one.at.clone(), message, suggest::hint(part, known, ""));
            }
            None => {
                let message = format!("which part of `{}`?", one.root);
                self.say(
                    one.at.clone(),
                    message,
                    format!("write {}.{}", one.root, known.join(&format!(", {}.", one.root))),
                );
            }
        }
    }

    fn target(&self, one: &Reference) {
        let mut known: Vec<&str> = Vec::new();
        for environment in &self.runbook.environments {
            known.extend(environment.targets.iter().map(|(name, _)| name.as_str()));
        }
        known.sort_unstable();
        known.dedup();
        let Some(name) = names(one.path.first()) else {
            self.say(one.at.clone(), "which target?", "write target.main.database");
            return;
        };
        if !known.contains(&name) {
            let hint = suggest::hint(name, &known, "name one under [environments]");
            self.say(one.at.clone(), format!("there is no target `{name}`"), hint);
            return;
        }
        match names(one.path.get(1)) {
            Some(part) if TARGET_NAMES.contains(&part) => {}
            Some(part) => {
                let message = format!("a target has no `{part}`");
                self.say(one.at.clone(), message, suggest::hint(part, TARGET_NAMES, ""));
            }
            None => {
                let message = format!("what of the target `{name}`?");
                self.say(one.at.clone(), message, format!("known here: {}", TARGET_NAMES.join(", ")));
            }
        }
    }

    fn step(&self, one: &Reference) {
        let Some(id) = names(one.path.first()) else {
            self.say(one.at.clone(), "which step?", "name it in quotes: steps['count-tables'].value");
            return;
        };
        let id = StepId::from(id);
        let Some(step) = self.steps.get(id.0.as_str()) else {
            if self.notes.lacks_a_part() {
                return;
            }
            let all: Vec<&str> = self.runbook.steps().map(|step| step.id.0.as_str()).collect();
            self.say(one.at.clone(), format!("there is no step `{id}`"), suggest::hint(&id.0, &all, ""));
            return;
        };
        if let Err((message, hint)) = self.is_earlier(&id) {
            self.say(one.at.clone(), message, hint);
            return;
        }
        self.fact_of(one, step);
    }

    fn fact_of(&self, one: &Reference, step: &Step) {
        let known = facts_of(&step.verb, step.produces.is_some());
        match one.path.get(1) {
            Some(Part::Name(fact)) if known.contains(&fact.as_str()) => {}
            Some(Part::Name(fact)) => {
                let message =
                    format!("the step `{}` brings home no `{fact}` (its verb is `{}`)", step.id, step.verb.word());
                self.say(one.at.clone(), message, format!("it brings home: {}", known.join(", ")));
            }
            _ => {
                let message = format!("which fact of the step `{}`?", step.id);
                self.say(one.at.clone(), message, format!("it brings home: {}", known.join(", ")));
            }
        }
    }

    /// Err: message and hint, where the step has not run when this is evaluated.
    fn is_earlier(&self, id: &StepId) -> Result<(), (String, String)> {
        let place = |id: &str| self.order.get(id).copied();
        let theirs = place(&id.0);
        let late = |own: &str| {
            let message = format!("the step `{id}` comes after this one, so nothing is known of it yet");
            (message, format!("use a step above `{own}`, or move the step"))
        };
        match &self.formula.owner {
            Owner::Watch if theirs.is_none() => Err((
                format!("`{id}` is a step of a rollback plan, which may never run"),
                "use a step of a phase".into(),
            )),
            Owner::Step(own) if *own == id.0 => Err((
                "a step's own facts have no other name here".into(),
                if self.formula.facts.is_some() {
                    "write the fact alone: value == 43".into()
                } else {
                    "they are known only when it has run: use `expect`".into()
                },
            )),
            Owner::Step(own) if theirs.is_none() || theirs > place(own) => Err(late(own)),
            Owner::Undo(own) if theirs.is_none() || theirs > place(own) => Err(late(own)),
            Owner::Plan { plan, step } if theirs.is_none() => {
                let steps = self.runbook.plan(plan).map(|plan| plan.steps.as_slice()).unwrap_or_default();
                let before = steps.iter().take_while(|known| known.id.0 != *step);
                if before.into_iter().any(|known| known.id == *id) { Ok(()) } else { Err(late(step)) }
            }
            _ => Ok(()),
        }
    }

    fn fact(&self, one: &Reference) {
        let root = &one.root;
        let Some((verb, known)) = self.formula.facts else {
            let message = format!("`{root}` is a fact of a step that has run, and none has here");
            let hint = if self.sees_steps() {
                format!("name the step: steps['its-id'].{root}")
            } else {
                "only variables, `run` and `target` are known here".to_owned()
            };
            return self.say(one.at.clone(), message, hint);
        };
        if !known.contains(&root.as_str()) {
            let hint = if root == "file" && known.contains(&"exit") {
                "say which file with `produces`".to_owned()
            } else {
                format!("it brings home: {}", known.join(", "))
            };
            let article = if matches!(verb, "sql" | "http") { "an" } else { "a" };
            self.say(one.at.clone(), format!("{article} `{verb}` brings home no `{root}`"), hint);
        }
    }

    fn unknown(&self, one: &Reference) {
        let mut known: Vec<&str> = self.runbook.vars.iter().map(|(name, _)| name.as_str()).collect();
        known.push("run");
        if self.formula.owner != Owner::Target {
            known.push("target");
        }
        if self.sees_steps() {
            known.push("steps");
            known.extend(self.runbook.probes.iter().map(|probe| probe.id.as_str()));
        }
        if let Some((_, facts)) = self.formula.facts {
            known.extend(facts);
        }
        let root = &one.root;
        // It may be a probe of a file that was not included, unless it is clear what was meant.
        if self.notes.lacks_a_part() && suggest::nearest(root, known.iter().copied()).is_none() {
            return;
        }
        let message = format!("unknown name `{root}`");
        if self.runbook.probe(root).is_some() {
            let hint = "probes are known to steps, triggers and criteria, not here";
            return self.say(one.at.clone(), message, hint);
        }
        self.say(one.at.clone(), message, suggest::hint(root, &known, ""));
    }
}
