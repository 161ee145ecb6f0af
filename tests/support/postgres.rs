//! A private PostgreSQL cluster for tests: one per test binary, a database per test, gone when the tests are.
//!
//! `postgres::shared()` starts it on first use. Tests that change the server's settings or stop it start their own with
//! `Cluster::start`. Where the server's binaries are missing, both print SKIPPED and return `None`.

use std::fs;
use std::io;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// The database role that owns the cluster; connections are trusted.
pub const ROLE: &str = "postgres";

pub struct Cluster {
    dir: PathBuf,
    bin: PathBuf,
    port: u16,
    /// Who the server runs as, where we are root.
    owner: Option<(u32, u32)>,
    settings: Vec<(String, String)>,
    databases: AtomicU32,
    /// Ends the server and removes the folder when its input closes: also where this process dies.
    warden: Option<Child>,
}

/// The cluster that all tests of this binary share.
pub fn shared() -> Option<&'static Cluster> {
    static SHARED: OnceLock<Option<Cluster>> = OnceLock::new();
    SHARED.get_or_init(|| Cluster::start(&[])).as_ref()
}

impl Cluster {
    /// A fresh cluster with these settings, running.
    pub fn start(settings: &[(&str, &str)]) -> Option<Self> {
        let Some(bin) = find_bin() else {
            eprintln!("SKIPPED: no PostgreSQL server found; install the Debian package `postgresql`");
            return None;
        };
        let mut cluster = Self::folder_for(bin, settings);
        cluster.copy_template();
        cluster.launch();
        Some(cluster)
    }

    /// A cluster with the same settings and no data yet.
    pub(crate) fn sibling(&self) -> Self {
        let settings: Vec<(&str, &str)> = self.settings.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        Self::folder_for(self.bin.clone(), &settings)
    }

    fn folder_for(bin: PathBuf, settings: &[(&str, &str)]) -> Self {
        let owner = owner();
        let dir = tempfile::Builder::new().prefix("gg-pg-").tempdir_in("/tmp").unwrap().keep();
        let cluster = Self {
            warden: Some(warden(&bin, &dir, owner)),
            dir,
            bin,
            port: 0,
            owner,
            settings: settings.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            databases: AtomicU32::new(0),
        };
        if let Some((uid, gid)) = owner {
            chown(&cluster.dir, Some(uid), Some(gid)).unwrap();
        }
        cluster
    }

    /// `initdb` once per process, in a folder that lives as long as it; a copy of its result is many times faster.
    fn copy_template(&self) {
        static TEMPLATE: OnceLock<Cluster> = OnceLock::new();
        let template = TEMPLATE.get_or_init(|| {
            let made = self.sibling();
            let mut initdb = made.server_command("initdb");
            initdb.args(["-A", "trust", "-U", ROLE, "-E", "UTF8", "--locale=C", "--no-sync", "-D"]).arg(made.data());
            done(&mut initdb);
            made
        });
        done(self.plain("cp").arg("-a").arg(template.data()).arg(self.data()));
    }

    /// Starts on a free port; another process may take the port first, so it is tried again.
    pub(crate) fn launch(&mut self) {
        for _ in 0..5 {
            self.port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            if self.try_up() {
                return;
            }
        }
        panic!("the test cluster does not start: {}", fs::read_to_string(self.log()).unwrap_or_default());
    }

    fn try_up(&self) -> bool {
        let mut options = format!("-p {} -k {} -c listen_addresses=127.0.0.1 -c fsync=off", self.port, self.dir.display());
        options.push_str(" -c max_prepared_transactions=5 -c log_min_messages=fatal");
        for (name, value) in &self.settings {
            options.push_str(&format!(" -c {name}={value}"));
        }
        let mut start = self.server_command("pg_ctl");
        start.args(["-w", "-s", "-t", "60", "-o", &options, "-l"]).arg(self.log()).arg("-D").arg(self.data()).arg("start");
        // The server inherits them; a pipe would keep the test's own output open.
        start.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        start.status().unwrap().success()
    }

    /// Starts it again after [`Cluster::down`].
    pub fn up(&self) {
        assert!(self.try_up(), "the test cluster does not start again");
    }

    /// Stops it: `fast` or `immediate`.
    pub fn down(&self, mode: &str) {
        done(self.server_command("pg_ctl").args(["-w", "-s", "-m", mode, "stop", "-D"]).arg(self.data()));
    }

    pub fn restart(&self, mode: &str) {
        self.down(mode);
        self.up();
    }

