//! Findings as SARIF 2.1.0, for the tools that collect what checkers say.

use serde_json::{Value, json};

use super::finding::{Ends, Finding, Findings};
use super::rule::{Rule, rules};
use crate::runbook::clean;

/// Graphemes of a text.
const TEXT: usize = 400;
const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

/// One log with one run over all files. `version`: the program's.
pub fn sarif(files: &[Findings], version: &str) -> Value {
    let rules = rules();
    let results: Vec<Value> = files
        .iter()
        .map(|all| (all, Ends::of(all)))
        .flat_map(|(all, ends)| {
            let of_one = |one| result(&ends, one, &rules);
            all.list.iter().map(of_one).collect::<Vec<_>>()
        })
        .collect();
    let described: Vec<Value> = rules.iter().map(|rule| descriptor(rule)).collect();
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": { "name": "gonogo", "semanticVersion": version, "rules": described } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn descriptor(rule: &Rule) -> Value {
    json!({
        "id": rule.id,
        "shortDescription": { "text": rule.reason },
        "help": { "text": rule.recipe },
        "defaultConfiguration": { "level": rule.severity.word() },
    })
}

fn result(ends: &Ends<'_>, finding: &Finding, rules: &[&Rule]) -> Value {
    let problem = &finding.problem;
    let mut place = json!({ "artifactLocation": { "uri": uri(&problem.file) } });
    if problem.line > 0 {
        let (end_line, end_column) = ends.end(problem);
        place["region"] = json!({
            "startLine": problem.line,
            "startColumn": problem.column,
            "endLine": end_line.max(problem.line),
            "endColumn": end_column.max(1),
        });
    }
    let text = format!("{}. {}", clean::line(&problem.message, TEXT), clean::line(&problem.hint, TEXT));
    let mut result = json!({
        "ruleId": finding.rule.id,
        "level": finding.rule.severity.word(),
        "message": { "text": text },
        "locations": [{ "physicalLocation": place }],
    });
    if let Some(index) = rules.iter().position(|rule| rule.id == finding.rule.id) {
        result["ruleIndex"] = json!(index);
    }
    if let Some(waived) = &finding.waived {
        let reason = clean::line(&waived.reason, TEXT);
        result["suppressions"] = json!([{ "kind": "inSource", "status": "accepted", "justification": reason }]);
    }
    result
}

/// A path as a URI reference: every byte that may not stand in one is percent-encoded.
fn uri(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => out.push(char::from(byte)),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    if path.starts_with('/') { format!("file://{out}") } else { out }
}
