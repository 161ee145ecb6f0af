//! From TOML to the model, by hand, so that every mistake is found in one go and every message can point at its place.

mod asks;
mod batch;
mod channels;
mod dump;
mod ending;
mod handed;
mod head;
mod health;
mod include;
mod mask;
mod migrations;
mod noted;
mod phases;
mod reader;
#[cfg(test)]
pub(super) mod record;
mod steps;
mod trouble;
mod undo;
mod values;
mod verbs;
mod verify;
mod waive;
mod watch;

pub(super) use head::typed;
pub(super) use noted::{Formula, FormulaKind, Owner, Script, Wants, every_text, names};
pub(super) use verbs::facts_of;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use toml::de::DeTable;

use super::expr::{self, Context, Place};
use super::migrations::{File, MOST_BYTES, MOST_FILES};
use super::problem::Found;
use super::text::Located;
use super::{Problems, Runbook, Source, Var, check, problem, suggest};

/// What `--set` says of a variable.
#[derive(Clone, Debug)]
pub(super) enum Given {
    /// From the command line: to be typed by the variable's default.
    Words(String),
    /// From a journal.
    Typed(Var),
}

/// Gives the text of a file that the runbook names. Err: message and hint.
pub(super) type ReadFile<'r> = dyn Fn(&str) -> Result<String, (String, String)> + 'r;

/// Gives the names of the files in a folder that the runbook names and in its subfolders, from that folder on; only those that
/// [`accepts`](super::migrations::accepts) takes. Err: message and hint.
pub(super) type ListFolder<'r> = dyn Fn(&str) -> Result<Vec<String>, (String, String)> + 'r;

/// Where the texts beside a runbook come from: what steps name, what phases include, which files a folder holds.
pub(super) struct Disk<'r> {
    pub file: &'r ReadFile<'r>,
    pub pinned: &'r ReadFile<'r>,
    pub list: &'r ListFolder<'r>,
}

/// What is noted while reading.
pub(super) struct Notes<'s> {
    name: &'s str,
    /// The runbook and what it includes.
    whole: &'s include::Whole,
    /// Bytes at which the lines of the whole start.
    lines: Vec<usize>,
    read: &'s ReadFile<'s>,
    list: &'s ListFolder<'s>,
    found: RefCell<Vec<Found>>,
    files: RefCell<BTreeMap<String, String>>,
    /// Secrets that stand in the text; they are not shown again.
    masks: RefCell<Vec<Range<usize>>>,
    context: RefCell<Context>,
    /// Variables that mention the run: known only when one starts.
    late: RefCell<BTreeSet<String>>,
    vars: RefCell<Vec<String>>,
    pub formulas: RefCell<Vec<Formula>>,
    pub scripts: RefCell<Vec<Script>>,
    /// What snapshots are compared with, by their own names and that.
    pub compares: RefCell<BTreeMap<(String, String), Located>>,
}

impl<'s> Notes<'s> {
    fn new(name: &'s str, whole: &'s include::Whole, disk: &Disk<'s>) -> Self {
        let parts = whole.parts.iter().map(|part| (part.file.clone(), part.text.clone()));
        Self {
            name,
            whole,
            lines: problem::lines(&whole.text),
            read: disk.file,
            list: disk.list,
            found: RefCell::default(),
            files: RefCell::new(parts.collect()),
            masks: RefCell::default(),
            context: RefCell::default(),
            late: RefCell::default(),
            vars: RefCell::default(),
            formulas: RefCell::default(),
            scripts: RefCell::default(),
            compares: RefCell::default(),
        }
    }

    /// Notes a problem at bytes of the runbook.
    pub fn say(&self, span: Range<usize>, message: impl Into<String>, hint: impl Into<String>) {
        let (file, span) = self.home(span);
        self.note(file, span, message.into(), hint.into());
    }

    /// The file that bytes of the whole belong to, and which of its bytes they are.
    fn home(&self, span: Range<usize>) -> (String, Range<usize>) {
        match self.whole.part_at(span.start) {
            Some(part) => (self.file_name(&part.file), span.start - part.start..span.end.max(span.start) - part.start),
            None => (self.name.to_owned(), span),
        }
    }

    /// The included file, as its path is written, that holds a byte of the whole; none: the runbook itself.
    pub fn origin(&self, at: usize) -> Option<String> {
        self.whole.part_at(at).map(|part| part.file.clone())
    }

