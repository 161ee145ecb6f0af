//! What the plan of a query says: which indexes it uses, which tables it reads from end to end.

use crate::runbook::sql::names::ident;

/// True where a line of the plan names the index as one it uses. PostgreSQL: `Index Scan using NAME on …`, `Bitmap Index
/// Scan on NAME`; SQLite: `USING INDEX NAME`, `USING COVERING INDEX NAME`.
pub(super) fn uses_index(plan: &[String], index: &str) -> bool {
    const BEFORE: &[&str] = &[" using ", "Bitmap Index Scan on ", "USING INDEX ", "USING COVERING INDEX "];
    plan.iter().filter(|line| line.contains("Index") || line.contains("INDEX")).any(|line| {
        BEFORE.iter().any(|before| line.split_once(before).is_some_and(|(_, after)| begins_with(after, index)))
    })
}

/// True where the plan reads the table from end to end. PostgreSQL: `Seq Scan on TABLE`; SQLite: `SCAN TABLE`.
pub(super) fn scans(plan: &[String], table: &str) -> bool {
    plan.iter().any(|line| {
        let after = line.split_once("Seq Scan on ").or_else(|| line.split_once("SCAN ")).map(|(_, after)| after);
        let by_index = line.contains("USING INDEX") || line.contains("USING COVERING INDEX");
        after.is_some_and(|after| !by_index && begins_with(after, table))
    })
}

/// The name as it is, or as the server quotes it.
fn begins_with(text: &str, name: &str) -> bool {
    let quoted = ident(name);
    [name, quoted.as_str()].into_iter().any(|name| {
        text.strip_prefix(name)
            .is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(lines: &[&str]) -> Vec<String> {
        lines.iter().map(|line| (*line).to_owned()).collect()
    }

    #[test]
    fn indexes_are_named_as_servers_do() {
        let lines = plan(&[
            "Limit  (cost=0.42..7.93 rows=50 width=40)",
            "  ->  Index Scan Backward using idx_xp on xp cxp  (cost=0.29..8.31 rows=1 width=4)",
            "  ->  Bitmap Index Scan on \"Odd Name\"  (cost=0.00..4.29 rows=1 width=0)",
            "  ->  Seq Scan on users cu  (cost=0.00..1.05 rows=5 width=36)",
        ]);
        assert!(uses_index(&lines, "idx_xp") && uses_index(&lines, "Odd Name") && scans(&lines, "users"));
        assert!(
            !uses_index(&lines, "idx")
                && !uses_index(&lines, "users")
                && !scans(&lines, "xp")
                && !scans(&lines, "user")
        );
        let lines = plan(&["SEARCH orders USING INDEX orders_currency (currency=?)", "SCAN items"]);
        assert!(uses_index(&lines, "orders_currency") && scans(&lines, "items") && !scans(&lines, "orders"));
    }
}
