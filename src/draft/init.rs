//! A new runbook: a window of the usual shape around a folder of SQL files, with comments where a person has to think.

use std::fmt::Write as _;

use super::fit::{Fit, fit};
use super::query;
use super::write::{Ids, block, comment, literal, quote, slug};
use crate::runbook::sql;

/// What a new runbook is made of.
pub struct Answers {
    pub title: String,
    /// An id of the language.
    pub id: String,
    /// The environment's name: an id of the language.
    pub environment: String,
    pub protected: bool,
    /// The name of the environment variable that holds the database's address.
    pub variable: String,
    /// How long the window lasts: a duration of the language.
    pub lasts: String,
    /// In the order in which they are to run.
    pub files: Vec<SqlFile>,
}

/// A file of SQL.
pub struct SqlFile {
    /// From the runbook's folder, as `file` takes it.
    pub path: String,
    /// Err: why it cannot be used, in a few words.
    pub text: Result<String, String>,
}

/// A file's part in the runbook.
struct Part<'a> {
    file: &'a SqlFile,
    fit: Fit,
    only_reads: bool,
    undo: Option<(&'a SqlFile, Fit)>,
}

/// The text of a `runbook.toml`. `schema`: its first line.
pub fn runbook(answers: &Answers, schema: &str) -> String {
    let mut left_out = Vec::new();
    let parts = parts(&answers.files, &mut left_out);
    let mut out = head(answers, schema);
    out.push_str(PREPARE);
    out.push_str("[[phase]]\nid = \"migrate\"\n\n");
    let mut taken = Ids::of(&["backup", "ready", "go", "changes", "answers", "checked"]);
    let changes: Vec<&Part<'_>> = parts.iter().filter(|part| !part.only_reads).collect();
    let mut unsaid: Vec<(String, String)> = Vec::new();
    for part in &changes {
        unsaid.extend(step(&mut out, part, &mut taken).map(|id| (id, part.file.path.clone())));
    }
    if changes.is_empty() {
        out.push_str(NO_CHANGES);
    }
    verify(&mut out, &parts, &mut taken);
    out.push_str(ENDING);
    waivers(&mut out, &unsaid);
    if !left_out.is_empty() {
        out.push_str("\n# Left out:\n");
        for words in left_out {
            let _ = writeln!(out, "#   {}", comment(&words));
        }
    }
    out
}

/// What nobody has said yet is answered for by name, and stands in every report until somebody says it.
fn waivers(out: &mut String, unsaid: &[(String, String)]) {
    if !unsaid.is_empty() {
        out.push_str("\n# TODO: how are these taken back? Say it in the step's `undo`, then its waiver goes.\n");
    }
    for (id, path) in unsaid {
        let reason = quote(&format!("TODO: nobody has said yet how {path} is taken back; a rollback asks"));
        let _ = writeln!(out, "[[waive]]\nrule   = \"step-without-undo\"\nstep   = {}\nreason = {reason}\n", quote(id));
    }
}

fn head(answers: &Answers, schema: &str) -> String {
    let title = literal(&answers.title).unwrap_or_else(|| answers.id.clone());
    let protected = if answers.protected {
        "protected    = true                     # the database's name is typed before the first step\n"
    } else {
        ""
    };
    format!(
        "{schema}
# One file is one maintenance window. `gonogo check` reads it as a run would, `gonogo plan` prints what would be sent.
format = 1
id     = {id}
title  = {title}
window = {{ lasts = {lasts} }}                  # starts = 2024-01-31T08:00:00Z plans it; without, it starts with the run

[roles]
dba = \"Database admin\"
app = \"Application\"

[vars]
backup = \"backups/{{{{ run.id }}}}.dump\"

[environments.{environment}]
{protected}targets.main = {url}

# A number, measured again and again, and what it does when it is bad:
# [[probe]]
# id    = \"error_rate\"
# unit  = \"%\"
# every = \"5s\"
# prometheus = {{ url = \"env:PROMETHEUS_URL\", query = '100 * sum(rate(http_requests_total{{status=~\"5..\"}}[1m])) / sum(rate(http_requests_total[1m]))' }}
#
# [[trigger]]
# id      = \"errors-high\"
# when    = \"error_rate > 2\"
# lasting = \"30s\"
# during  = [\"migrate\", \"verify\", \"monitor\"]
# then    = \"rollback\"                     # warn | hold | rollback
# missing = \"hold\"                         # no data is not good data

",
        id = quote(&answers.id),
        title = quote(&title),
        lasts = quote(&answers.lasts),
        environment = answers.environment,
        url = quote(&format!("env:{}", answers.variable)),
    )
}

