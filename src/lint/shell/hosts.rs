//! Rules about commands that reach further than meant.

use super::gather::Line;
use super::words::Cmd;
use crate::lint::desk::Desk;
use crate::lint::rule::Rule;

pub(super) static RULES: &[&Rule] = &[&KILL_ALL, &ROOT, &DROP_DATABASE];

static KILL_ALL: Rule = Rule::warning(
    "shell-stops-everything",
    "it stops every service or process of that kind, those of other applications too",
    "name the one that is meant: pm2 stop api, systemctl stop app.service",
);
static ROOT: Rule = Rule::warning(
    "shell-ssh-root",
    "a login as root leaves no trace of who did it, and nothing it could not break",
    "log in as a person or a deploy role, with sudo for the one command that needs it",
);
static DROP_DATABASE: Rule = Rule::warning(
    "shell-drop-database",
    "the database is gone before its successor is proven; with one session open it is not gone, and all that follows is wrong",
    "restore into a new database, prove it, then rename both in one step; end sessions first",
);

pub(super) fn check(desk: &Desk<'_>, line: &Line<'_>) {
    for cmd in &line.cmds {
        if stops_everything(cmd) {
            line.note(desk, &KILL_ALL, cmd, format!("`{}` here stops more than this application", cmd.program().0));
        }
        let root = cmd.args().iter().any(|word| word.text.starts_with("root@"));
        if matches!(cmd.program().0, "ssh" | "scp" | "rsync") && (root || cmd.value('l', "") == Some("root")) {
            line.note(desk, &ROOT, cmd, "a login as root");
        }
        let texts: Vec<String> = cmd.words.iter().chain(&cmd.heredoc).map(|word| word.text.to_lowercase()).collect();
        if cmd.is("dropdb") || cmd.is("psql") && texts.iter().any(|text| text.contains("drop database")) {
            line.note(desk, &DROP_DATABASE, cmd, "the database is dropped before its successor is proven");
        }
    }
}

fn stops_everything(cmd: &Cmd) -> bool {
    let all = cmd.has("all") || cmd.has("--all") || cmd.has("*");
    let listed = cmd.args().iter().any(|word| word.text.contains("ps -q") || word.text.contains("ps -aq"));
    match cmd.program().0 {
        "pm2" => {
            (cmd.has("stop") || cmd.has("delete") || cmd.has("kill") || cmd.has("restart")) && (all || cmd.has("kill"))
        }
        "killall" => true,
        "pkill" => !(cmd.option('u', "--euid") || cmd.option('P', "--parent") || cmd.option('F', "--pidfile")),
        "docker" | "podman" => (cmd.has("stop") || cmd.has("kill")) && listed,
        "systemctl" => cmd.has("stop") && all,
        _ => false,
    }
}
