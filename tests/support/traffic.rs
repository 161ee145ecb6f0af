//! Other people at work on the same database: pgbench with a script of the test's own.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Stdio};

use crate::postgres::{Cluster, ROLE};

/// Ends when it is dropped.
pub struct Traffic {
    pgbench: Child,
    /// What it complains of.
    complaints: PathBuf,
}

impl Traffic {
    /// Two clients that do `script` at most `rate` times a second.
    pub fn start(cluster: &Cluster, db: &str, script: &str, rate: u32) -> Self {
        let file = cluster.folder().join(format!("{db}.pgbench"));
        fs::write(&file, script).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        let mut pgbench = cluster.server_command("pgbench");
        pgbench.args(["-n", "-c", "2", "-j", "1", "-T", "3600", "-h", "127.0.0.1", "-U", ROLE, "-p"]).arg(cluster.port().to_string());
        pgbench.arg(format!("--rate={rate}")).arg("-f").arg(&file).arg(db).env("PGAPPNAME", "pgbench");
        let complaints = file.with_extension("complaints");
        let stderr = fs::File::create(&complaints).unwrap();
        let pgbench = pgbench.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr).spawn().unwrap();
        let traffic = Self { pgbench, complaints };
        cluster.until(db, "select (count(*) > 0)::text from pg_stat_activity where application_name = 'pgbench'", "true");
        traffic
    }

    /// True while both clients work: one that met an error of the database is aborted, and said so.
    pub fn runs(&mut self) -> bool {
        let complaints = fs::read_to_string(&self.complaints).unwrap();
        assert!(!complaints.contains("error"), "{complaints}");
        self.pgbench.try_wait().unwrap().is_none()
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        let _ = self.pgbench.kill();
        let _ = self.pgbench.wait();
    }
}