const PREPARE: &str = r#"[[phase]]
id = "prepare"

[[phase.step]]
id      = "backup"
title   = "Take the backup, and read all of it"
role    = "dba"
backup  = "{{ backup }}"                   # or { file = "{{ backup }}", prove = "restore" }: it is restored, too, and its rows counted
expect  = "value > 0"                      # rows of all tables
timeout = "1h"

[[phase.step]]
id        = "ready"
title     = "Ready to migrate"
checklist = [
  "Everybody concerned was told",
  "The same files ran on a copy of this database",
  { ask = "Who decides if something goes wrong?", answer = "required" },
]

[[phase.step]]
id    = "go"
title = "Go / no-go"
poll  = ["dba", "app"]

"#;

const NO_CHANGES: &str = r#"# No SQL file was found: a step looks like this.
# [[phase.step]]
# id     = "add-column"
# title  = "Add the column"
# file   = "sql/add_column.sql"            # or sql = "alter table …"
# undo   = { file = "sql/add_column_down.sql" }
[[phase.step]]
id        = "changes"
title     = "The changes"
checklist = ["This step was replaced by the real ones"]

"#;

const ENDING: &str = r#"[[phase]]
id    = "monitor"
lasts = "30m"                              # holds here, triggers armed, until the time is over

# Another way back than the undo of every done step:
# [[rollback]]
# id    = "restore"
# title = "Restore the backup"
# [[rollback.step]]
# restore = "{{ backup }}"                 # all of it in one transaction; stop the application first
# loses   = "every write since the backup"

[[followup]]
title     = "Delete the backup"
due       = "+48h"
checklist = ["The backup of this window was removed, or moved to where it is kept"]
"#;

/// Which file does what, in their order.
fn parts<'a>(files: &'a [SqlFile], left_out: &mut Vec<String>) -> Vec<Part<'a>> {
    let mut parts = Vec::new();
    for file in files.iter().filter(|file| base_of_down(&file.path).is_none()) {
        let (fit, only_reads) = match usable(file) {
            Ok(found) => found,
            Err(why) => {
                left_out.push(format!("{}: {why}", file.path));
                continue;
            }
        };
        let base = base_of_up(&file.path);
        let down = files.iter().find(|down| base_of_down(&down.path).is_some_and(|of| of == base));
        let undo = down.filter(|_| !only_reads).and_then(|down| match usable(down) {
            Ok((fit, _)) => Some((down, fit)),
            Err(why) => {
                left_out.push(format!("{}: {why}", down.path));
                None
            }
        });
        parts.push(Part { file, fit, only_reads, undo });
    }
    let used: Vec<&str> =
        parts.iter().filter_map(|part| part.undo.as_ref().map(|(down, _)| down.path.as_str())).collect();
    for down in files.iter().filter(|file| base_of_down(&file.path).is_some() && !used.contains(&file.path.as_str())) {
        if !left_out.iter().any(|words| words.starts_with(&format!("{}: ", down.path))) {
            left_out.push(format!("{}: a way back, but of which file?", down.path));
        }
    }
    parts
}

/// How it can be a step, and whether it only reads. Err: why it cannot.
fn usable(file: &SqlFile) -> Result<(Fit, bool), String> {
    let text = file.text.as_ref().map_err(Clone::clone)?;
    for sign in ["{{", "{%", "{#"] {
        if text.contains(sign) || file.path.contains(sign) {
            return Err(format!("it holds `{sign}`, which would be read as a template"));
        }
    }
    let fit = fit(text).map_err(|finding| format!("{} ({})", finding.message, finding.hint))?;
    let only_reads = !fit.alone && sql::only_reads(fit.without.as_deref().unwrap_or(text));
    Ok((fit, only_reads))
}

/// `sql/011_down.sql`, `sql/011.down.sql`: `sql/011`.
fn base_of_down(path: &str) -> Option<String> {
    ending(path, &["_down", ".down", "-down", "_rollback", ".rollback", "-rollback", "_undo", ".undo", "-undo"])
}

