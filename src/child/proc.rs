//! What the kernel's process table knows: start times, sessions, who holds a pipe. Empty answers where there is no `/proc`.

use std::fs;
use std::os::fd::AsFd;

/// One living process. Zombies are not listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    pub pid: u32,
    /// The program's name as the kernel keeps it (15 bytes; foreign text).
    pub name: String,
    /// Whose child it is.
    pub parent: u32,
    /// The process group leader of its session.
    pub session: u32,
    /// Clock ticks since boot; with the boot and the pid it names a process for good.
    pub started: u64,
}

/// The process of that id, if it lives.
pub fn stat(pid: u32) -> Option<Stat> {
    parse(&String::from_utf8_lossy(&fs::read(format!("/proc/{pid}/stat")).ok()?))
}

fn parse(text: &str) -> Option<Stat> {
    let (state, stat) = line(text)?;
    (!matches!(state, "Z" | "X")).then_some(stat)
}

/// `4711 (name) S ppid pgrp session …`: the state, and the rest. The name may hold anything, so the last parenthesis counts.
fn line(text: &str) -> Option<(&str, Stat)> {
    let (open, close) = (text.find('(')?, text.rfind(')')?);
    let fields: Vec<&str> = text.get(close + 1..)?.split_whitespace().collect();
    let stat = Stat {
        pid: text.get(..open)?.trim().parse().ok()?,
        name: text.get(open + 1..close)?.to_owned(),
        parent: fields.get(1)?.parse().ok()?,
        session: fields.get(3)?.parse().ok()?,
        started: fields.get(19)?.parse().ok()?,
    };
    Some((fields.first()?, stat))
}

/// Every living process below `pid`: its children and theirs.
pub fn below(pid: u32) -> Vec<Stat> {
    let all: Vec<Stat> = pids().filter_map(stat).collect();
    let mut found: Vec<Stat> = Vec::new();
    let mut parents = vec![pid];
    while let Some(parent) = parents.pop() {
        for stat in all.iter().filter(|stat| stat.parent == parent && stat.pid != pid) {
            if found.iter().all(|known| known.pid != stat.pid) {
                parents.push(stat.pid);
                found.push(stat.clone());
            }
        }
    }
    found
}

/// Children of `pid` that have ended and wait to be taken note of.
pub fn dead_children(pid: u32) -> Vec<u32> {
    let read = |child: u32| fs::read(format!("/proc/{child}/stat")).ok();
    let dead = |child: u32| {
        let text = String::from_utf8_lossy(&read(child)?).into_owned();
        let (state, stat) = line(&text)?;
        (state == "Z" && stat.parent == pid).then_some(child)
    };
    pids().filter_map(dead).collect()
}

/// The kernel's name for the time since this machine was started; empty where it is not to be had.
pub fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").map(|text| text.trim().to_owned()).unwrap_or_default()
}

/// Every process of that session.
pub fn of_session(session: u32) -> Vec<Stat> {
    pids().filter_map(stat).filter(|stat| stat.session == session).collect()
}

/// The inode of a pipe's end.
pub fn inode(pipe: &impl AsFd) -> Option<u64> {
    rustix::fs::fstat(pipe).ok().map(|stat| stat.st_ino)
}

/// Processes, ourselves excepted, that hold one of these pipes open; only those whose files we may see.
pub fn holders(pipes: &[u64]) -> Vec<Stat> {
    let wanted: Vec<String> = pipes.iter().map(|inode| format!("pipe:[{inode}]")).collect();
    let us = std::process::id();
    pids().filter(|pid| *pid != us && holds(*pid, &wanted)).filter_map(stat).collect()
}

fn holds(pid: u32, wanted: &[String]) -> bool {
    let Ok(files) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return false;
    };
    files.flatten().any(|file| {
        fs::read_link(file.path()).is_ok_and(|to| to.to_str().is_some_and(|to| wanted.iter().any(|pipe| pipe == to)))
    })
}

fn pids() -> impl Iterator<Item = u32> {
    fs::read_dir("/proc").into_iter().flatten().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_do_not_move_the_fields() {
        let line = "7 (a) Z 1 (b) S 1 7 5 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 991 2703360";
        let stat = parse(line).expect("parsed");
        assert_eq!((stat.pid, stat.name.as_str(), stat.session, stat.started), (7, "a) Z 1 (b", 5, 991));
        assert_eq!(parse("8 (x) Z 1 8 5 0 -1 0 1 0 0 0 0 0 0 0 20 0 1 0 991 0"), None);
        assert_eq!(parse(""), None);
        assert_eq!(parse(")("), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn we_are_in_the_table() {
        let us = stat(std::process::id()).expect("our own line");
        assert!(of_session(us.session).contains(&us));
        assert!(!boot_id().is_empty());
    }
}
