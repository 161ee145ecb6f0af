//! What an index is, so far as two definitions can be compared by their words: the one that is wanted, and the one that the
//! server writes for what is there.

use super::walk::{Kind, Token, Walk};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Definition {
    unique: bool,
    method: String,
    keys: Vec<Key>,
    include: Vec<Vec<Token>>,
    nulls_not_distinct: bool,
    predicate: Option<Vec<Token>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Key {
    /// A column, or an expression, with what else stands beside it.
    body: Vec<Token>,
    descending: bool,
    nulls_first: bool,
}

/// How two definitions compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Likeness {
    Same,
    /// Nothing differs but how expressions are written, which the server does in its own way.
    Alike,
    Different,
}

impl Definition {
    /// What follows the table's name, to the end of the statement.
    pub fn read(unique: bool, walk: &mut Walk) -> Option<Self> {
        let method = if walk.word("using") { walk.ident()? } else { "btree".to_owned() };
        let keys = parts(walk.group()?).into_iter().map(key).collect();
        let include = if walk.word("include") { parts(walk.group()?) } else { Vec::new() };
        let include = include.into_iter().map(plain).collect();
        let nulls_not_distinct = walk.words(&["nulls", "not", "distinct"]);
        if !nulls_not_distinct {
            walk.words(&["nulls", "distinct"]);
        }
        if walk.word("with") {
            walk.group()?;
        }
        if walk.word("tablespace") {
            walk.ident()?;
        }
        let predicate = walk.word("where").then(|| plain(walk.rest()));
        walk.is_over().then_some(Self { unique, method, keys, include, nulls_not_distinct, predicate })
    }

    /// A definition as `pg_get_indexdef` writes it.
    pub fn of_server(sql: &str) -> Option<Self> {
        let mut walk = Walk::new(sql);
        walk.word("create").then_some(())?;
        let unique = walk.word("unique");
        walk.word("index").then_some(())?;
        walk.ident()?;
        walk.word("on").then_some(())?;
        walk.word("only");
        walk.name()?;
        Self::read(unique, &mut walk)
    }

    /// Storage parameters and tablespace are not compared.
    pub fn compare(&self, there: &Self) -> Likeness {
        let frame = |one: &Self| {
            let sorts: Vec<_> = one.keys.iter().map(|key| (key.descending, key.nulls_first)).collect();
            (one.unique, one.method.clone(), one.nulls_not_distinct, one.predicate.is_some(), sorts)
        };
        if frame(self) != frame(there) || self.include != there.include {
            return Likeness::Different;
        }
        let mut likeness = Likeness::Same;
        for (wanted, there) in self.keys.iter().zip(&there.keys) {
            match (wanted.body == there.body, wanted.is_column() && there.is_column()) {
                (true, _) => {}
                (false, true) => return Likeness::Different,
                (false, false) => likeness = Likeness::Alike,
            }
        }
        if self.predicate != there.predicate {
            likeness = Likeness::Alike;
        }
        likeness
    }
}

impl Key {
    fn is_column(&self) -> bool {
        matches!(self.body.as_slice(), [one] if one.is_name())
    }
}

fn key(mut tokens: Vec<Token>) -> Key {
    let mut nulls_first = None;
    if let [.., nulls, last] = tokens.as_slice()
        && nulls.is_word("nulls")
    {
        nulls_first = Some(last.is_word("first"));
        tokens.truncate(tokens.len() - 2);
    }
    let descending = tokens.last().is_some_and(|token| token.is_word("desc"));
    if descending || tokens.last().is_some_and(|token| token.is_word("asc")) {
        tokens.pop();
    }
    Key { body: plain(tokens), descending, nulls_first: nulls_first.unwrap_or(descending) }
}

/// Splits at the commas of the outermost level.
fn parts(tokens: Vec<Token>) -> Vec<Vec<Token>> {
    let mut parts = vec![Vec::new()];
    let mut depth = 0_u32;
    for token in tokens {
        match token.text.as_str() {
            "(" if token.kind == Kind::Symbol => depth += 1,
            ")" if token.kind == Kind::Symbol => depth = depth.saturating_sub(1),
            "," if token.kind == Kind::Symbol && depth == 0 => {
                parts.push(Vec::new());
                continue;
            }
            _ => {}
        }
        if let Some(part) = parts.last_mut() {
            part.push(token);
        }
    }
    parts
}

/// An expression without what the server adds to it: casts, and parentheses around the whole or around a single word.
/// A quoted name and the same word in lower case are one.
fn plain(tokens: Vec<Token>) -> Vec<Token> {
    let mut tokens = without_casts(tokens);
    for token in &mut tokens {
        if token.kind == Kind::Quoted {
            token.kind = Kind::Word;
        }
    }
    while let Some(n) = spare_parentheses(&tokens) {
        tokens.remove(n + 2);
        tokens.remove(n);
    }
    while wraps(&tokens) {
        tokens.pop();
        tokens.remove(0);
    }
    tokens
}

