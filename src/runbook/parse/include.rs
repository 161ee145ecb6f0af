//! Phases that stand in a file of their own, pinned by its digest: found before anything is read, so that the runbook and its
//! parts are one text with places of its own. A place behind the runbook's end is one of a part.

use std::fmt::Write as _;
use std::ops::Range;

use sha2::{Digest, Sha256};
use toml::de::{DeTable, DeValue};

use super::reader::Reader;
use super::{Notes, ReadFile};

/// Files that one runbook may include.
const MOST: usize = 20;

/// A file that a phase includes.
pub(super) struct Part {
    /// Which of the runbook's `[[phase]]`, counted from 0.
    pub phase: usize,
    /// The path as written.
    pub file: String,
    /// Where it starts in the text as a whole.
    pub start: usize,
    pub text: String,
}

/// Something wrong with an `include`: where, message, hint.
type Flaw = (Range<usize>, String, String);

/// A runbook with its parts.
pub(super) struct Whole {
    /// The runbook's text, then that of each part, a line feed before each.
    pub text: String,
    pub parts: Vec<Part>,
    pub flaws: Vec<Flaw>,
}

/// Finds what the phases of `tree` include. `read` gives the text of a file by its path from the runbook's folder.
pub(super) fn whole(text: &str, tree: &DeTable<'_>, read: &ReadFile<'_>) -> Whole {
    let mut whole = Whole { text: text.to_owned(), parts: Vec::new(), flaws: Vec::new() };
    let Some(phases) = tree.get("phase").and_then(|phases| phases.get_ref().as_array()) else { return whole };
    for (n, phase) in phases.iter().enumerate() {
        let include = phase.get_ref().as_table().and_then(|phase| phase.get("include"));
        let Some(include) = include.and_then(|include| include.get_ref().as_table()) else { continue };
        let text_of = |key: &str| match include.get(key).map(|value| (value.get_ref(), value.span())) {
            Some((DeValue::String(text), span)) => Some((text.to_string(), span)),
            _ => None,
        };
        // Where it is no path, reading the table says so.
        let Some((file, at)) = text_of("file") else { continue };
        match whole.found(&file, at, text_of("sha256"), read) {
            Ok(text) => whole.take(n, file, text),
            Err(flaw) => whole.flaws.push(flaw),
        }
    }
    whole
}

impl Whole {
    fn found(
        &self,
        file: &str,
        at: Range<usize>,
        pinned: Option<(String, Range<usize>)>,
        read: &ReadFile<'_>,
    ) -> Result<String, Flaw> {
        if self.parts.len() >= MOST {
            return Err((
                at,
                format!("a runbook includes at most {MOST} files"),
                "make fewer, larger parts".to_owned(),
            ));
        }
        if self.parts.iter().any(|part| part.file == file) {
            return Err((at, format!("`{file}` is included twice"), "its ids would be there twice".to_owned()));
        }
        let text = read(file).map_err(|(message, hint)| (at.clone(), message, hint))?;
        let digest = digest(&text);
        match pinned {
            Some((pinned, _)) if pinned.eq_ignore_ascii_case(&digest) => Ok(text),
            Some((_, span)) => {
                let message = format!("`{file}` is not the file that this digest was taken of: it changed since");
                Err((span, message, format!("read it; if it is right as it is, write sha256 = \"{digest}\"")))
            }
            None => {
                let message = format!("`{file}` is not pinned: what is included must be what was read");
                Err((at, message, format!("read it, then write sha256 = \"{digest}\" beside it")))
            }
        }
    }

    fn take(&mut self, phase: usize, file: String, text: String) {
        self.text.push('\n');
        let start = self.text.len();
        self.text.push_str(&text);
        self.parts.push(Part { phase, file, start, text });
    }

    /// The part that holds a byte of the whole text; none: the runbook itself.
    pub fn part_at(&self, at: usize) -> Option<&Part> {
        self.parts.iter().rev().find(|part| at >= part.start)
    }

    /// Each part's text, behind so many blanks that its places are those of the whole.
    pub fn padded(&self) -> Vec<String> {
        self.parts.iter().map(|part| " ".repeat(part.start) + &part.text).collect()
    }
}

fn digest(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().fold(String::with_capacity(64), |mut hex, byte| {
        // Writing into a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// An included file being read, and the `[[phase]]` in whose place it stands.
pub(super) struct Fragment<'c, 't> {
    pub phase: usize,
    pub table: Reader<'c, 't>,
}

impl<'c, 't> Fragment<'c, 't> {
    pub fn new(notes: &'c Notes<'c>, part: &Part, tree: &'t DeTable<'t>) -> Self {
        let table = Reader::new(notes, tree, part.start..part.start, "an included file");
        if !table.has("format") {
            table.missing("format", "format = 1 as its first line");
        } else {
            super::head::format(&table);
        }
        if !table.has("phase") {
            table.missing("phase", "[[phase]]: it is phases that are included");
        }
        Self { phase: part.phase, table }
    }
}

/// Reads the keys of an `include`; what they lead to was found before.
pub(super) fn pin(phase: &Reader<'_, '_>) {
    let Some(table) = phase.table("include", "an include") else { return };
    table.need_text("file", "file = \"../shared/prepare.toml\"");
    // A missing digest was told with the right one.
    table.text("sha256");
    table.finish();
}
