//! A project of sqitch: the changes of its plan in order, each with its scripts and with the id that sqitch gives it.
//! The plan's grammar: sqitch's manual, `sqitchchanges` and `sqitch-plan`; the ids: its page `App::Sqitch::Plan::Change`.

mod plan;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ops::Range;

use serde::{Deserialize, Serialize};
use sha1::{Digest, Sha1};

use self::plan::{Line, Named, Need, Plan};
use super::layout::{File, Flaw, migration};
use super::part::Part;
use super::{Migration, sum};

pub const PLAN: &str = "sqitch.plan";

/// What sqitch's registry keeps of a change beside its script.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planned {
    pub project: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// Its name; a reworked change has that of the one it replaces.
    pub change: String,
    pub stamp: Stamp,
    /// What it requires, in the plan's words, and the id of the change that is meant.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requires: Vec<(String, String)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conflicts: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Tag>,
}

/// Who planned it when, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// `2026-03-14T10:00:00Z`
    pub at: String,
    pub name: String,
    pub email: String,
    pub note: String,
}

/// A name that the plan gives to the state behind a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tag {
    pub id: String,
    /// With its `@`.
    pub name: String,
    pub stamp: Stamp,
}

impl Stamp {
    /// The lines of an id's text that every object has.
    fn lines(&self) -> [String; 2] {
        [format!("planner {} <{}>", self.name, self.email), format!("date {}", self.at)]
    }
}

/// A change of the plan with its id.
struct Change {
    id: String,
    planned: Planned,
    /// Its line in the plan.
    at: Range<usize>,
    /// The tags behind which another change of the same name stands: its scripts are named by one of them.
    reworked: Vec<String>,
}

/// The changes of the plan, in its order.
pub(super) fn read(files: &[File], flaws: &mut Vec<Flaw>) -> Vec<Migration> {
    let Some(file) = files.iter().find(|file| file.name == PLAN) else {
        let message = format!("there is no {PLAN} in this folder");
        flaws.push(Flaw::folder(message, "name the folder that sqitch calls its top directory"));
        return Vec::new();
    };
    let mut say = |at: Range<usize>, message: String, hint: &str| flaws.push(Flaw::at(file, at, message, hint));
    let Some(plan) = plan::parse(&file.text, &mut say) else { return Vec::new() };
    let changes = identified(plan, &mut say);
    changes.iter().filter_map(|change| scripts(change, files, file, flaws)).collect()
}

type Say<'s> = dyn FnMut(Range<usize>, String, &str) + 's;

/// Gives each change its id, which is made of everything the plan says of it and of the id before it.
fn identified(plan: Plan, say: &mut Say<'_>) -> Vec<Change> {
    let mut changes: Vec<Change> = Vec::new();
    let mut since_tag: Vec<String> = Vec::new();
    for Line { at, named, stamp } in plan.lines {
        match named {
            Named::Tag(name) => {
                let Some(last) = changes.last_mut() else {
                    say(at.clone(), format!("the tag {name} has no change before it"), "write it behind one");
                    continue;
                };
                since_tag.clear();
                let id = tag_id(&plan.project, plan.uri.as_deref(), &name, &last.id, &stamp);
                last.planned.tags.push(Tag { id, name, stamp });
            }
            Named::Change { name, needs } => {
                if since_tag.contains(&name) {
                    say(at.clone(), format!("`{name}` stands twice without a tag between"), "give one another name");
                    continue;
                }
                since_tag.push(name.clone());
                let mut planned = Planned {
                    project: plan.project.clone(),
                    uri: plan.uri.clone(),
                    change: name.clone(),
                    stamp,
                    requires: Vec::new(),
                    conflicts: Vec::new(),
                    tags: Vec::new(),
                };
                for need in needs {
                    if let Err((message, hint)) = resolved(need, &plan.project, &changes, &mut planned) {
                        say(at.clone(), message, hint);
                    }
                }
                rework(&mut changes, &name);
                let id = change_id(changes.last().map(|last| last.id.as_str()), &planned);
                changes.push(Change { id, planned, at, reworked: Vec::new() });
            }
        }
    }
    changes
}

/// A change of the same name replaces the one before it, whose scripts are named by a tag from then on.
fn rework(changes: &mut [Change], name: &str) {
    let Some(at) = changes.iter().rposition(|change| change.planned.change == name) else { return };
    // The tags of later changes are looked at first.
    let tags = changes[at..].iter().rev().flat_map(|change| change.planned.tags.iter().map(|tag| tag.name.clone()));
    let tags = tags.collect();
    if let Some(change) = changes.get_mut(at) {
        change.reworked = tags;
    }
}

