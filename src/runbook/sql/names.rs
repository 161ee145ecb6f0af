//! What a PostgreSQL statement says of the database's objects: which it needs and for what, which it makes, which it
//! takes away. By the grammar, not by the server: names that only a function or a DO block knows are not seen.

use std::collections::BTreeSet;

use squawk_syntax::ast::AstNode;
use squawk_syntax::{SourceFile, SyntaxKind, SyntaxNode};

/// The name of a table, view, index or sequence, as the server folds it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name {
    pub schema: Option<String>,
    pub name: String,
}

/// A name as SQL takes it, whatever is in it: `"odd "" name"`.
pub fn ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

impl Name {
    /// True where both may be the same object: a missing schema says nothing.
    pub fn may_be(&self, other: &Self) -> bool {
        let schemas = self.schema.as_ref().zip(other.schema.as_ref());
        self.name == other.name && schemas.is_none_or(|(one, two)| one == two)
    }

    /// As SQL, each part quoted: `"app"."scores"`.
    pub fn quoted(&self) -> String {
        match &self.schema {
            Some(schema) => format!("{}.{}", ident(schema), ident(&self.name)),
            None => ident(&self.name),
        }
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.schema {
            Some(schema) => write!(f, "{schema}.{}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// What a statement does with an object that has to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Use {
    Select,
    Insert,
    Update,
    Delete,
    Truncate,
    References,
    /// What only its owner may do: `alter`, `drop`, an index on it.
    Own,
    /// It has to be there; which right it takes is not said here.
    Any,
}

/// An object that has to be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    pub name: Name,
    pub using: Use,
    /// `if exists`: it need not be there.
    pub optional: bool,
    /// Columns that have to be there, of `alter table`.
    pub columns: Vec<String>,
}

/// What a kind of object is to the place where it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Made {
    /// In the schema it names, or the first of the search path.
    Relation,
    /// In its table's schema.
    Index,
    /// Seen by its own session alone.
    Temporary,
}

/// Everything one statement says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named {
    pub needs: Vec<Need>,
    /// With `if not exists` (or `or replace`): it may be there already.
    pub makes: Vec<(Name, Made, bool)>,
    pub takes_away: Vec<Name>,
    /// Whose columns it changes.
    pub changes: Vec<Name>,
    /// Columns that must not be there yet.
    pub adds: Vec<(Name, String)>,
    /// Columns that are there afterwards, and those that are not any more.
    pub brings: Vec<(Name, String)>,
    pub loses: Vec<(Name, String)>,
    pub extensions: Vec<String>,
    /// It makes schemas, types or functions, or runs code: what it makes is not told by names of relations.
    pub makes_more: bool,
}

/// What the statement says; none where the grammar does not understand it.
pub fn named(sql: &str) -> Option<Named> {
    let parse = SourceFile::parse(sql);
    if !parse.errors().is_empty() {
        return None;
    }
    let tree = parse.tree();
    let mut named = Named::default();
    for statement in tree.syntax().children() {
        Reading { common: common(&statement), statement: &statement, named: &mut named }.read();
    }
    Some(named)
}

/// The names of common table expressions: no objects.
fn common(statement: &SyntaxNode) -> BTreeSet<String> {
    let names = statement.descendants().filter(|node| node.kind() == SyntaxKind::CTE_NAME);
    names.map(|node| folded(&node.text().to_string())).collect()
}

struct Reading<'a> {
    statement: &'a SyntaxNode,
    common: BTreeSet<String>,
    named: &'a mut Named,
}

