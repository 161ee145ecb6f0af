//! The verbs `snapshot` and `explain`. See `parse::asks`.

use schemars::JsonSchema;

use super::values::{Sql, Text};

/// The inventory of a database in one moment: its name, or a table.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum Snapshot {
    Name(SnapshotName),
    Table(SnapshotTable),
}

/// What later steps call a snapshot; no template.
#[derive(JsonSchema)]
#[schemars(extend("pattern" = "\\S"), extend("not" = {"pattern": "\\{\\{"}), extend("examples" = ["before"]))]
pub struct SnapshotName(pub String);

/// The inventory of a database in one moment, alone or compared with an earlier one.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct SnapshotTable {
    /// What later steps call it.
    pub name: SnapshotName,
    /// An earlier snapshot: what differs is shown, and `value` counts it.
    pub compare: Option<SnapshotName>,
    /// How the rows of every table are counted; default `exact`.
    pub rows: Option<RowCounts>,
    /// true: also a sum over the contents of every table. It reads every row.
    pub data: Option<bool>,
    /// true: also where sequences stand.
    pub sequences: Option<bool>,
    /// Only these schemas.
    pub schemas: Option<Vec<Text>>,
    /// What is left out, as kind and name with `*` for any text: `rows public.visits`.
    pub ignore: Option<Vec<Text>>,
}

/// How rows are counted. What is estimated is never compared.
#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub enum RowCounts {
    Exact,
    Estimated,
    None,
}

/// The plan of one query that only reads: the query, or a table.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum Explain {
    Query(Sql),
    Table(ExplainTable),
}

/// The plan of one query.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ExplainTable {
    /// The query.
    pub sql: Sql,
    /// true (default): it is run, so it must only read. false: it is only planned.
    pub analyze: Option<bool>,
}
