//! What backups and restores need: programs that fit the server, a right, a folder, room on the disk.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::{Look, tools};
use crate::dump;
use crate::print::Level;
use crate::run::dump::{BackupOrder, RestoreOrder};
use crate::run::event::Resolved;
use crate::run::{prepare, words};
use crate::runbook::dump::{DumpFormat, Prove};
use crate::target::inspect::Server;

impl Look {
    pub async fn dumps(&mut self) {
        let mut made = BTreeSet::new();
        for (act, step) in self.acts() {
            match prepare::resolve(&self.book, &self.state, &step, None) {
                Ok(Resolved::Backup { target, order }) => {
                    self.backup(&act, &target, &order).await;
                    made.insert(self.cwd.join(&order.file));
                }
                Ok(Resolved::Restore { target, order }) => {
                    self.programs_of(&act, &target).await;
                    self.archive(&act, &order, &made);
                }
                _ => {}
            }
        }
    }

    async fn backup(&mut self, act: &str, target: &str, order: &BackupOrder) {
        self.programs_of(act, target).await;
        let server = self.asked(target).await;
        if let Some(server) = server.as_ref().filter(|_| order.prove == Prove::Restore)
            && !server.may_create_databases
        {
            let what = "this role may not create databases, and prove = \"restore\" restores into one of its own";
            self.error(act, what, "grant it (alter role … createdb), or write prove = \"read\"");
        }
        let file = self.cwd.join(&order.file);
        if file.symlink_metadata().is_ok() {
            let what = format!("{} is there already, and no backup is overwritten", file.display());
            return self.error(act, what, "move it away, or give the backup another name");
        }
        let Some(folder) = self.folder_for(act, &file) else { return };
        if let Some(server) = server {
            self.room_for(act, &folder, order.format, &server);
        }
    }

    async fn asked(&self, target: &str) -> Option<Server> {
        self.targets.get(target)?.inspect().await.ok().flatten()
    }

    /// The programs that the worker would find. A file of SQLite needs none.
    async fn programs_of(&mut self, act: &str, target: &str) {
        let print = self.state.targets.get(target).and_then(|seen| seen.fingerprint.as_ref());
        let Some(print) = print.filter(|print| print.kind == "postgresql") else { return };
        let path = std::env::var("PATH").unwrap_or_default();
        match dump::programs(&path, tools::major(&print.version)).await {
            Ok((folder, major)) => self.ok(act, format!("pg_dump and pg_restore {major} of {}", folder.display())),
            Err(fault) => self.error(act, fault.summary, fault.hint.as_deref().unwrap_or_default()),
        }
    }

    /// The folder in which the file will be made, or the one in which that folder will be.
    fn folder_for(&mut self, act: &str, file: &Path) -> Option<PathBuf> {
        let wanted = file.parent().unwrap_or(Path::new("/"));
        let there = wanted.ancestors().find(|folder| folder.symlink_metadata().is_ok())?;
        let shown = there.display();
        if !there.is_dir() {
            let what = format!("{} cannot be made: {shown} is no folder", wanted.display());
            self.error(act, what, "name another folder");
            return None;
        }
        if rustix::fs::access(there, rustix::fs::Access::WRITE_OK).is_err() {
            let what = format!("nothing can be written to {shown}");
            self.error(act, what, "correct who may write there");
            return None;
        }
        if there != wanted {
            self.ok(act, format!("the folder {} is not there yet; the backup makes it", wanted.display()));
        }
        Some(there.to_owned())
    }

    /// By the rule of the worker itself, as far as it can be told without waiting for locks.
    fn room_for(&mut self, act: &str, folder: &Path, format: DumpFormat, server: &Server) {
        let Ok(disk) = rustix::fs::statvfs(folder) else { return };
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        let level = room(free, format, server);
        let (database, free) = (words::bytes(server.database_bytes), words::bytes(free));
        let what = format!("{free} free in {}; the database has {database}", folder.display());
        self.note(level, act, what).hint = match level {
            Level::Ok => None,
            Level::Warn => Some("an archive is often smaller, seldom so much; free some room".to_owned()),
            Level::Error => Some("make room there, or name a file on another disk".to_owned()),
        };
    }

    /// What is restored is there, or a backup of the runbook makes it before.
    fn archive(&mut self, act: &str, order: &RestoreOrder, made: &BTreeSet<PathBuf>) {
        let file = self.cwd.join(&order.file);
        match (made.contains(&file), file.exists()) {
            (true, _) => {}
            (false, true) => self.ok(act, format!("{} is there", file.display())),
            (false, false) => {
                let what = format!("{} is not there now", file.display());
                self.warn(act, what, "a step before has to bring it, or somebody");
            }
        }
    }
}

fn room(free: u64, format: DumpFormat, server: &Server) -> Level {
    let needed = match format {
        DumpFormat::Plain => server.table_bytes,
        DumpFormat::Custom | DumpFormat::Directory => server.table_bytes / 4,
    };
    match free {
        free if free < needed => Level::Error,
        free if free < server.database_bytes => Level::Warn,
        _ => Level::Ok,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_that_the_worker_would_refuse_is_an_error() {
        let server = Server { database_bytes: 1_200, table_bytes: 1_000, ..Server::default() };
        let of = |free| (room(free, DumpFormat::Custom, &server), room(free, DumpFormat::Plain, &server));
        assert_eq!(of(200), (Level::Error, Level::Error));
        assert_eq!(of(500), (Level::Warn, Level::Error));
        assert_eq!(of(1_100), (Level::Warn, Level::Warn));
        assert_eq!(of(2_000), (Level::Ok, Level::Ok));
    }
}