    /// A new, empty database.
    pub fn create_db(&self) -> String {
        self.create_db_with("")
    }

    /// A new, empty database; `options` as CREATE DATABASE takes them.
    pub fn create_db_with(&self, options: &str) -> String {
        let name = format!("t{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.psql("postgres", &format!("create database {name} {options}"));
        name
    }

    /// `postgres://postgres@127.0.0.1:PORT/DB`
    pub fn url(&self, db: &str) -> String {
        format!("postgres://{ROLE}@127.0.0.1:{}/{db}", self.port)
    }

    /// The same by its Unix socket.
    pub fn socket_url(&self, db: &str) -> String {
        let folder = self.dir.display().to_string().replace('/', "%2F");
        format!("postgres://{ROLE}@{folder}:{}/{db}", self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where it listens from its next start on.
    pub(crate) fn move_to(&mut self, port: u16) {
        self.port = port;
    }

    pub fn folder(&self) -> &Path {
        &self.dir
    }

    /// What `psql -XAtc` prints, without the last line break. Panics where it fails.
    pub fn psql(&self, db: &str, sql: &str) -> String {
        let output = self.psql_command(db).args(["-c", sql]).output().unwrap();
        assert!(output.status.success(), "psql: {}\n{sql}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8_lossy(&output.stdout);
        text.strip_suffix('\n').unwrap_or(&text).to_owned()
    }

    /// psql on this database, in UTC, without a start-up file; arguments and input are the caller's.
    pub fn psql_command(&self, db: &str) -> Command {
        let mut psql = Command::new(self.bin.join("psql"));
        psql.args(["-XAt", "-v", "ON_ERROR_STOP=1", "-U", ROLE, "-h", "127.0.0.1", "-p", &self.port.to_string(), "-d", db]);
        psql.env("PGTZ", "UTC").env_remove("PGOPTIONS").env_remove("PGSERVICE").env_remove("PGHOSTADDR");
        psql
    }

    /// Waits until `sql` answers `wanted`, a minute at most.
    pub fn until(&self, db: &str, sql: &str, wanted: &str) {
        for _ in 0..600 {
            if self.psql(db, sql) == wanted {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        panic!("never {wanted:?}: {sql}");
    }

    /// A server program of the cluster's version, run as the server's user.
    pub(crate) fn server_command(&self, program: &str) -> Command {
        let mut command = Command::new(self.bin.join(program));
        self.demote(&mut command);
        command
    }

    /// Any program, run as the server's user in the cluster's folder.
    pub fn plain(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        self.demote(&mut command);
        command
    }

    fn demote(&self, command: &mut Command) {
        command.current_dir(&self.dir).env("LC_ALL", "C");
        if let Some((uid, gid)) = self.owner {
            command.uid(uid).gid(gid);
        }
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    fn log(&self) -> PathBuf {
        self.dir.join("log")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(mut warden) = self.warden.take() {
            drop(warden.stdin.take());
            let _ = warden.wait();
        }
    }
}

/// A small shell that outlives us by a moment. It ignores the terminal's interrupt, which comes to all of us at once.
fn warden(bin: &Path, dir: &Path, owner: Option<(u32, u32)>) -> Child {
    let script = r#"trap '' INT HUP TERM; cat >/dev/null; cd /; "$0/pg_ctl" -s -m immediate -D "$1/data" stop; rm -rf "$1""#;
    let mut sh = Command::new("sh");
    sh.arg("-c").arg(script).arg(bin).arg(dir).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    sh.process_group(0);
    if let Some((uid, gid)) = owner {
        sh.uid(uid).gid(gid);
    }
    sh.spawn().unwrap()
}

fn done(command: &mut Command) {
    let output: io::Result<Output> = command.output();
    let output = output.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Debian's folder of the newest version, else what `pg_config` says.
fn find_bin() -> Option<PathBuf> {
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .filter(|(_, bin)| bin.join("initdb").exists())
        .collect();
    versions.sort();
    if let Some((_, bin)) = versions.pop() {
        return Some(bin);
    }
    let output = Command::new("pg_config").arg("--bindir").output().ok()?;
    let bin = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim());
    bin.join("initdb").exists().then_some(bin)
}

/// PostgreSQL refuses to run as root: then it is run as the system's `postgres` (or `nobody`).
fn owner() -> Option<(u32, u32)> {
    if fs::metadata("/proc/self").ok()?.uid() != 0 {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    ["postgres", "nobody"].iter().find_map(|name| {
        let line = users.lines().find(|line| line.starts_with(&format!("{name}:")))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    })
}
