//! A standby of a test cluster: made by pg_basebackup, streaming asynchronously, to be promoted.

use std::process::Command;

use crate::postgres::{Cluster, ROLE};

impl Cluster {
    /// A standby that streams from this cluster. None where `pg_basebackup` is not there.
    pub fn standby(&self) -> Option<Cluster> {
        let mut standby = self.sibling();
        let mut copy = standby.server_command("pg_basebackup");
        copy.args(["-h", "127.0.0.1", "-p", &self.port().to_string(), "-U", ROLE, "-R", "-X", "stream", "-c", "fast"]);
        copy.arg("--no-sync").arg("-D").arg(standby.data());
        if !copy.status().is_ok_and(|status| status.success()) {
            eprintln!("SKIPPED: pg_basebackup failed");
            return None;
        }
        standby.launch();
        self.until("postgres", "select count(*) from pg_stat_replication where state = 'streaming'", "1");
        Some(standby)
    }

    /// Freezes what sends to the standby, as a network would that loses everything.
    pub fn stop_sending(&self) {
        for pid in self.psql("postgres", "select pid from pg_stat_replication").lines() {
            let stopped = Command::new("kill").args(["-STOP", pid]).status().unwrap();
            assert!(stopped.success());
        }
    }

    /// Ends the primary at once; its standby takes over at its very address. Answers once it takes writes.
    pub fn fail_over_to(&self, standby: &mut Cluster) {
        self.down("immediate");
        standby.down("fast");
        standby.move_to(self.port());
        standby.up();
        standby.promote();
        standby.until("postgres", "select pg_is_in_recovery()::text", "false");
    }

    /// Makes a standby the primary; answers once it takes writes.
    pub fn promote(&self) {
        let mut promote = self.server_command("pg_ctl");
        promote.args(["-w", "-s", "promote", "-D"]).arg(self.data());
        assert!(promote.status().unwrap().success(), "the standby is not promoted");
    }
}
