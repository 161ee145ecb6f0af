//! The programs that steps start, and the folders they write to: whether they are there, in a version that fits the
//! server, with room enough.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use super::Look;
use crate::print::Level;
use crate::run::event::Resolved;
use crate::run::{prepare, words};
use crate::runbook::expr::{self, Place};
use crate::runbook::{ChannelTo, Notify, ProbeSource, Step, Verb};

/// Programs of PostgreSQL, which say their version, and whether an older one than the server refuses its work.
const CLIENTS: &[(&str, bool)] = &[
    ("pg_dump", true),
    ("pg_dumpall", true),
    ("pg_basebackup", true),
    ("pg_restore", false),
    ("psql", false),
    ("pgbench", false),
];
/// How long a program may take to say its version.
const PATIENCE: Duration = Duration::from_secs(5);

impl Look {
    pub async fn tools(&mut self) {
        let mut tools: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (_, step) in self.acts() {
            for program in self.programs(&step) {
                let targets = tools.entry(program).or_default();
                targets.extend(step.target.clone());
            }
        }
        for probe in self.book.probes.iter().filter_map(|probe| self.doors.rendered_probe(probe).ok()) {
            for source in [Some(probe.source), probe.traffic.map(|traffic| traffic.source)].into_iter().flatten() {
                if let ProbeSource::Run { argv } = source {
                    tools.entry(argv.into_iter().next().unwrap_or_default()).or_default();
                }
            }
        }
        for channel in &self.book.channels {
            if let ChannelTo::Command(argv) = &channel.to {
                tools.entry(argv.first().cloned().unwrap_or_default()).or_default();
            }
        }
        for (program, targets) in tools {
            self.tool(&program, &targets).await;
        }
    }

    /// What a step starts, and what is certain of what its shell starts.
    fn programs(&self, step: &Step) -> Vec<String> {
        let resolved = prepare::resolve(&self.book, &self.state, step, None);
        let mut found = match (&step.verb, resolved) {
            (_, Ok(Resolved::Run { argv, .. })) => argv.into_iter().take(1).collect(),
            (_, Ok(Resolved::Notify { argv, .. })) => argv.into_iter().take(1).collect(),
            (Verb::Run(argv) | Verb::Notify(Notify::Command { argv, .. }), _) => {
                argv.iter().take(1).filter(|program| !program.contains("{{")).cloned().collect()
            }
            (Verb::Shell(script), _) => {
                let parts = script.split(|c: char| !(c.is_alphanumeric() || "_-./".contains(c)));
                let clients = parts.filter(|word| CLIENTS.iter().any(|(client, _)| client == word));
                clients.map(str::to_owned).chain(["bash".to_owned()]).collect()
            }
            _ => Vec::new(),
        };
        if let Some(verify) = &step.verify {
            found.extend(self.programs(verify));
        }
        // A variable without a value names no program: what is optional is left out by its condition.
        found.retain(|program| step.only_if.is_none() || !program.is_empty());
        found
    }

    async fn tool(&mut self, program: &str, targets: &BTreeSet<String>) {
        let about = format!("tool {program}");
        let Some(path) = find(program, &self.cwd) else {
            let hint = "install it here, or correct PATH: commands of steps are started on this machine";
            return self.error(about, "it is not found", hint);
        };
        let base = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let Some((_, strict)) = CLIENTS.iter().find(|(client, _)| *client == base) else {
            return self.ok(about, path.display().to_string());
        };
        let Some(version) = version(&path).await else {
            return self.warn(about, format!("{} does not say its version", path.display()), "look at it yourself");
        };
        for target in targets {
            let print = self.state.targets.get(target).and_then(|seen| seen.fingerprint.clone()).unwrap_or_default();
            let server = major(&print.version);
            if print.kind == "postgresql" && major(&version) < server {
                let level = if *strict { Level::Error } else { Level::Warn };
                let what =
                    format!("{} is version {version}, the server of {target} is {}", path.display(), print.version);
                let hint = "a client must not be older than its server: put a newer one first in PATH";
                self.note(level, about, what).hint = Some(hint.to_owned());
                return;
            }
        }
        self.ok(about, format!("{} · version {version}", path.display()));
    }

    /// The folders of the files that steps produce.
    pub async fn files(&mut self) {
        for (act, step) in self.acts() {
            let Some(produces) = &step.produces else { continue };
            let context = crate::run::context::of(&self.book, &self.state);
            let Ok(file) = expr::render(produces, Place::Text, &context) else { continue };
            let database = match step.target.as_ref().and_then(|target| self.targets.get(target)) {
                Some(target) => target.inspect().await.ok().flatten().map(|server| server.database_bytes),
                None => None,
            };
            self.folder(act, &self.cwd.join(file), database);
        }
    }

    fn folder(&mut self, act: String, file: &Path, database: Option<u64>) {
        let folder = file.parent().unwrap_or(Path::new("/"));
        let shown = folder.display().to_string();
        if !folder.is_dir() {
            let hint = "make it first, unless the command does so itself";
            return self.warn(act, format!("the folder {shown} is not there"), hint);
        }
        if rustix::fs::access(folder, rustix::fs::Access::WRITE_OK).is_err() {
            return self.error(act, format!("nothing can be written to {shown}"), "correct who may write there");
        }
        if file.exists() {
            let what = format!("{} is there already", file.display());
            self.warn(act.clone(), what, "a command that fails would leave the old file looking like a new one");
        }
        let Ok(room) = rustix::fs::statvfs(folder) else { return };
        let free = room.f_bavail.saturating_mul(room.f_frsize);
        let words = format!("{} free in {shown}", words::bytes(free));
        match database {
            Some(size) if size > free => {
                let what = format!("{words}, and the database has {}", words::bytes(size));
                self.warn(act, what, "a dump is often smaller, seldom so much; free some room");
            }
            Some(size) => self.ok(act, format!("{words}; the database has {}", words::bytes(size))),
            None => self.ok(act, words),
        }
    }
}

/// Where a program is, as the system looks for it.
fn find(program: &str, cwd: &Path) -> Option<PathBuf> {
    let runs =
        |path: &Path| path.metadata().is_ok_and(|about| about.is_file() && about.permissions().mode() & 0o111 != 0);
    if program.contains('/') {
        let path = cwd.join(program);
        return runs(&path).then_some(path);
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|path| runs(path))
}

/// `15.14`, of what `pg_dump --version` says.
async fn version(path: &Path) -> Option<String> {
    let mut command = tokio::process::Command::new(path);
    command.arg("--version").stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(PATIENCE, command.output()).await.ok()?.ok()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let number = |word: &&str| word.starts_with(|c: char| c.is_ascii_digit());
    said.split_whitespace().find(number).map(str::to_owned)
}

/// The major version: `15` of `15.14 (Debian …)`, `16` of `16beta1`.
pub(super) fn major(version: &str) -> u32 {
    let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or(0)
}