impl Reading<'_> {
    fn read(&mut self) {
        if let SyntaxKind::DO | SyntaxKind::CALL = self.statement.kind() {
            self.named.makes_more = true;
        }
        let nodes: Vec<SyntaxNode> = self.statement.descendants().collect();
        for node in &nodes {
            self.node(node);
        }
    }

    fn node(&mut self, node: &SyntaxNode) {
        match node.kind() {
            SyntaxKind::RELATION_NAME_REF
            | SyntaxKind::TABLE_NAME_REF
            | SyntaxKind::VIEW_REF
            | SyntaxKind::INDEX_REF
            | SyntaxKind::SEQUENCE_REF => self.reference(node),
            SyntaxKind::TABLE_NAME | SyntaxKind::VIEW | SyntaxKind::SEQUENCE => self.made(node, Made::Relation),
            SyntaxKind::INDEX => self.made(node, Made::Index),
            SyntaxKind::EXTENSION => self.named.extensions.push(folded(&node.text().to_string())),
            SyntaxKind::FUNCTION_NAME | SyntaxKind::PROCEDURE_NAME | SyntaxKind::TYPE_NAME | SyntaxKind::SCHEMA => {
                self.named.makes_more = true;
            }
            _ => {}
        }
    }

    fn made(&mut self, node: &SyntaxNode, what: Made) {
        let Some(mut name) = name(node) else { return };
        let temporary = self.statement.descendants().any(|node| node.kind() == SyntaxKind::TEMP);
        let what = if temporary { Made::Temporary } else { what };
        // What is renamed stays in its schema.
        if name.schema.is_none() && node.parent().is_some_and(|parent| parent != *self.statement) {
            name.schema = self.named.needs.last().and_then(|need| need.name.schema.clone());
        }
        let lenient = has(self.statement, SyntaxKind::IF_NOT_EXISTS) || has(self.statement, SyntaxKind::OR_REPLACE);
        self.named.makes.push((name, what, lenient));
    }

    fn reference(&mut self, node: &SyntaxNode) {
        let Some(name) = name(node) else { return };
        if name.schema.is_none() && self.common.contains(&name.name) {
            return;
        }
        let using = using(node, self.statement.kind());
        let main = self.is_main(node);
        let optional = main && has(self.statement, SyntaxKind::IF_EXISTS);
        let mut columns = Vec::new();
        if main && self.statement.kind() == SyntaxKind::ALTER_TABLE {
            columns = self.columns();
            let of = |column: String| (name.clone(), column);
            self.named.adds.extend(self.added(true).into_iter().map(of));
            self.named.brings.extend(self.added(false).into_iter().map(of));
            self.named.loses.extend(self.lost().into_iter().map(of));
            self.named.changes.push(name.clone());
        }
        if main && (is_drop(self.statement.kind()) || self.renames()) {
            self.named.takes_away.push(name.clone());
        }
        if main && let Some(schema) = self.moves_to() {
            let moved = Name { schema: Some(schema), name: name.name.clone() };
            self.named.makes.push((moved, Made::Relation, false));
        }
        self.named.needs.push(Need { name, using, optional, columns });
    }

    /// True for what the statement is about, false for what it only mentions.
    fn is_main(&self, node: &SyntaxNode) -> bool {
        let parent = node.parent();
        let above = parent.as_ref().and_then(SyntaxNode::parent);
        parent.as_ref() == Some(self.statement)
            || (parent.is_some_and(|parent| parent.kind() == SyntaxKind::TABLE_RELATION_NAME)
                && above.as_ref() == Some(self.statement))
    }

    /// The columns that an `alter table` drops, alters or renames.
    fn columns(&self) -> Vec<String> {
        let kinds = [SyntaxKind::DROP_COLUMN, SyntaxKind::ALTER_COLUMN, SyntaxKind::RENAME_COLUMN];
        let actions = self.statement.children().filter(|node| kinds.contains(&node.kind()));
        let named = actions.filter(|node| !has(node, SyntaxKind::IF_EXISTS)).filter_map(|node| column(&node));
        let added = self.added(false);
        named.filter(|column| !added.contains(column)).collect()
    }

    /// The columns that are dropped or get another name.
    fn lost(&self) -> Vec<String> {
        let kinds = [SyntaxKind::DROP_COLUMN, SyntaxKind::RENAME_COLUMN];
        let actions = self.statement.children().filter(|node| kinds.contains(&node.kind()));
        actions.filter_map(|node| column(&node)).collect()
    }

    /// The columns that the statement itself brings; `strict`: not those that may be there already.
    fn added(&self, strict: bool) -> BTreeSet<String> {
        let kinds = [SyntaxKind::ADD_COLUMN, SyntaxKind::RENAME_COLUMN];
        let actions = self.statement.children().filter(|node| kinds.contains(&node.kind()));
        let actions = actions.filter(|node| !strict || !has(node, SyntaxKind::IF_NOT_EXISTS));
        let names = actions.flat_map(|node| node.children().collect::<Vec<_>>());
        let names = names.filter(|child| child.kind() == SyntaxKind::COLUMN_NAME);
        names.map(|child| folded(&child.text().to_string())).collect()
    }

    /// The schema that the object gets.
    fn moves_to(&self) -> Option<String> {
        let set = self.statement.children().find(|node| node.kind() == SyntaxKind::SET_SCHEMA)?;
        let schema = set.children().find(|node| node.kind() == SyntaxKind::SCHEMA_REF)?;
        Some(folded(&schema.text().to_string()))
    }

    fn renames(&self) -> bool {
        let kinds = [SyntaxKind::TABLE_RENAME_TO, SyntaxKind::VIEW_RENAME_TO, SyntaxKind::INDEX_RENAME_TO];
        kinds.iter().any(|kind| has(self.statement, *kind)) || has(self.statement, SyntaxKind::SET_SCHEMA)
    }
}