    /// True where an included file was not taken: names that nobody defines here may be its.
    pub fn lacks_a_part(&self) -> bool {
        !self.whole.flaws.is_empty()
    }

    /// Notes a problem with a text as a whole.
    pub fn at(&self, text: &Located, message: impl Into<String>, hint: impl Into<String>) {
        self.within(text, 0..text.text.len(), message, hint);
    }

    /// Notes a problem with a part of a text.
    pub fn within(&self, text: &Located, part: Range<usize>, message: impl Into<String>, hint: impl Into<String>) {
        let part = part.start.min(text.text.len())..part.end.min(text.text.len());
        let (file, span) = match &text.file {
            Some(path) => (self.file_name(path), part),
            None if part.is_empty() || (part.start == 0 && part.end == text.text.len()) => self.home(text.span.clone()),
            None => self.home(text.place(&self.whole.text, part)),
        };
        self.note(file, span, message.into(), hint.into());
    }

    fn note(&self, file: String, span: Range<usize>, message: String, hint: String) {
        if !self.is_full() {
            self.found.borrow_mut().push(Found { file, span, message, hint });
        }
    }

    /// Beyond a bound nobody reads on: the rest shows once these are mended.
    pub fn is_full(&self) -> bool {
        self.found.borrow().len() >= problem::MOST
    }

    /// The bytes of the runbook for bytes of a text.
    pub fn span_of(&self, text: &Located, part: Range<usize>) -> Range<usize> {
        text.place(&self.whole.text, part)
    }

    /// 1-based line of the runbook, or of the file, at which a text starts.
    pub fn line(&self, text: &Located) -> u32 {
        match text.file {
            Some(_) => 1,
            None => self.line_at(text.place(&self.whole.text, 0..0).start),
        }
    }

    /// 1-based line of the runbook, or of the included file, for a byte of the whole.
    pub fn line_at(&self, offset: usize) -> u32 {
        let start = self.whole.part_at(offset).map_or(0, |part| part.start);
        let lines = |at: usize| self.lines.partition_point(|start| *start <= at);
        let line = lines(offset) - lines(start) + 1;
        u32::try_from(line).unwrap_or(u32::MAX)
    }

    /// A file's name as people would type it: beside the runbook.
    fn file_name(&self, path: &str) -> String {
        match self.name.rsplit_once('/') {
            Some((folder, _)) => format!("{folder}/{path}"),
            None => path.to_owned(),
        }
    }

    /// The text of a file that the runbook names. None: it was noted what is wrong with it.
    pub fn file(&self, path: &Located) -> Option<Located> {
        let name = path.text.as_str();
        if expr::has_template(name) {
            self.at(path, "`file` is a fixed path: no templates here", "write the path out");
            return None;
        }
        if path.file.is_none() && self.whole.part_at(path.span.start).is_some() {
            let hint = "write the SQL here: the digest of an included file covers what stands in it, not what it names";
            self.at(path, "an included file names no other files", hint);
            return None;
        }
        if !self.files.borrow().contains_key(name) {
            match (self.read)(name) {
                Ok(text) => {
                    self.files.borrow_mut().insert(name.to_owned(), text);
                }
                Err((message, hint)) => {
                    self.at(path, message, hint);
                    return None;
                }
            }
        }
        self.files.borrow().get(name).map(|text| Located::of_file(name, text))
    }

    /// A file that was read before, with its text.
    pub fn known_file(&self, path: &str) -> Option<Located> {
        self.files.borrow().get(path).map(|text| Located::of_file(path, text))
    }

    /// The migration files of a folder that the runbook names, and the folder's name as it is from then on. None: it was noted
    /// what is wrong with it.
    pub fn folder(&self, folder: &Located) -> Option<(String, Vec<File>)> {
        if expr::has_template(&folder.text) {
            self.at(folder, "a folder is a fixed path: no templates here", "write the path out");
            return None;
        }
        let name = folder.text.trim_start_matches("./").trim_end_matches('/').to_owned();
        let names = match (self.list)(&name) {
            Ok(names) => names,
            Err((message, hint)) => {
                self.at(folder, message, hint);
                return None;
            }
        };
        let mut files = Vec::new();
        let mut bytes = 0;
        for one in names {
            let path = Located { text: format!("{name}/{one}"), ..folder.clone() };
            let text = self.file(&path)?.text;
            bytes += text.len();
            files.push(File { name: one, path: path.text, text });
        }
        if files.len() > MOST_FILES || bytes > MOST_BYTES {
            let message = format!("this folder holds {} files of {bytes} bytes: too much for a runbook", files.len());
            let hint =
                format!("{MOST_FILES} files and {} MiB are the most: let a `run` step call the tool", MOST_BYTES >> 20);
            self.at(folder, message, hint);
            return None;
        }
        Some((name, files))
    }

