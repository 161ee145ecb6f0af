//! Rules about psql: its exit status says less than people think.

use super::gather::Line;
use super::words::{Cmd, Op};
use crate::lint::desk::Desk;
use crate::lint::rule::Rule;

pub(super) static RULES: &[&Rule] = &[&NO_STOP, &META, &UNCHECKED, &NO_LOCK_TIMEOUT];

static NO_STOP: Rule = Rule::error(
    "shell-psql-no-stop",
    "psql goes on after an error in a script, answers COMMIT with ROLLBACK, and ends with 0",
    "add -v ON_ERROR_STOP=1 (and --single-transaction); better: a `file` step, which gonogo runs in one transaction",
);
static META: Rule = Rule::error(
    "shell-psql-meta",
    "a command of psql such as \\d ends with 0 where the table is not there",
    "ask in SQL and expect an answer: select to_regclass('public.orders') is not null",
);
static UNCHECKED: Rule = Rule::error(
    "shell-psql-unchecked",
    "a SELECT by psql ends with 0 whatever it finds, also with no row at all",
    "make it a `sql` step with `expect`, or judge `stdout` in this step's `expect`",
);
static NO_LOCK_TIMEOUT: Rule = Rule::warning(
    "shell-psql-no-lock-timeout",
    "psql waits for locks without end, and everybody else queues behind it; gonogo's limits do not reach it",
    "use a `sql` or `file` step; or set PGOPTIONS='-c lock_timeout=3s', or begin the script with set lock_timeout",
);

pub(super) fn check(desk: &Desk<'_>, line: &Line<'_>) {
    for (n, cmd) in line.cmds.iter().enumerate().filter(|(_, cmd)| cmd.is("psql")) {
        let piped = cmd.before == Op::Pipe;
        script(desk, line, cmd, piped);
        commands(desk, line, cmd, line.cmds.get(n + 1));
        waits(desk, line, cmd);
    }
}

/// True where it reads a script: a file, its standard input, or several commands.
pub(super) fn reads_script(cmd: &Cmd, piped: bool) -> bool {
    let commands = cmd.values("-c", "--command");
    let input = cmd.heredoc.is_some() || cmd.reads_from().is_some() || piped;
    cmd.option('f', "--file") || commands.len() > 1 || (input && commands.is_empty())
}

pub(super) fn stops(cmd: &Cmd) -> bool {
    cmd.words.iter().any(|word| word.text.to_uppercase().contains("ON_ERROR_STOP"))
}

fn script(desk: &Desk<'_>, line: &Line<'_>, cmd: &Cmd, piped: bool) {
    let in_text = line.text.contains("\\set ON_ERROR_STOP");
    if reads_script(cmd, piped) && !stops(cmd) && !in_text {
        line.note(desk, &NO_STOP, cmd, "psql without ON_ERROR_STOP: errors in this script pass");
    }
}

fn commands(desk: &Desk<'_>, line: &Line<'_>, cmd: &Cmd, next: Option<&Cmd>) {
    let mut texts: Vec<String> = cmd.values("-c", "--command").iter().map(|word| word.text.clone()).collect();
    texts.extend(cmd.heredoc.iter().map(|body| body.text.clone()));
    if texts.iter().any(|text| only_describes(text)) && !line.output_is_judged() && cmd.after != Op::Pipe {
        line.note(desk, &META, cmd, "a command of psql: it ends with 0 where nothing is there");
    }
    let judged = line.output_is_judged()
        || matches!(cmd.after, Op::Pipe | Op::Inside)
        || next.is_some_and(|next| next.before == Op::Pipe);
    let kept = cmd.redirects.iter().any(|(op, _)| op.starts_with('>')) || cmd.option('o', "--output");
    let reads = |text: &String| {
        let text = text.trim_start().to_lowercase();
        text.starts_with("select") && text.contains(" from ") && !text.contains("pg_terminate_backend")
    };
    if !texts.is_empty() && texts.iter().all(reads) && !judged && !kept {
        line.note(desk, &UNCHECKED, cmd, "nobody looks at what this SELECT finds");
    }
}

/// `\d`, `\l`, `\z`, `\sf`: they show what is there. `\copy` and its like do work, and fail as they should.
fn only_describes(text: &str) -> bool {
    let command = text.trim_start().strip_prefix('\\').unwrap_or_default();
    command.starts_with(['d', 'l', 'z']) && !command.starts_with("lo_")
        || command.starts_with("sf")
        || command.starts_with("sv")
}

fn waits(desk: &Desk<'_>, line: &Line<'_>, cmd: &Cmd) {
    let texts = cmd.values("-c", "--command").iter().map(|word| word.text.to_lowercase()).collect::<Vec<_>>().join(" ");
    let body = cmd.heredoc.as_ref().map(|body| body.text.to_lowercase()).unwrap_or_default();
    let alters = ["alter table", "drop table", "drop index", "truncate ", "create index", "create unique index"];
    let ddl = alters.iter().any(|word| texts.contains(word) || body.contains(word));
    if ddl && !line.text.to_lowercase().contains("lock_timeout") {
        line.note(desk, &NO_LOCK_TIMEOUT, cmd, "this waits for its locks without end");
    }
}
