//! What a walk has before it: counted where that is quick, else as the server's statistics and the ends of the key tell.

use super::{Checkpoint, Table, ends};
use crate::target::batch::Estimate;
use crate::target::problem::Problem;

/// How long counting may take: a glance before the first batch, not a scan that the operator waits for.
const LIMIT: &str = "set local statement_timeout = '1500ms'";

impl Table<'_> {
    pub(super) async fn assessed(&mut self, from: &Checkpoint) -> Option<Estimate> {
        let high = from.high.clone()?;
        if let Some(counted) = self.counted(from, &high).await {
            return Some(counted);
        }
        let (all, keys) = match self.known {
            true => (self.explained(None, &high).await?, self.explained(from.reached.as_deref(), &high).await?),
            false => self.guessed(from, &high).await?,
        };
        // How many rows a condition picks is beyond statistics: of a column that is new there are none.
        let rows = self.order.filter.is_none().then_some(keys);
        Some(Estimate { all: all.max(keys), keys, rows })
    }

    /// Exact, where it can be had at once.
    async fn counted(&mut self, from: &Checkpoint, high: &str) -> Option<Estimate> {
        let (column, kind) = (self.column(), self.names.kind.clone());
        let left = match &from.reached {
            Some(_) => format!("{column} > $2::text::{kind}"),
            None => "true".to_owned(),
        };
        // In a line of its own: the runbook's text may end in a comment.
        let filter = self.order.filter.as_ref().map(|filter| format!(" and (\n{filter}\n)")).unwrap_or_default();
        let sql = format!(
            "select count(*)::text, (count(*) filter (where {left}))::text, (count(*) filter (where {left}{filter}))::text \
             from {} where {}",
            self.names.table,
            self.range(None, false)
        );
        let counts = self.glance(&sql, &ends(high, from)).await.ok()?;
        let mut counts = counts.into_iter().map(|count| count.and_then(|count| count.parse::<u64>().ok()));
        let (all, keys, rows) = (counts.next()??, counts.next()??, counts.next()??);
        Some(Estimate { all, keys, rows: Some(rows) })
    }

    async fn glance(&mut self, sql: &str, args: &[&str]) -> Result<Vec<Option<String>>, Problem> {
        self.session()?.command("begin read only").await?;
        let row = match self.session()?.command(LIMIT).await {
            Ok(()) => self.ask(sql, args).await,
            Err(problem) => Err(problem),
        };
        self.session()?.roll_back().await?;
        row
    }

    /// What the planner expects in a range of keys.
    async fn explained(&mut self, from: Option<&str>, high: &str) -> Option<u64> {
        let args: Vec<&str> = [high].into_iter().chain(from).collect();
        let range = self.range(from, false);
        self.planned(&format!(" where {range}"), &args).await
    }

    async fn planned(&mut self, tail: &str, args: &[&str]) -> Option<u64> {
        let sql = format!("explain (format json) select 1 from {}{tail}", self.names.table);
        let plan = self.ask(&sql, args).await.ok()?.into_iter().next()??;
        let plan: serde_json::Value = serde_json::from_str(&plan).ok()?;
        let rows = plan.get(0)?.get("Plan")?.get("Plan Rows")?.as_f64()?;
        // An estimate: what overflows stops at the end of the scale.
        Some(rows.max(0.0) as u64)
    }

    /// A table without statistics: its size on disk says about how many rows it has, and the ends of a key made of
    /// numbers how many of them are left. Of other keys only a walk that has not begun can be told.
    async fn guessed(&mut self, from: &Checkpoint, high: &str) -> Option<(u64, u64)> {
        let all = self.planned("", &[]).await?;
        let Some(reached) = &from.reached else { return Some((all, all)) };
        let (column, table) = (self.column(), self.names.table.clone());
        let sql = format!("select {column}::text from {table} order by {column} limit 1");
        let low = self.ask(&sql, &[]).await.ok()?.into_iter().next()??;
        let number = |text: &str| text.parse::<f64>().ok().filter(|number| number.is_finite());
        let (low, reached, high) = (number(&low)?, number(reached)?, number(high)?);
        let left = ((high - reached) / (high - low)).clamp(0.0, 1.0);
        // Not a number where the ends are the same: that casts to nothing left.
        Some((all, (all as f64 * left) as u64))
    }
}
