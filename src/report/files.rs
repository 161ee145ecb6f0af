//! The section of the Markdown report that lists which migration files were applied, by step.

use serde_json::Value;

use super::escape::code;
use super::markdown::Page;
use super::model::Report;
use crate::run::words;

/// Nothing where no step applied a file.
pub fn section(page: &mut Page, report: &Report) {
    let mut rows = Vec::new();
    for step in &report.steps {
        let Some(facts) = step.facts.as_ref().filter(|facts| facts.files.is_some()) else { continue };
        for file in &facts.table {
            let text = |name: &str| file.get(name).and_then(Value::as_str).map(code).unwrap_or_default();
            // A file of an earlier attempt, or one whose end no engine saw, has no time.
            let took = file.get("ms").and_then(Value::as_u64).map(words::duration).unwrap_or_default();
            rows.push(vec![code(&step.id), text("version"), text("name"), took]);
        }
    }
    if !rows.is_empty() {
        page.heading("Migration files");
        page.table(&["Step", "Version", "File", "Took"], rows);
    }
}
