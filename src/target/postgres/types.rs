//! Names of column types, as the server writes them, and what expressions see their values as.

use std::collections::HashMap;

use sqlx::postgres::PgTypeInfo;
use sqlx::{Column, TypeInfo};
use tokio::sync::Mutex;

use super::line::Line;
use crate::target::cell::Kind;

/// Types learned so far, by OID. User types keep their OID for as long as they exist.
#[derive(Default)]
pub(super) struct Types {
    known: Mutex<HashMap<u32, String>>,
}

impl Types {
    /// The names of these columns' types; a type that only the step's own transaction knows is `?`.
    pub async fn names<C>(&self, control: &Line, columns: &[C]) -> Vec<String>
    where
        C: Column<Database = sqlx::Postgres>,
    {
        let mut known = self.known.lock().await;
        let mut unknown: Vec<u32> = columns.iter().filter_map(|column| oid(column.type_info())).collect();
        unknown.retain(|oid| !known.contains_key(oid));
        if !unknown.is_empty() {
            let list: Vec<String> = unknown.iter().map(u32::to_string).collect();
            let sql = "select oid::text, format_type(oid, null) from pg_type \
                       where oid = any (string_to_array($1, ',')::oid[])";
            for row in control.ask(sql, &[&list.join(",")]).await.unwrap_or_default() {
                if let [Some(oid), Some(name)] = row.as_slice()
                    && let Ok(oid) = oid.parse()
                {
                    known.insert(oid, name.clone());
                }
            }
        }
        columns
            .iter()
            .map(|column| {
                let named = oid(column.type_info()).and_then(|oid| known.get(&oid).cloned());
                named.unwrap_or_else(|| column.type_info().name().to_ascii_lowercase())
            })
            .collect()
    }
}

fn oid(info: &PgTypeInfo) -> Option<u32> {
    info.oid().map(|oid| oid.0)
}

/// By the OIDs of pg_type.dat, which never change.
pub(super) fn kind(info: &PgTypeInfo) -> Kind {
    match oid(info) {
        // bool
        Some(16) => Kind::Bool,
        // int8, int2, int4, oid, float4, float8, numeric
        Some(20 | 21 | 23 | 26 | 700 | 701 | 1700) => Kind::Number,
        _ => Kind::Text,
    }
}
