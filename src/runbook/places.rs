//! Where things stand in a runbook that was read: the model has lines, whoever points at a word needs its bytes.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;

use toml::de::{DeTable, DeValue};

use super::Source;
use super::text;

/// One step on the way from the top of the file to a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seg {
    Key(&'static str),
    /// A key that the runbook chose: the name of an environment.
    Name(String),
    /// The n-th (from 0) of a list.
    Nth(usize),
}

/// Lists that go on in included files. Places are counted as the model does: with everything in its place.
const LISTS: &[&str] = &["phase", "probe", "trigger"];

/// Where something stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// An included file, by its path as written; none: the runbook itself.
    pub file: Option<String>,
    /// Bytes of that file.
    pub span: Range<usize>,
}

/// The trees of a runbook's text and of what it includes, for places only.
pub struct Places<'s> {
    /// The runbook itself stands first.
    docs: Vec<Doc<'s>>,
    /// Of each list that goes on in included files: which document holds the n-th, and as which of its own.
    lists: BTreeMap<&'static str, Vec<(usize, usize)>>,
    /// Where the bytes of texts stand that were asked for, by document and start: many findings are about one text.
    known: RefCell<BTreeMap<(usize, usize), Known>>,
}

/// None: the text is not written as a string that could be followed.
type Known = Option<Rc<Vec<usize>>>;

struct Doc<'s> {
    file: Option<&'s str>,
    text: &'s str,
    tree: DeTable<'s>,
}

impl<'s> Doc<'s> {
    fn new(file: Option<&'s str>, text: &'s str) -> Self {
        let (tree, _) = DeTable::parse_recoverable(text);
        Self { file, text, tree: tree.into_inner() }
    }

    fn list(&self, key: &str) -> &[toml::Spanned<DeValue<'s>>] {
        self.tree.get(key).and_then(|list| list.get_ref().as_array()).map_or(&[], |list| list)
    }
}

/// A value that was found.
struct Found<'p, 's> {
    doc: usize,
    value: &'p DeValue<'s>,
    span: Range<usize>,
}

impl<'s> Places<'s> {
    pub fn new(source: &'s Source) -> Self {
        let main = Doc::new(None, &source.text);
        let included: Vec<Option<(&'s str, &'s str)>> =
            main.list("phase").iter().map(|one| part(source, one)).collect();
        let mut docs = vec![main];
        docs.extend(included.iter().flatten().map(|(file, text)| Doc::new(Some(file), text)));
        let mut lists = BTreeMap::from([("phase", phases(&docs, &included))]);
        for key in LISTS.iter().filter(|key| **key != "phase") {
            let all = docs.iter().enumerate();
            lists.insert(key, all.flat_map(|(n, doc)| (0..doc.list(key).len()).map(move |m| (n, m))).collect());
        }
        Self { docs, lists, known: RefCell::default() }
    }

    /// The place of the value at the end of `path`; of a table, its header. None: there is none.
    pub fn at(&self, path: &[Seg]) -> Option<Place> {
        self.find(path).map(|found| self.place(found.doc, found.span))
    }

    /// The place of bytes `part` of the text at the end of `path`, quotes and escapes of TOML counted in.
    pub fn within(&self, path: &[Seg], part: Range<usize>) -> Option<Place> {
        let Found { doc, value, span } = self.find(path)?;
        let DeValue::String(text) = value else { return Some(self.place(doc, span)) };
        if part.start == 0 && part.end >= text.len() {
            return Some(self.place(doc, span));
        }
        let bytes = self.bytes(doc, &span, text);
        let exact = bytes.and_then(|bytes| Some((*bytes.get(part.start)?, *bytes.get(part.end)?)));
        let exact = exact.map(|(start, end)| span.start + start..span.start + end.max(start));
        Some(self.place(doc, exact.unwrap_or(span)))
    }

