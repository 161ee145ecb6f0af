//! What the server has counted of each table since it began to count.

use super::Postgres;
use super::line::Rows;
use crate::run::dump::{Counter, Counters};
use crate::target::problem::Problem;

/// One row per table: number, name, rows inserted, updated and deleted; the first row says since when.
pub(in crate::target) const COUNTERS: &str = "select null, \
      coalesce((select stats_reset::text from pg_stat_database where datname = current_database()), '') \
        || ' ' || pg_postmaster_start_time()::text, null, null, null, '' \
    union all \
    select relid::text, format('%I.%I', schemaname, relname), n_tup_ins::text, n_tup_upd::text, n_tup_del::text, relid::text \
    from pg_stat_user_tables where schemaname <> 'gonogo' order by 6";

impl Postgres {
    pub async fn counters(&self) -> Result<Counters, Problem> {
        read(self.control.ask(COUNTERS, &[]).await?)
    }
}

/// The answer to [`COUNTERS`].
pub(in crate::target) fn read(rows: Rows) -> Result<Counters, Problem> {
    let mut counters = Counters::default();
    for row in rows {
        let mut cells = row.into_iter();
        let (oid, name) = (cells.next().flatten(), cells.next().flatten().unwrap_or_default());
        let Some(oid) = oid else {
            counters.since = name;
            continue;
        };
        let mut number = || cells.next().flatten().and_then(|cell| cell.parse::<u64>().ok());
        let parsed = (|| {
            Some(Counter { oid: oid.parse().ok()?, name, inserted: number()?, updated: number()?, deleted: number()? })
        })();
        counters.tables.push(parsed.ok_or_else(|| Problem::own("the server's counters are no numbers"))?);
    }
    Ok(counters)
}
