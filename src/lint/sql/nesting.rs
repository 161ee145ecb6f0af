//! SQL that is nested too deeply to be looked at: what reads it takes time and memory by the square of the depth.

use super::gather::Sql;
use super::squawk;
use super::words::{Kind, Words};
use crate::lint::desk::Desk;
use crate::lint::rule::Rule;

pub(super) static RULES: &[&Rule] = &[&TOO_DEEP];

static TOO_DEEP: Rule = Rule::warning(
    "sql-nested-too-deep",
    "beyond 500 levels of brackets, or 1000 operators in one chain, the rules about SQL do not look: nothing vouches for it",
    "write it flatter: a list (in (…), values …), a table of its own, or several statements",
);

/// Levels of brackets and `case` that are looked at.
const LEVELS: usize = 500;
/// Levels of the tree that a statement becomes, operators counted in.
const DEPTH: usize = 1_000;

/// Notes SQL that is too deep; true where rules about its words may look at it.
pub(super) fn check(desk: &Desk<'_>, sql: &Sql) -> bool {
    let Nesting { levels, depth } = sql.nesting;
    let message = if levels > LEVELS {
        format!("this is nested {levels} levels deep: no rule about SQL has looked at it")
    } else if depth > DEPTH && squawk::is_asked(sql) {
        format!("this chains operators {depth} levels deep: the rules of squawk have not looked at it")
    } else {
        return true;
    };
    desk.note(&TOO_DEEP, &sql.subject, &sql.spot, message);
    levels <= LEVELS
}

/// How deep the statements of a script are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Nesting {
    /// Brackets and `case` around the innermost word.
    levels: usize,
    /// Also the operators of a chain: each of `1+1+1` and `not not not` makes the tree a level deeper.
    depth: usize,
}

impl Nesting {
    pub fn of(statements: &[Words]) -> Self {
        statements.iter().fold(Self::default(), |most, words| {
            let Self { levels, depth } = Self::of_one(words);
            Self { levels: most.levels.max(levels), depth: most.depth.max(depth) }
        })
    }

    fn of_one(words: &Words) -> Self {
        let mut open = vec![Level::default()];
        let mut levels = 0;
        for word in words.0.iter().filter(|word| matches!(word.kind, Kind::Name | Kind::Sign)) {
            match word.text.as_str() {
                opening @ ("(" | "[" | "{" | "case") => {
                    open.push(Level { is_case: opening == "case", ..Level::default() });
                    levels = levels.max(open.len() - 1);
                }
                ")" | "]" | "}" => close(&mut open),
                "end" if open.last().is_some_and(|level| level.is_case) => close(&mut open),
                "," => open.iter_mut().next_back().into_iter().for_each(Level::next),
                text if word.kind == Kind::Sign && text != "." || CHAINS.contains(&text) => {
                    open.iter_mut().next_back().into_iter().for_each(|level| level.operators += 1);
                }
                _ => {}
            }
        }
        while open.len() > 1 {
            close(&mut open);
        }
        Self { levels, depth: open.first().map_or(0, Level::depth) }
    }

    /// True for SQL of which no tree is made.
    pub(super) fn is_too_deep(self) -> bool {
        self.levels > LEVELS || self.depth > DEPTH
    }
}

/// Words that chain like operators.
const CHAINS: &[&str] = &["and", "or", "not", "is", "like", "union", "intersect", "except", "join", "collate", "with"];

/// What is open: a bracket, a `case`, the statement itself.
#[derive(Default)]
struct Level {
    is_case: bool,
    /// Of the part behind the last comma.
    operators: usize,
    /// The deepest of what was closed in this part.
    inner: usize,
    /// The deepest part before.
    before: usize,
}

impl Level {
    fn depth(&self) -> usize {
        self.before.max(self.operators + self.inner)
    }

    fn next(&mut self) {
        *self = Self { is_case: self.is_case, before: self.depth(), ..Self::default() };
    }
}

/// The statement itself stays open.
fn close(open: &mut Vec<Level>) {
    if open.len() < 2 {
        return;
    }
    let depth = open.pop().map_or(0, |level| level.depth() + 1);
    if let Some(around) = open.last_mut() {
        around.inner = around.inner.max(depth);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_and_chains_are_levels() {
        let of = |sql: &str| {
            let Nesting { levels, depth } = Nesting::of(&[Words::of(sql, 0)]);
            (levels, depth)
        };
        assert_eq!(of("select a, b from t"), (0, 0));
        assert_eq!(of("select ((1))"), (2, 2));
        assert_eq!(of("select 1+1+1, 2+2"), (0, 2));
        assert_eq!(of("select ((1 + 1) + 1) + 1"), (2, 5));
        assert_eq!(of("select array[array[case when not not true then 1 end]]"), (3, 5));
        assert_eq!(of("insert into t values (1, 2), (3, 4), (5, 6)"), (1, 1));
        assert_eq!(of("select ')(', \"((\" -- (("), (0, 0));
        assert_eq!(of("))) end select (1"), (1, 1));
    }
}