    fn bytes(&self, doc: usize, span: &Range<usize>, text: &str) -> Known {
        let mut known = self.known.borrow_mut();
        let found = known.entry((doc, span.start)).or_insert_with(|| {
            let token = self.docs.get(doc).and_then(|doc| doc.text.get(span.clone()))?;
            text::places(token, text, text.len()).map(Rc::new)
        });
        found.clone()
    }

    fn place(&self, doc: usize, span: Range<usize>) -> Place {
        Place { file: self.docs.get(doc).and_then(|doc| doc.file).map(str::to_owned), span }
    }

    /// True for a file that a phase includes: a part of the runbook, and not something that a step sends.
    pub fn includes(&self, file: &str) -> bool {
        self.docs.iter().any(|doc| doc.file == Some(file))
    }

    /// Every text of the runbook with the way to it, in no particular order.
    pub fn texts(&self) -> Vec<(Vec<Seg>, String)> {
        let mut texts = Vec::new();
        let named = |path: &[Seg], key: &str| [path, &[Seg::Name(key.to_owned())]].concat();
        let mut open: Vec<(Vec<Seg>, &DeValue<'s>)> = Vec::new();
        for (key, list) in &self.lists {
            let nth = |n: usize| vec![Seg::Name((*key).to_owned()), Seg::Nth(n)];
            let value = |(doc, m): &(usize, usize)| self.docs.get(*doc)?.list(key).get(*m).map(toml::Spanned::get_ref);
            open.extend(list.iter().enumerate().filter_map(|(n, at)| Some((nth(n), value(at)?))));
        }
        // What an included file holds beside these lists is refused.
        for (key, value) in self.docs.iter().take(1).flat_map(|doc| doc.tree.iter()) {
            if !self.lists.contains_key(key.get_ref().as_ref()) {
                open.push((named(&[], key.get_ref()), value.get_ref()));
            }
        }
        while let Some((path, value)) = open.pop() {
            match value {
                DeValue::String(text) => texts.push((path, text.to_string())),
                DeValue::Table(table) => {
                    open.extend(table.iter().map(|(key, value)| (named(&path, key.get_ref()), value.get_ref())));
                }
                DeValue::Array(items) => {
                    let nth = |n: usize| [path.as_slice(), &[Seg::Nth(n)]].concat();
                    open.extend(items.iter().enumerate().map(|(n, item)| (nth(n), item.get_ref())));
                }
                _ => {}
            }
        }
        texts
    }

    fn find(&self, path: &[Seg]) -> Option<Found<'_, 's>> {
        let (first, mut rest) = path.split_first()?;
        let listed = self.lists.get(word(first)?);
        let (doc, mut at) = match (listed, rest.split_first()) {
            (Some(list), Some((Seg::Nth(n), behind))) => {
                rest = behind;
                let (doc, m) = *list.get(*n)?;
                let item = self.docs.get(doc)?.list(word(first)?).get(m)?;
                (doc, (item.get_ref(), item.span()))
            }
            _ => (0, entry(&self.docs.first()?.tree, first)?),
        };
        for seg in rest {
            at = match (at.0, seg) {
                (DeValue::Array(items), Seg::Nth(n)) => items.get(*n).map(|item| (item.get_ref(), item.span()))?,
                (DeValue::Table(table), seg) => entry(table, seg)?,
                _ => return None,
            };
        }
        Some(Found { doc, value: at.0, span: at.1 })
    }
}

/// The file that a phase includes, with its text.
fn part<'s>(source: &'s Source, phase: &toml::Spanned<DeValue<'_>>) -> Option<(&'s str, &'s str)> {
    let include = phase.get_ref().as_table()?.get("include")?.get_ref().as_table()?;
    let (file, text) = source.files.get_key_value(include.get("file")?.get_ref().as_str()?)?;
    Some((file, text))
}