/// True where a child of the node is of that kind.
fn has(node: &SyntaxNode, kind: SyntaxKind) -> bool {
    node.children().any(|child| child.kind() == kind)
}

/// The column that an action is about.
fn column(action: &SyntaxNode) -> Option<String> {
    let column = action.children().find(|child| child.kind() == SyntaxKind::COLUMN_NAME_REF)?;
    Some(folded(&column.text().to_string()))
}

fn is_drop(kind: SyntaxKind) -> bool {
    matches!(
        kind,
        SyntaxKind::DROP_TABLE
            | SyntaxKind::DROP_VIEW
            | SyntaxKind::DROP_MATERIALIZED_VIEW
            | SyntaxKind::DROP_INDEX
            | SyntaxKind::DROP_SEQUENCE
    )
}

/// What is done with a reference, by where it stands.
fn using(node: &SyntaxNode, statement: SyntaxKind) -> Use {
    let mut place = node.parent();
    while let Some(parent) = &place
        && matches!(
            parent.kind(),
            SyntaxKind::RELATION_NAME
                | SyntaxKind::TABLE_RELATION_NAME
                | SyntaxKind::TABLE_LIST
                | SyntaxKind::RELATION_LIST
                | SyntaxKind::ON_TABLE
        )
    {
        place = parent.parent();
    }
    match place.map(|place| place.kind()) {
        Some(SyntaxKind::RELATION_FROM_ITEM | SyntaxKind::TABLE) => Use::Select,
        Some(SyntaxKind::INSERT) => Use::Insert,
        Some(SyntaxKind::UPDATE) => Use::Update,
        Some(SyntaxKind::DELETE) => Use::Delete,
        Some(SyntaxKind::TRUNCATE) => Use::Truncate,
        Some(SyntaxKind::REFERENCES_CONSTRAINT | SyntaxKind::FOREIGN_KEY_CONSTRAINT) => Use::References,
        Some(
            SyntaxKind::ALTER_TABLE
            | SyntaxKind::ALTER_VIEW
            | SyntaxKind::ALTER_INDEX
            | SyntaxKind::ALTER_SEQUENCE
            | SyntaxKind::ATTACH_PARTITION
            | SyntaxKind::CREATE_INDEX
            | SyntaxKind::CREATE_POLICY
            | SyntaxKind::REFRESH
            | SyntaxKind::CLUSTER
            | SyntaxKind::REINDEX_TARGET_TABLE
            | SyntaxKind::REINDEX_TARGET_INDEX,
        ) => Use::Own,
        _ if is_drop(statement) => Use::Own,
        _ => Use::Any,
    }
}

/// The name in a reference or a definition; none where it has more parts than schema and name.
fn name(node: &SyntaxNode) -> Option<Name> {
    let parts = node
        .descendants()
        .filter(|part| matches!(part.kind(), SyntaxKind::PATH_SEGMENT_REF | SyntaxKind::PATH_SEGMENT))
        .map(|part| folded(&part.text().to_string()))
        .collect::<Vec<_>>();
    match <[String; 2]>::try_from(parts) {
        Ok([schema, name]) => Some(Name { schema: Some(schema), name }),
        Err(mut parts) if parts.len() == 1 => parts.pop().map(|name| Name { schema: None, name }),
        Err(_) => None,
    }
}