fn base_of_up(path: &str) -> String {
    let whole = || stem(path).unwrap_or(path).to_owned();
    ending(path, &["_up", ".up", "-up"]).unwrap_or_else(whole)
}

fn ending(path: &str, endings: &[&str]) -> Option<String> {
    let stem = stem(path)?;
    endings.iter().find_map(|end| stem.strip_suffix(end)).map(str::to_owned)
}

/// A path without its `.sql`, or `.SQL`.
fn stem(path: &str) -> Option<&str> {
    let (stem, end) = path.split_at_checked(path.len().checked_sub(4)?)?;
    end.eq_ignore_ascii_case(".sql").then_some(stem)
}

/// Writes a step. Some: its id, where nothing says how it is taken back.
fn step(out: &mut String, part: &Part<'_>, taken: &mut Ids) -> Option<String> {
    let path = &part.file.path;
    let name = base_of_up(path);
    let name = name.rsplit('/').next().unwrap_or(&name);
    let id = taken.unused(&slug(name), "file");
    let title = name.replace(['_', '-'], " ");
    let title = if title.trim().is_empty() { id.clone() } else { title };
    let _ = writeln!(out, "[[phase.step]]\nid    = {}\ntitle = {}", quote(&id), quote(title.trim()));
    out.push_str("role  = \"dba\"\n");
    if part.fit.without.is_some() {
        let _ = writeln!(out, "# {} without its BEGIN and COMMIT: gonogo begins and commits", comment(path));
    }
    let _ = writeln!(out, "{}", sent(part.file, &part.fit, "file  =", "sql   ="));
    if part.fit.alone {
        out.push_str("transaction = \"none\"                     # a statement in it cannot run in a transaction\n");
    }
    if part.file.text.as_ref().is_ok_and(|text| query::asks(text)) {
        let then = if part.only_reads { " Then the checklist below can go" } else { "" };
        let _ =
            writeln!(out, "expect = \"none\"                          # what must the answer be? value == 43.{then}");
    }
    let harmless = part.file.text.as_ref().is_ok_and(|text| sql::leaves_data(text));
    let unsaid = part.undo.is_none() && !part.only_reads && !harmless;
    match &part.undo {
        Some((down, fit)) => {
            if fit.without.is_some() {
                let _ = writeln!(out, "# {} without its BEGIN and COMMIT:", comment(&down.path));
            }
            let outside = if fit.alone { ", transaction = \"none\"" } else { "" };
            let _ = writeln!(out, "undo  = {{ {}{outside} }}", sent(down, fit, "file =", "sql ="));
        }
        None if part.only_reads => {}
        None => out.push_str(
            "# undo = { sql = \"…\" }                     # how is it taken back? or: undo = \"irreversible\"\n",
        ),
    }
    out.push('\n');
    unsaid.then_some(id)
}

/// The file, or its text where not all of the file is sent.
fn sent(file: &SqlFile, fit: &Fit, by_file: &str, by_text: &str) -> String {
    match &fit.without {
        Some(text) => format!("{by_text} {}", block(text)),
        None => format!("{by_file} {}", quote(&file.path)),
    }
}

/// Queries bring answers that only a person can judge until somebody writes what must come back.
fn verify(out: &mut String, parts: &[Part<'_>], taken: &mut Ids) {
    out.push_str("[[phase]]\nid = \"verify\"\n\n");
    let queries: Vec<&Part<'_>> = parts.iter().filter(|part| part.only_reads).collect();
    for part in &queries {
        let _ = step(out, part, taken);
    }
    if queries.is_empty() {
        out.push_str(CHECKED);
        return;
    }
    out.push_str("[[phase.step]]\nid        = \"answers\"\ntitle     = \"The answers are right\"\nchecklist = [\n");
    for part in queries {
        let _ = writeln!(out, "  {},", quote(&format!("The answer of {} was read, and is right", part.file.path)));
    }
    out.push_str("]\n\n");
}

const CHECKED: &str = r#"# What must be true now? A query with an expectation says it better than a box:
# [[phase.step]]
# id     = "no-row-without-currency"
# sql    = "select count(*) from orders where currency is null"
# expect = "value == 0"
[[phase.step]]
id        = "checked"
title     = "The application works"
role      = "app"
checklist = ["The application was tried by hand, and its log is clean"]

"#;
