//! Rules about exit statuses that nobody sees, and commands that never end.

use super::gather::Line;
use super::words::{Cmd, Op};
use crate::lint::desk::{Act, Desk};
use crate::lint::rule::Rule;

pub(super) static RULES: &[&Rule] = &[&PIPE, &SWALLOWED, &HEAD, &DEAD, &ENDLESS, &CURL, &NOTHING, &UNCALLED];

static PIPE: Rule = Rule::warning(
    "shell-pipe-hides-exit",
    "in a shell of its own a pipe ends with the status of its last part: what fails before it is not seen",
    "use `shell`, which fails with any part of a pipe; inside `bash -c` or `ssh` write set -euo pipefail first",
);
static SWALLOWED: Rule = Rule::warning(
    "shell-failure-swallowed",
    "`|| true`, `|| echo`, `set +e` and their like turn a failure into a success that the run goes on from",
    "let it fail, or say in `expect` which exit statuses are fine: expect = \"exit in [0, 1]\"",
);
static HEAD: Rule = Rule::warning(
    "shell-pipe-head",
    "`head` ends first: what writes into the pipe is ended by a signal, and the step fails by chance",
    "keep the output (gonogo bounds what it shows), or write it to a file and look at that",
);
static DEAD: Rule = Rule::error(
    "shell-dead-branch",
    "`shell` ends at the first command that fails: a later look at `$?` sees only 0, and its branch never runs",
    "make the way back an `undo`, an `on_fail` or a rollback plan; or write `if command; then … else … fi`",
);
static ENDLESS: Rule = Rule::error(
    "shell-endless",
    "the command never ends by itself, and the step with it",
    "watch with a probe and a monitor phase; or bound it: timeout 60 …, tail -n 100, top -b -n 1",
);
static CURL: Rule = Rule::error(
    "shell-curl-no-fail",
    "curl ends with 0 on HTTP 500: the request failed and the step passes",
    "add --fail-with-body (or -f), or use `http`, which wants a 2xx answer",
);
static NOTHING: Rule = Rule::warning(
    "shell-does-nothing",
    "the step only prints: it can never fail, whatever its title promises",
    "do what the title says; for words to people use `notify`",
);
static UNCALLED: Rule = Rule::error(
    "shell-function-not-called",
    "the script defines a function and never calls it: it passes without having looked at anything",
    "call it at the end of the script",
);

pub(super) fn check(desk: &Desk<'_>, line: &Line<'_>) {
    for (n, cmd) in line.cmds.iter().enumerate() {
        pipes(desk, line, cmd);
        swallowed(desk, line, n);
        dead(desk, line, n);
        if let Some(what) = endless(cmd).filter(|_| !cmd.is_bounded()) {
            line.note(desk, &ENDLESS, cmd, format!("`{what}` never ends"));
        }
        // What is handed on, or is a probe's number, is looked at by somebody.
        let seen = line.output_is_judged() || line.act.is_none() || matches!(cmd.after, Op::Pipe | Op::Inside);
        if cmd.is("curl") && !fails(cmd) && !seen {
            line.note(desk, &CURL, cmd, "curl without --fail: an answer of 500 passes");
        }
    }
    let first = line.cmds.first().filter(|_| line.cmds.iter().all(is_idle));
    let judged = |act: &Act<'_>| act.step.produces.is_some() || act.step.expect.is_some();
    if let Some(first) = first.filter(|_| line.act.is_some_and(|act| !judged(act))) {
        line.note(desk, &NOTHING, first, "this only prints, and always succeeds");
    }
    uncalled(desk, line);
}

fn pipes(desk: &Desk<'_>, line: &Line<'_>, cmd: &Cmd) {
    if cmd.before != Op::Pipe {
        return;
    }
    if !line.strict {
        line.note(desk, &PIPE, cmd, format!("the status of what is piped into `{}` is lost", cmd.program().0));
    } else if cmd.is("head") {
        line.note(desk, &HEAD, cmd, "`| head` ends what writes into it");
    }
}

