//! What is read off the answer of SQL: rows as they come, the plan of a query, or the inventory of a database.

use serde::{Deserialize, Serialize};

/// How the answer of a script is read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "asks", rename_all = "snake_case")]
pub enum Asks {
    #[default]
    Rows,
    /// `explain`: the plan of one query. `analyze`: it is run, and timed by the server.
    Plan { analyze: bool },
    /// `snapshot`: what there is.
    Inventory(Box<Inventory>),
}

impl Asks {
    pub fn is_rows(&self) -> bool {
        *self == Self::Rows
    }

    /// The word the runbook uses, where it is a verb of its own.
    pub fn word(&self) -> Option<&'static str> {
        match self {
            Self::Rows => None,
            Self::Plan { .. } => Some("explain"),
            Self::Inventory(_) => Some("snapshot"),
        }
    }
}

/// What a `snapshot` takes in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Inventory {
    pub name: String,
    /// The earlier snapshot whose differences are wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compare: Option<String>,
    /// Empty: all but the server's own and gonogo's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub schemas: Vec<String>,
    pub rows: RowCounts,
    /// A sum over the contents of every table, whatever the order of rows and columns.
    pub data: bool,
    /// Where sequences stand.
    pub sequences: bool,
    /// Objects that are left out, as `kind name`; `*` stands for any text.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ignore: Vec<String>,
}

impl Inventory {
    /// What it takes in, and what it is compared with, in words.
    pub fn words(&self) -> String {
        let of = match self.schemas.as_slice() {
            [] => "all schemas".to_owned(),
            some => some.join(", "),
        };
        let rows = match self.rows {
            RowCounts::Exact => ", rows counted",
            RowCounts::Estimated => ", rows estimated",
            RowCounts::None => "",
        };
        let data = if self.data { ", contents summed up" } else { "" };
        let compare = self.compare.as_ref().map(|other| format!("; compared with `{other}`")).unwrap_or_default();
        format!("inventory `{}` of {of}{rows}{data}{compare}", self.name)
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RowCounts {
    #[default]
    Exact,
    /// What the server last counted; never compared.
    Estimated,
    None,
}
