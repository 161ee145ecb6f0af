//! Where things stand in a runbook that was read: the model has lines, whoever points at a word needs its bytes.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::Source;
use super::text::Located;

/// One step on the way from the top of the file to a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seg {
    Key(&'static str),
    /// A key that the runbook chose: the name of an environment.
    Name(String),
    /// The n-th (from 0) of a list.
    Nth(usize),
}

/// The tree of a runbook's text, for places only.
pub struct Places<'s> {
    text: &'s str,
    tree: DeTable<'s>,
}

impl<'s> Places<'s> {
    pub fn new(source: &'s Source) -> Self {
        let (tree, _) = DeTable::parse_recoverable(&source.text);
        Self { text: &source.text, tree: tree.into_inner() }
    }

    /// The bytes of the value at the end of `path`; of a table, its header. None: there is none.
    pub fn at(&self, path: &[Seg]) -> Option<Range<usize>> {
        self.find(path).map(|(_, span)| span)
    }

    /// The bytes of the file for bytes `part` of the text at the end of `path`, quotes and escapes of TOML counted in.
    pub fn within(&self, path: &[Seg], part: Range<usize>) -> Option<Range<usize>> {
        let (value, span) = self.find(path)?;
        let DeValue::String(text) = value else { return Some(span) };
        let whole = part.start == 0 && part.end >= text.len();
        let located = Located { text: text.to_string(), file: None, span };
        Some(if whole { located.span.clone() } else { located.place(self.text, part) })
    }

    /// Every text of the runbook with the way to it, in no particular order.
    pub fn texts(&self) -> Vec<(Vec<Seg>, String)> {
        let mut texts = Vec::new();
        let named = |path: &[Seg], key: &str| [path, &[Seg::Name(key.to_owned())]].concat();
        let top = self.tree.iter().map(|(key, value)| (named(&[], key.get_ref()), value.get_ref()));
        let mut open: Vec<(Vec<Seg>, &DeValue<'s>)> = top.collect();
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

    fn find(&self, path: &[Seg]) -> Option<(&DeValue<'s>, Range<usize>)> {
        let (first, rest) = path.split_first()?;
        let mut at = entry(&self.tree, first)?;
        for seg in rest {
            at = match (at.0, seg) {
                (DeValue::Array(items), Seg::Nth(n)) => items.get(*n).map(|item| (item.get_ref(), item.span()))?,
                (DeValue::Table(table), seg) => entry(table, seg)?,
                _ => return None,
            };
        }
        Some(at)
    }
}

fn entry<'t, 's>(table: &'t DeTable<'s>, seg: &Seg) -> Option<(&'t DeValue<'s>, Range<usize>)> {
    let name = match seg {
        Seg::Key(key) => key,
        Seg::Name(name) => name.as_str(),
        Seg::Nth(_) => return None,
    };
    table.get(name).map(|value| (value.get_ref(), value.span()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_where_they_stand() {
        let text =
            "[[phase]]\nid = 'a'\n[[phase.step]]\nsql = \"\"\"\nselect 1,\n  \\\"x\\\" \"\"\"\nundo = { sql = 'b' }\n";
        let source = Source { text: text.to_owned(), ..Source::default() };
        let places = Places::new(&source);
        let step = vec![Seg::Key("phase"), Seg::Nth(0), Seg::Key("step"), Seg::Nth(0)];
        let with = |key| [step.clone(), vec![Seg::Key(key)]].concat();
        let sql = places.texts().into_iter().find(|(_, text)| text.contains('x')).unwrap().1;
        let at = sql.find('x').unwrap();
        assert_eq!(&text[places.within(&with("sql"), at..at + 1).unwrap()], "x");
        let undo = [with("undo"), vec![Seg::Key("sql")]].concat();
        assert_eq!(&text[places.at(&undo).unwrap()], "'b'");
        assert_eq!(places.at(&with("expect")), None);
        assert_eq!(places.at(&[Seg::Key("phase"), Seg::Nth(1)]), None);
    }
}