/// The phases in the order they run. Those that only stand for others come last: nothing of the model has their numbers.
fn phases(docs: &[Doc<'_>], included: &[Option<(&str, &str)>]) -> Vec<(usize, usize)> {
    let (mut all, mut stand_ins, mut part) = (Vec::new(), Vec::new(), 0);
    for (n, one) in included.iter().enumerate() {
        if one.is_none() {
            all.push((0, n));
            continue;
        }
        part += 1;
        stand_ins.push((0, n));
        all.extend(docs.get(part).into_iter().flat_map(|doc| (0..doc.list("phase").len()).map(|m| (part, m))));
    }
    all.extend(stand_ins);
    all
}

fn word(seg: &Seg) -> Option<&str> {
    match seg {
        Seg::Key(key) => Some(key),
        Seg::Name(name) => Some(name),
        Seg::Nth(_) => None,
    }
}

fn entry<'t, 's>(table: &'t DeTable<'s>, seg: &Seg) -> Option<(&'t DeValue<'s>, Range<usize>)> {
    table.get(word(seg)?).map(|value| (value.get_ref(), value.span()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(of: &[&'static str], ns: &[usize]) -> Vec<Seg> {
        let pairs = of.iter().enumerate();
        pairs.flat_map(|(n, key)| [Some(Seg::Key(key)), ns.get(n).map(|n| Seg::Nth(*n))]).flatten().collect()
    }

    #[test]
    fn words_are_found_where_they_stand() {
        let text =
            "[[phase]]\nid = 'a'\n[[phase.step]]\nsql = \"\"\"\nselect 1,\n  \\\"x\\\" \"\"\"\nundo = { sql = 'b' }\n";
        let source = Source { text: text.to_owned(), ..Source::default() };
        let places = Places::new(&source);
        let sql = places.texts().into_iter().find(|(_, text)| text.contains('x')).unwrap().1;
        let at = sql.find('x').unwrap();
        let found = places.within(&path(&["phase", "step", "sql"], &[0, 0]), at..at + 1).unwrap();
        assert_eq!(&text[found.span], "x");
        let undo = path(&["phase", "step", "undo", "sql"], &[0, 0]);
        assert_eq!(&text[places.at(&undo).unwrap().span], "'b'");
        assert_eq!(places.at(&path(&["phase", "step", "expect"], &[0, 0])), None);
        assert_eq!(places.at(&path(&["phase"], &[1])), None);
    }

    #[test]
    fn what_is_included_is_counted_in_its_place() {
        let main =
            "[[probe]]\nid = 'p0'\n[[phase]]\nid = 'a'\n[[phase]]\ninclude = { file = 'part' }\n[[phase]]\nid = 'd'";
        let part = "[[phase]]\nid = 'b'\n[[phase]]\nid = 'c'\n[[probe]]\nid = 'p1'";
        let files = BTreeMap::from([("part".to_owned(), part.to_owned()), ("other".to_owned(), String::new())]);
        let source = Source { text: main.to_owned(), files, ..Source::default() };
        let places = Places::new(&source);
        let said = |list: &'static str, n: usize| {
            let Place { file, span } = places.at(&path(&[list, "id"], &[n]))?;
            let text = if file.is_some() { part } else { main };
            Some((file, text[span].to_owned()))
        };
        let there = Some("part".to_owned());
        let phases: Vec<_> = (0..4).filter_map(|n| said("phase", n)).collect();
        let expected = [(None, "'a'"), (there.clone(), "'b'"), (there.clone(), "'c'"), (None, "'d'")];
        assert_eq!(phases, expected.map(|(file, id)| (file, id.to_owned())));
        assert_eq!(said("probe", 0), Some((None, "'p0'".to_owned())));
        assert_eq!(said("probe", 1), Some((there, "'p1'".to_owned())));
        assert!(places.includes("part") && !places.includes("other"));
        // Every text once, those of the stand-in as well.
        let mut texts: Vec<String> = places.texts().into_iter().map(|(_, text)| text).collect();
        texts.sort();
        assert_eq!(texts, ["a", "b", "c", "d", "p0", "p1", "part"]);
    }
}
