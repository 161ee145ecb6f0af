//! `env`: which variables of the operator's environment a command is given.

use super::reader::Reader;
use crate::runbook::Secret;

/// Names that gonogo itself gives a value.
const OWN: &[&str] = &["PATH", "HOME", "USER", "LANG", "TZ", "SHELL", "TMPDIR", "TERM"];

pub(super) fn env(table: &Reader<'_, '_>) -> Vec<Secret> {
    let mut names: Vec<Secret> = Vec::new();
    for text in table.texts("env").unwrap_or_default() {
        let name = text.text.as_str();
        let one = Secret::Env(name.to_owned());
        if !is_name(name) {
            let hint = "write names, such as env = [\"KUBECONFIG\"]; values stay where they are";
            table.notes.at(&text, "this is not the name of an environment variable", hint);
        } else if OWN.contains(&name) || name.starts_with("LC_") || name.starts_with("GONOGO_") {
            table.notes.at(&text, format!("commands have `{name}` anyway"), "leave it out");
        } else if names.contains(&one) {
            table.notes.at(&text, format!("`{name}` is named twice"), "remove one of them");
        } else {
            names.push(one);
        }
    }
    names
}

fn is_name(text: &str) -> bool {
    let first = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    first && text.len() <= 200 && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
