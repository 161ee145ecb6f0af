//! Runs without a screen: their exit codes, their faults, their figures.

mod approvals;
mod backfill;
mod batch;
mod books;
mod channels;
mod check_applied;
mod check_env;
mod codes;
mod crash;
mod direct;
mod dump;
mod dump_file;
mod ends;
mod failover;
mod faults;
mod gap;
mod going_on;
mod handed;
mod includes;
mod inputs;
mod locks;
mod masks;
mod migrations;
mod owners;
mod rows;
mod shim;
mod signals;
mod snapshots;
mod story;
mod told;
mod wednesday;

use support::headless::Desk;
use support::postgres::Cluster;

/// A desk for the program under test.
fn desk() -> Desk {
    Desk::new(env!("CARGO_BIN_EXE_gonogo"))
}

/// A desk whose runbooks find a fresh database behind `env:DB`; none where there is no server to start.
fn desk_with_database() -> Option<(Desk, &'static Cluster, String)> {
    let cluster = support::postgres::shared()?;
    let db = cluster.create_db();
    Some((desk().with("DB", cluster.url(&db)), cluster, db))
}

/// A runbook with one environment, `test`, whose target is `env:DB`, one phase that starts its steps by itself, and `rest`.
fn book(rest: &str) -> String {
    format!(
        "format = 1\nid = \"journey\"\ntitle = \"A journey\"\n\n[environments.test]\n\
         targets.main = {{ url = \"env:DB\", lock_timeout = \"20s\", statement_timeout = \"10m\" }}\n\n\
         [[phase]]\nid = \"migrate\"\nadvance = \"auto\"\n\n{rest}\n"
    )
}

/// A runbook that needs no database.
fn bare(rest: &str) -> String {
    format!(
        "format = 1\nid = \"journey\"\ntitle = \"A journey\"\n[environments.test]\n\
         [[phase]]\nid = \"migrate\"\nadvance = \"auto\"\n{rest}\n"
    )
}