/// As the server folds a name: small letters, or what stands between the quotes.
fn folded(text: &str) -> String {
    let text = text.trim();
    match text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
        Some(quoted) => quoted.replace("\"\"", "\""),
        None => text.to_ascii_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `select t · own if-exists s.u(c)`: the needs in short.
    fn needs(sql: &str) -> String {
        let named = named(sql).unwrap();
        let words = |need: &Need| {
            let optional = if need.optional { "?" } else { "" };
            let columns = if need.columns.is_empty() { String::new() } else { format!("({})", need.columns.join(",")) };
            format!("{:?} {}{optional}{columns}", need.using, need.name).to_lowercase()
        };
        named.needs.iter().map(words).collect::<Vec<_>>().join(" · ")
    }

    fn makes(sql: &str) -> Vec<String> {
        named(sql).unwrap().makes.iter().map(|(name, ..)| name.to_string()).collect()
    }

    #[test]
    fn what_queries_need() {
        assert_eq!(needs("with x as (select 1 from w) insert into a.t (c) select * from x join \"U\" on true"), {
            "select w · insert a.t · select u"
        });
        assert_eq!(needs("update only t set a = 1 from u where exists (select 1 from v)"), {
            "update t · select u · select v"
        });
        assert_eq!(needs("delete from t using u"), "delete t · select u");
        assert_eq!(needs("merge into t using u on true when matched then delete"), "any t · select u");
        assert_eq!(needs("select count(*) from f(1), lateral (table z) q"), "select z");
    }

    #[test]
    fn what_definitions_need_and_make() {
        assert_eq!(needs("alter table if exists s.t rename to u"), "own s.t?");
        assert_eq!(makes("alter table if exists s.t rename to u"), ["s.u"]);
        assert_eq!(named("alter table t rename to u").unwrap().takes_away[0].to_string(), "t");
        assert_eq!(needs("alter table t drop column a, alter b set not null, drop column if exists c"), "own t(a,b)");
        assert_eq!(needs("alter table t rename a to b"), "own t(a)");
        let adds = named("alter table t add a int, add column if not exists b int").unwrap().adds;
        assert_eq!(adds.iter().map(|(_, column)| column.as_str()).collect::<Vec<_>>(), ["a"]);
        assert_eq!(makes("alter table t set schema archive"), ["archive.t"]);
        assert_eq!(needs("create index concurrently i on t (a)"), "own t");
        assert_eq!(makes("create index concurrently i on t (a)"), ["i"]);
        assert_eq!(needs("create table n (like p, id int references q (id))"), "any p · references q");
        assert_eq!(needs("drop table if exists a, b cascade"), "own a? · own b?");
        assert_eq!(needs("truncate t, u"), "truncate t · truncate u");
        assert_eq!(makes("select 1 into w from t"), ["w"]);
        assert_eq!(makes("create materialized view m as select 1"), ["m"]);
        assert!(named("create view v as select 1").unwrap().makes.iter().all(|(.., lenient)| !lenient));
        assert!(named("create or replace view v as select 1").unwrap().makes.iter().all(|(.., lenient)| *lenient));
    }

    #[test]
    fn what_cannot_be_told_by_names() {
        assert!(named("do $$ begin end $$").unwrap().makes_more);
        assert!(named("create function f() returns int language sql as $$ select 1 $$").unwrap().makes_more);
        let extension = named("create extension if not exists pgcrypto").unwrap();
        assert_eq!((extension.extensions.as_slice(), extension.makes_more), (&["pgcrypto".to_owned()][..], false));
        assert_eq!(named("alter table t rename column"), None);
    }

    #[test]
    fn names_that_may_be_the_same() {
        let of = |text: &str| named(&format!("table {text}")).unwrap().needs[0].name.clone();
        assert!(of("t").may_be(&of("S.T")) && !of("t").may_be(&of("\"T\"")) && !of("a.t").may_be(&of("b.t")));
        assert_eq!(of("a.\"x\"\"y\"").quoted(), "\"a\".\"x\"\"y\"");
    }
}