/// The place of a `( word )` that is no call.
fn spare_parentheses(tokens: &[Token]) -> Option<usize> {
    tokens.windows(3).enumerate().find_map(|(n, three)| {
        let called = n.checked_sub(1).and_then(|before| tokens.get(before)).is_some_and(Token::is_name);
        let single = three[0].is_symbol("(") && three[1].kind != Kind::Symbol && three[2].is_symbol(")");
        (single && !called).then_some(n)
    })
}

/// True where the first parenthesis closes at the end.
fn wraps(tokens: &[Token]) -> bool {
    if !tokens.first().is_some_and(|token| token.is_symbol("(")) {
        return false;
    }
    let mut depth = 0_u32;
    for (n, token) in tokens.iter().enumerate() {
        depth += u32::from(token.is_symbol("("));
        depth -= u32::from(token.is_symbol(")")).min(depth);
        if depth == 0 {
            return n + 1 == tokens.len();
        }
    }
    false
}

/// Words that can follow the first of a type's name.
const TYPE_WORDS: &[&str] = &["varying", "precision", "with", "without", "time", "zone"];

fn without_casts(tokens: Vec<Token>) -> Vec<Token> {
    let mut out = Vec::with_capacity(tokens.len());
    let mut rest = tokens.into_iter().peekable();
    while let Some(token) = rest.next() {
        let cast = token.is_symbol(":") && rest.peek().is_some_and(|next| next.is_symbol(":"));
        if !cast {
            out.push(token);
            continue;
        }
        rest.next();
        rest.next();
        while rest.next_if(|next| next.is_symbol(".")).is_some() {
            rest.next();
        }
        while rest.next_if(|next| TYPE_WORDS.iter().any(|word| next.is_word(word))).is_some() {}
        if rest.next_if(|next| next.is_symbol("(")).is_some() {
            while rest.next().is_some_and(|next| !next.is_symbol(")")) {}
        }
        while rest.next_if(|next| next.is_symbol("[") || next.is_symbol("]")).is_some() {}
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(sql: &str) -> Definition {
        let mut walk = Walk::new(sql);
        let unique = walk.word("unique");
        Definition::read(unique, &mut walk).unwrap()
    }

    #[test]
    fn definitions_compare_as_the_server_writes_them() {
        for (ours, servers, likeness) in [
            ("(a)", "CREATE INDEX i ON public.t USING btree (a)", Likeness::Same),
            ("(\"a\" asc nulls last, b desc)", "CREATE INDEX i ON t USING btree (a, b DESC)", Likeness::Same),
            ("unique (a)", "CREATE INDEX i ON t USING btree (a)", Likeness::Different),
            ("(b)", "CREATE INDEX i ON t USING btree (a)", Likeness::Different),
            ("(a, b)", "CREATE INDEX i ON t USING btree (a)", Likeness::Different),
            ("(a desc)", "CREATE INDEX i ON t USING btree (a)", Likeness::Different),
            ("using hash (a)", "CREATE INDEX i ON t USING btree (a)", Likeness::Different),
            ("(a) include (b)", "CREATE INDEX i ON t USING btree (a) INCLUDE (b)", Likeness::Same),
            ("(a) include (b)", "CREATE INDEX i ON t USING btree (a)", Likeness::Different),
            (
                "(a) with (fillfactor = 70)",
                "CREATE INDEX i ON t USING btree (a) WITH (fillfactor='70')",
                Likeness::Same,
            ),
            ("(lower(email))", "CREATE INDEX i ON t USING btree (lower((email)::text))", Likeness::Same),
            ("((a + b))", "CREATE INDEX i ON ONLY t USING btree (((a + b)))", Likeness::Same),
            ("(a) where b is null", "CREATE INDEX i ON t USING btree (a) WHERE (b IS NULL)", Likeness::Same),
            (
                "(a) where state = 'open'",
                "CREATE INDEX i ON t USING btree (a) WHERE ((state)::character varying(5) = 'open'::text)",
                Likeness::Same,
            ),
            ("(a) where b is null", "CREATE INDEX i ON t USING btree (a)", Likeness::Different),
            (
                "(a) where b is null and c > 1",
                "CREATE INDEX i ON t USING btree (a) WHERE ((b IS NULL) AND (c > 1))",
                Likeness::Alike,
            ),
            ("(upper(a))", "CREATE INDEX i ON t USING btree (lower(a))", Likeness::Alike),
        ] {
            assert_eq!(wanted(ours).compare(&Definition::of_server(servers).unwrap()), likeness, "{ours}: {servers}");
        }
    }
}
