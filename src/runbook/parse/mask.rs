//! `mask`: names of columns whose values are kept out of everything that is kept.

use std::collections::BTreeSet;

use super::reader::Reader;
use crate::runbook::{Step, Undo};

/// The columns that a step, or an environment, masks.
pub(super) fn columns(table: &Reader<'_, '_>) -> Vec<String> {
    let texts = table.texts("mask").unwrap_or_default();
    let mut seen = BTreeSet::new();
    for text in &texts {
        let name = text.text.trim();
        let plain = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '$' | ' ' | '-'));
        if !plain {
            let hint = "write names alone, as in mask = [\"email\", \"ip\"]: no table, no quotes, no pattern";
            table.notes.at(text, format!("`{}` is not the name of a column", text.text), hint);
        } else if !seen.insert(name.to_lowercase()) {
            table.notes.at(
                text,
                format!("`{name}` is named twice"),
                "remove one of them: upper and lower case are one",
            );
        }
    }
    texts.into_iter().map(|text| text.text.trim().to_owned()).collect()
}

/// What a step masks its undo masks too.
pub(super) fn with_undo(mut step: Step) -> Step {
    if let Undo::By(undo) = &mut step.undo {
        undo.mask.clone_from(&step.mask);
    }
    step
}