/// Finds the change that is meant. Err: message and hint.
fn resolved(need: Need, project: &str, before: &[Change], planned: &mut Planned) -> Result<(), (String, &'static str)> {
    const LET: &str = "let sqitch do it: run = [\"sqitch\", \"deploy\", \"--verify\"] with connect = \"…\"";
    let words = need.words();
    if need.project.as_deref().is_some_and(|other| other != project) {
        return Err((format!("`{words}` belongs to another project, which this program does not look into"), LET));
    }
    let has_tag = |change: &Change, tag: &str| change.planned.tags.iter().any(|one| one.name[1..] == *tag);
    let tagged = need.tag.as_deref().map(|tag| before.iter().position(|change| has_tag(change, tag)));
    let found = match (&need.change, tagged) {
        (_, Some(None)) => None,
        (None, Some(Some(at))) => before.get(at),
        // The last one of that name that the tag covers.
        (Some(name), Some(Some(at))) => before[..=at].iter().rfind(|change| change.planned.change == *name),
        (Some(name), None) => before.iter().find(|change| change.planned.change == *name),
        (None, None) => None,
    };
    match (need.conflicts, found) {
        (false, Some(change)) => planned.requires.push((words, change.id.clone())),
        (false, None) => {
            return Err((format!("`{words}` is required and stands nowhere before"), "bring the plan into order"));
        }
        (true, None) => planned.conflicts.push(words),
        (true, Some(_)) => {
            return Err((
                format!("it conflicts with `{words}`, which stands before it: it could never be applied"),
                "take one of them out of the plan, or the conflict",
            ));
        }
    }
    Ok(())
}

fn change_id(parent: Option<&str>, planned: &Planned) -> String {
    let requires: Vec<&str> = planned.requires.iter().map(|(words, _)| words.as_str()).collect();
    let conflicts: Vec<&str> = planned.conflicts.iter().map(String::as_str).collect();
    let mut lines = head(&planned.project, planned.uri.as_deref());
    lines.push(format!("change {}", planned.change));
    lines.extend(parent.map(|parent| format!("parent {parent}")));
    lines.extend(planned.stamp.lines());
    for (title, sign, all) in [("requires", "\n  + ", requires), ("conflicts", "\n  - ", conflicts)] {
        if !all.is_empty() {
            lines.push(format!("{title}{sign}{}", all.join(sign)));
        }
    }
    id("change", lines, &planned.stamp.note)
}

fn tag_id(project: &str, uri: Option<&str>, name: &str, change: &str, stamp: &Stamp) -> String {
    let mut lines = head(project, uri);
    lines.extend([format!("tag {name}"), format!("change {change}")]);
    lines.extend(stamp.lines());
    id("tag", lines, &stamp.note)
}

fn head(project: &str, uri: Option<&str>) -> Vec<String> {
    [Some(format!("project {project}")), uri.map(|uri| format!("uri {uri}"))].into_iter().flatten().collect()
}

/// Like an object of git: SHA-1 over its kind, its length in bytes and its text.
fn id(kind: &str, mut lines: Vec<String>, note: &str) -> String {
    if !note.is_empty() {
        lines.extend([String::new(), note.to_owned()]);
    }
    let text = lines.join("\n");
    sum::hex(&Sha1::digest(format!("{kind} {}\0{text}", text.len()).as_bytes()))
}

fn scripts(change: &Change, files: &[File], plan: &File, flaws: &mut Vec<Flaw>) -> Option<Migration> {
    let all: BTreeMap<&str, &File> = files.iter().map(|file| (file.name.as_str(), file)).collect();
    let named = |tag: &str| format!("{}{tag}.sql", change.planned.change);
    let names: Vec<String> = match change.reworked.as_slice() {
        [] => vec![named("")],
        tags => tags.iter().map(|tag| named(tag)).collect(),
    };
    let there = names.iter().find(|name| all.contains_key(format!("deploy/{name}").as_str()));
    let name = there.or(names.first())?;
    let find = |folder: &str| all.get(format!("{folder}/{name}").as_str()).copied();
    let Some(deploy) = find("deploy") else {
        let message = format!("there is no deploy/{name}, which the plan names");
        let hint = "a project whose scripts lie elsewhere (see sqitch.conf) is named by the folder that holds them";
        flaws.push(Flaw::at(plan, change.at.clone(), message, hint));
        return None;
    };
    let hash = sum::hex(&Sha1::digest(deploy.text.as_bytes()));
    let up = Part::guessed(&deploy.path, &deploy.text);
    let label = name.trim_end_matches(".sql").to_owned();
    Some(Migration {
        down: find("revert").map(|file| Part::guessed(&file.path, &file.text)),
        verify: find("verify").map(|file| Part::asking(&file.path, &file.text)),
        planned: Some(change.planned.clone()),
        ..migration(deploy, change.id.clone(), label, Some(hash), up)
    })
}