    /// A text with its templates resolved now: only variables that do not depend on the run are known.
    pub fn resolve(&self, text: &Located) -> Option<String> {
        if !expr::has_template(&text.text) {
            return Some(text.text.clone());
        }
        let names = match expr::template_names(&text.text) {
            Ok(names) => names,
            Err(flaw) => {
                self.within(text, flaw.at, flaw.message, flaw.hint);
                return None;
            }
        };
        let mut known = true;
        for reference in &names.references {
            known &= self.is_early(text, reference);
        }
        if !known {
            return None;
        }
        match expr::render(&text.text, Place::Text, &self.context.borrow()) {
            Ok(words) => Some(words),
            Err(error) => {
                self.at(text, format!("this template cannot be resolved: {error}"), "look at the variables it uses");
                None
            }
        }
    }

    /// True for a variable that mentions the run, itself or through another. Its other names must be variables
    /// above it, and what it wants of the run must be there; where not, that is noted.
    fn is_late(&self, text: &Located) -> bool {
        let Ok(names) = expr::template_names(&text.text) else {
            return false;
        };
        let is_late = |root: &str| root == "run" || self.late.borrow().contains(root);
        if !names.references.iter().any(|one| is_late(&one.root)) {
            return false;
        }
        for one in &names.references {
            let part = self::names(one.path.first()).unwrap_or_default();
            if one.root == "run" && !expr::RUN_NAMES.contains(&part) {
                let hint = suggest::hint(part, expr::RUN_NAMES, "");
                self.within(text, one.at.clone(), format!("`run` has no `{part}`"), hint);
            } else if !is_late(&one.root) {
                self.is_early(text, one);
            }
        }
        true
    }

    fn is_early(&self, text: &Located, reference: &expr::Reference) -> bool {
        let root = reference.root.as_str();
        let vars = self.vars.borrow();
        let is_var = vars.iter().any(|name| name == root);
        if is_var && !self.late.borrow().contains(root) {
            return true;
        }
        let names: Vec<&str> = vars.iter().map(String::as_str).collect();
        let (message, hint) = if is_var || root == "run" {
            let message = format!("`{root}` depends on the run, and this is needed before one starts");
            (message, "use a variable that does not mention `run`".to_owned())
        } else if expr::FACT_NAMES.contains(&root) || matches!(root, "steps" | "target") {
            let message = format!("`{root}` is not known here: only variables are");
            (message, "write it out, or use a variable of [vars]".to_owned())
        } else {
            let hint = suggest::hint(root, &names, "define it under [vars]");
            (format!("unknown variable `{root}`"), hint)
        };
        self.within(text, reference.at.clone(), message, hint);
        false
    }

    /// Takes a template to check later.
    pub fn template(&self, text: &Located, place: Place, owner: &Owner) {
        if expr::has_template(&text.text) {
            self.formula(text, FormulaKind::Template(place), owner, None);
        }
    }

