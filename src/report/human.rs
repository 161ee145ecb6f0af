//! Steps that people answer: who did, and what came of it. The engine starts them, so who started them says nothing.

use crate::run::state::StepRun;
use crate::runbook::{Step, Verb};

/// Who answered a checklist or poll, and the result in words.
pub struct Answered {
    /// Everybody once, in the order of the lines or roles.
    pub by: String,
    pub result: String,
}

/// None: no step for people, or nobody has answered yet.
pub fn answered(step: &Step, run: &StepRun) -> Option<Answered> {
    let (people, result): (Vec<&str>, String) = match &step.verb {
        Verb::Checklist(items) => {
            let people = run.ticks.values().map(|tick| tick.by.as_str()).collect();
            (people, format!("{} of {} ticked", run.ticks.len(), items.len()))
        }
        Verb::Poll(roles) => {
            let votes = || roles.iter().filter_map(|role| Some((role.as_str(), run.votes.get(role)?)));
            let said: Vec<String> =
                votes().map(|(role, vote)| format!("{role} {}", if vote.go { "go" } else { "NO-GO" })).collect();
            (votes().map(|(_, vote)| vote.by.as_str()).collect(), said.join(", "))
        }
        _ => return None,
    };
    let mut by: Vec<&str> = Vec::new();
    for person in people {
        if !by.contains(&person) {
            by.push(person);
        }
    }
    (!by.is_empty()).then(|| Answered { by: by.join(", "), result })
}