fn swallowed(desk: &Desk<'_>, line: &Line<'_>, n: usize) {
    let Some(cmd) = line.cmds.get(n) else { return };
    let (program, _) = cmd.program();
    // What only searches ends with 1 where it finds nothing, which is an answer.
    let before = n.checked_sub(1).and_then(|before| line.cmds.get(before)).map_or("", |before| before.program().0);
    if matches!(before, "grep" | "egrep" | "zgrep" | "pgrep" | "diff" | "cmp") {
        return;
    }
    let harmless = matches!(program, "true" | ":" | "echo" | "printf");
    let leaves = line.text.contains("exit ") || line.text.contains("false");
    if cmd.before == Op::Or && harmless && !(matches!(program, "echo" | "printf") && leaves) {
        line.note(desk, &SWALLOWED, cmd, format!("`|| {program}` makes a failure a success"));
    }
    let last_true = matches!(program, "true" | ":") && cmd.before == Op::Seq && cmd.after == Op::Seq;
    if last_true
        && line.cmds.len() > 1
        && line.cmds.last().is_some_and(|last| last.span() == cmd.span())
        && !line.strict
    {
        line.note(desk, &SWALLOWED, cmd, "`; true` makes every failure before it a success");
    }
    if program == "set" && cmd.args().iter().any(|word| matches!(word.text.as_str(), "+e" | "+o" | "+eo" | "+euo")) {
        line.note(desk, &SWALLOWED, cmd, "from here on failures are not seen");
    }
}

/// `if [ $? -ne 0 ]` behind a command that would have ended the script.
fn dead(desk: &Desk<'_>, line: &Line<'_>, n: usize) {
    let Some(cmd) = line.cmds.get(n) else { return };
    let asks = cmd.words.iter().any(|word| word.text.contains("$?"));
    let tests = matches!(cmd.program().0, "[" | "[[" | "test" | "((");
    let before = n.checked_sub(1).and_then(|before| line.cmds.get(before));
    let caught = before.is_none_or(|before| before.after != Op::Seq || before.before == Op::Or);
    let ends_early = line.strict || line.text.contains("set -e") || line.text.contains("errexit");
    let lax = line.text.contains("set +e");
    if asks && tests && ends_early && !lax && !caught {
        line.note(desk, &DEAD, cmd, "`$?` is always 0 here: a failure has ended the script before");
    }
}

fn endless(cmd: &Cmd) -> Option<String> {
    let (program, _) = cmd.program();
    let follows = || cmd.option('f', "--follow") || cmd.has("-F");
    let yes = match program {
        "tail" => follows(),
        "journalctl" => follows(),
        "watch" | "less" | "more" | "htop" | "pg_activity" => true,
        "top" => !cmd.option('n', ""),
        "ping" => !cmd.option('c', ""),
        "kubectl" | "docker" | "podman" => follows_logs(cmd),
        "pm2" => (cmd.has("logs") && !cmd.has("--nostream")) || cmd.has("monit"),
        "sleep" => cmd.has("infinity") || cmd.has("inf"),
        _ => false,
    };
    yes.then(|| program.to_owned())
}

/// `docker logs -f x`, not `docker compose -f file logs`.
fn follows_logs(cmd: &Cmd) -> bool {
    let behind = cmd.args().iter().skip_while(|word| word.text != "logs").skip(1);
    behind.into_iter().any(|word| matches!(word.text.as_str(), "-f" | "--follow" | "--follow=true"))
}

fn fails(cmd: &Cmd) -> bool {
    cmd.option('f', "--fail") || cmd.option('f', "--fail-with-body") || cmd.option('f', "--fail-early")
}

fn is_idle(cmd: &Cmd) -> bool {
    let quiet = cmd.redirects.iter().all(|(op, to)| op != ">" && op != ">>" || to.text.starts_with("/dev/"));
    matches!(cmd.program().0, "echo" | "printf" | "true" | ":") && quiet
}

fn uncalled(desk: &Desk<'_>, line: &Line<'_>) {
    for cmd in &line.cmds {
        let named = if cmd.is("function") { cmd.args().first() } else { cmd.words.first() };
        let Some(word) = named else { continue };
        let head = format!("{}()", word.text);
        let spaced = format!("{} ()", word.text);
        let defines = cmd.is("function") || line.text.contains(&head) || line.text.contains(&spaced);
        let is_name = !word.text.is_empty() && word.text.chars().all(|c| c.is_alphanumeric() || "_-".contains(c));
        let calls = line.cmds.iter().flat_map(|cmd| &cmd.words).filter(|other| other.text == word.text).count();
        if defines && is_name && calls < 2 {
            line.note_word(desk, &UNCALLED, word, format!("the function `{}` is never called", word.text));
        }
    }
}