    pub fn formula(
        &self,
        text: &Located,
        kind: FormulaKind,
        owner: &Owner,
        facts: Option<(&'static str, &'static [&'static str])>,
    ) {
        self.formulas.borrow_mut().push(Formula { text: text.clone(), kind, owner: owner.clone(), facts });
    }

    /// Keeps bytes of the runbook from being shown again.
    pub fn hide(&self, span: Range<usize>) {
        self.masks.borrow_mut().push(span);
    }

    fn problems(&self) -> Problems {
        let mut texts = BTreeMap::new();
        for (path, text) in self.files.borrow().iter() {
            texts.insert(self.file_name(path), text.clone());
        }
        // Masks keep the lengths, so each file is found where it was.
        let whole = masked(&self.whole.text, &self.masks.borrow());
        let ends = self.whole.parts.iter().map(|part| part.start - 1).next();
        let main = whole.get(..ends.unwrap_or(whole.len())).unwrap_or_default();
        texts.insert(self.name.to_owned(), main.to_owned());
        for part in &self.whole.parts {
            let text = whole.get(part.start..part.start + part.text.len()).unwrap_or_default();
            texts.insert(self.file_name(&part.file), text.to_owned());
        }
        Problems::new(self.name, self.found.take(), texts)
    }
}

fn masked(source: &str, masks: &[Range<usize>]) -> String {
    let mut text = source.to_owned();
    for mask in masks {
        if text.get(mask.clone()).is_some() {
            text.replace_range(mask.clone(), &"*".repeat(mask.len()));
        }
    }
    text
}

/// Reads and checks a whole runbook. Gives it with the files it names and includes.
pub(super) fn document(
    source: &Source,
    disk: Disk<'_>,
    given: &BTreeMap<String, Given>,
) -> Result<(Runbook, BTreeMap<String, String>), Problems> {
    let (tree, mut errors) = DeTable::parse_recoverable(&source.text);
    let whole = include::whole(&source.text, tree.get_ref(), disk.pinned);
    let notes = Notes::new(&source.name, &whole, &disk);
    for (span, message, hint) in &whole.flaws {
        notes.say(span.clone(), message, hint);
    }
    let padded = whole.padded();
    let mut trees = Vec::new();
    for text in &padded {
        let (tree, more) = DeTable::parse_recoverable(text);
        errors.extend(more);
        trees.push(tree);
    }
    for error in &errors {
        syntax(&notes, error);
    }
    if !errors.is_empty() {
        return Err(notes.problems());
    }
    for tree in std::iter::once(&tree).chain(&trees) {
        check::passwords(&notes, tree.get_ref());
    }
    let table = reader::Reader::new(&notes, tree.get_ref(), 0..0, "a runbook");
    let parts = whole.parts.iter().zip(&trees);
    let parts = parts.map(|(part, tree)| include::Fragment::new(&notes, part, tree.get_ref())).collect();
    let runbook = runbook(&notes, table, parts, given);
    check::everything(&notes, &runbook);
    let files = notes.files.take();
    // The problems show lines of the files, so they go back for as long as it takes to note them.
    if notes.found.borrow().is_empty() {
        return Ok((runbook, files));
    }
    notes.files.replace(files);
    Err(notes.problems())
}

fn syntax(notes: &Notes<'_>, error: &toml::de::Error) {
    let message = error.message().trim_end_matches(", expected literal string");
    let hint = if message.contains("duplicate key") {
        "a name may stand once in a table; remove one, or write [[…]] for a list of tables"
    } else if message.contains("recurs") {
        "the tables are nested too deeply"
    } else {
        "texts stand in quotes, lists in [ ], inline tables in { } on one line; see https://toml.io"
    };
    notes.say(error.span().unwrap_or(0..0), format!("this is not TOML: {message}"), hint);
}

fn runbook(
    notes: &Notes<'_>,
    table: reader::Reader<'_, '_>,
    parts: Vec<include::Fragment<'_, '_>>,
    given: &BTreeMap<String, Given>,
) -> Runbook {
    head::format(&table);
    let vars = head::vars(&table, given);
    let mut runbook = Runbook { vars, ..Runbook::default() };
    head::names(&table, &mut runbook);
    runbook.window = head::window(&table);
    runbook.roles = head::roles(&table);
    runbook.environments = head::environments(&table);
    runbook.channels = channels::channels(&table, &runbook.environments);
    runbook.probes = watch::probes(&table, &parts, &runbook);
    runbook.phases = phases::phases(&table, &parts, &runbook);
    runbook.rollbacks = ending::rollbacks(&table, &runbook);
    runbook.triggers = watch::triggers(&table, &parts, &runbook);
    runbook.criteria = ending::criteria(&table);
    runbook.followups = ending::followups(&table);
    if table.has("include") {
        table.refuse(
            "include",
            "`include` stands in a [[phase]]",
            "write [[phase]] and include = { file = \"…\", sha256 = \"…\" }",
        );
    }
    runbook.waivers = waive::waivers(&table);
    table.finish();
    parts.into_iter().for_each(|part| part.table.finish());
    if runbook.steps().next().is_none() && notes.found.borrow().is_empty() {
        let hint = "add a [[phase]] with a [[phase.step]]";
        notes.say(0..0, "this runbook has no steps", hint);
    }
    runbook
}
