//! Variables that a script expands and nobody hands to it.

use crate::lint::desk::{Act, Desk};
use crate::lint::rule::Rule;
use crate::runbook::{Verb, shell};

pub(super) static RULES: &[&Rule] = &[&UNSET];

static UNSET: Rule = Rule::error(
    "shell-variable-not-handed",
    "a command has a small environment of its own: what is not named does not reach it, and `shell` ends at a variable that is not set",
    "write env = [\"NAME\"]; for a database connect = \"main\" and PG* variables; ${NAME:-} where it may be missing",
);

pub(super) fn check(desk: &Desk<'_>) {
    for act in &desk.acts {
        let Some((script, nth)) = script(act) else { continue };
        for (name, at) in shell::unset(script) {
            let handed = act.step.handed().any(|handed| handed == name);
            let connected = act.step.target.is_some() && (name.starts_with("PG") || name == "GONOGO_SQLITE");
            if handed || connected {
                continue;
            }
            let mut spot = act.verb().part(at);
            spot.path.extend(nth.map(crate::runbook::Seg::Nth));
            let words = match act.step.verb {
                Verb::Shell(_) => format!("`${name}` is set by nothing here: the script ends there, always"),
                _ => format!("`${name}` is set by nothing here: it is empty, always"),
            };
            desk.step(&UNSET, act, &spot, words);
        }
    }
}

/// A script and the number of the argument that it is: `shell`, or `run = ["bash", "-c", "…"]`. A login shell reads files that may
/// set anything.
fn script<'b>(act: &'b Act<'_>) -> Option<(&'b str, Option<usize>)> {
    match &act.step.verb {
        Verb::Shell(text) => Some((text, None)),
        Verb::Run(argv) => {
            let [program, flags, text, ..] = argv.as_slice() else { return None };
            let is_shell = matches!(program.rsplit('/').next(), Some("sh" | "bash" | "dash"));
            let plain = flags.strip_prefix('-').is_some_and(|flags| {
                flags.ends_with('c') && flags.chars().all(|flag| matches!(flag, 'e' | 'u' | 'x' | 'c'))
            });
            (is_shell && plain).then_some((text, Some(2)))
        }
        _ => None,
    }
}
