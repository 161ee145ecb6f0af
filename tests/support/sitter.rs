//! A session of somebody else: it sits in a transaction, holds what it holds, and says what it is told to.

use std::io::Write;
use std::process::{Child, Stdio};

use crate::postgres::Cluster;

/// Ends, and is rolled back by the server, when it is dropped.
pub struct Sitter {
    psql: Child,
}

impl Sitter {
    /// Begins a transaction under the application name `sitter`, runs `sql` in it and stays there.
    pub fn start(cluster: &Cluster, db: &str, sql: &str) -> Self {
        let mut psql = cluster.psql_command(db);
        let psql = psql.env("PGAPPNAME", "sitter").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let mut sitter = Self { psql };
        sitter.say(&format!("begin; {sql};"));
        let sits = "select count(*) from pg_stat_activity where application_name = 'sitter' and state = 'idle in transaction' \
                    and datname = current_database()";
        cluster.until(db, sits, "1");
        sitter
    }

    pub fn say(&mut self, sql: &str) {
        writeln!(self.psql.stdin.as_mut().unwrap(), "{sql}").unwrap();
    }
}

impl Drop for Sitter {
    fn drop(&mut self) {
        let _ = self.psql.kill();
        let _ = self.psql.wait();
    }
}
