//! Rules about backups: a dump that nobody has read is a hope, and a restore has its own ways to go wrong.

use super::gather::Line;
use super::psql;
use super::words::{Cmd, Op, Tok};
use crate::lint::desk::{Act, Desk, Part};
use crate::lint::rule::Rule;
use crate::runbook::{PhaseKind, Seg, Verb};

pub(super) static RULES: &[&Rule] =
    &[&UNPROVEN, &LIST_PLAIN, &LATE, &AFTER_CHANGE, &BEFORE_STOP, &GOES_ON, &CLEAN, &LOSES, &OVER_LIVE];

static UNPROVEN: Rule = Rule::warning(
    "backup-unproven",
    "a dump that was cut short has a size and lists with exit 0: only reading it to its end proves that it is whole",
    "read all of it: pg_restore --exit-on-error -f /dev/null FILE; better: restore it somewhere and compare counts",
);
static LIST_PLAIN: Rule = Rule::error(
    "backup-list-of-plain",
    "pg_restore reads archives (-Fc, -Fd, -Ft); of a plain dump it always fails, so every good run stops here",
    "dump with -Fc; of a plain dump look for its last line, 'PostgreSQL database dump complete', and restore it somewhere",
);
static LATE: Rule = Rule::warning(
    "backup-proof-late",
    "that the backup can be restored is found out after the window, when it is no longer needed",
    "prove it in a step before the first change",
);
static AFTER_CHANGE: Rule = Rule::warning(
    "backup-after-change",
    "the backup is taken after a step that changes: it cannot bring back what was before",
    "take and prove it before the first change",
);
static BEFORE_STOP: Rule = Rule::warning(
    "backup-before-stop",
    "what is written between the backup and the stop is not in the backup, and a restore loses it",
    "stop the writers first, or say what is lost: loses = \"every write since the backup\"",
);
static GOES_ON: Rule = Rule::warning(
    "restore-goes-on",
    "pg_restore goes on after an error and leaves a database that is partly old and partly new",
    "add --exit-on-error, or --single-transaction, which takes everything back",
);
static CLEAN: Rule = Rule::warning(
    "restore-clean-over-migrated",
    "--clean drops what the dump knows: new tables stay, their foreign keys stop the drops, changed rows stay changed",
    "restore into a new database; or remove what is new first and add --single-transaction",
);
static LOSES: Rule = Rule::warning(
    "restore-without-loses",
    "a restore takes back every write since the backup, and nobody is told before agreeing to it",
    "write what is lost: loses = \"every write since the backup\"",
);
static OVER_LIVE: Rule = Rule::error(
    "restore-plain-over-live",
    "a plain dump loaded into the database it came from restores nothing: tables exist, keys collide, rows without a key double",
    "load it into a new, empty database; or dump with -Fc and use pg_restore",
);

pub(super) fn check(desk: &Desk<'_>, lines: &[Line<'_>]) {
    let forward: Vec<&Line<'_>> = lines.iter().filter(|line| part(line) == Some(Part::Forward)).collect();
    let proven = forward.iter().any(|line| line.cmds.iter().any(|cmd| reads_all(line, cmd))) || verbs_prove(desk);
    let plain = forward.iter().any(|line| dumps(line).any(is_plain));
    let first = forward.iter().find(|line| dumps(line).next().is_some()).copied();
    for line in &forward {
        for cmd in dumps(line) {
            if !proven {
                line.note(desk, &UNPROVEN, cmd, "no step reads this dump to its end");
            }
            // A second dump may well be of what came out.
            if first.is_some_and(|first| std::ptr::eq(*line, first)) {
                after_change(desk, line, cmd);
            }
            before_stop(desk, line, cmd, &forward);
        }
        for cmd in line.cmds.iter().filter(|cmd| lists(cmd) && plain) {
            line.note(desk, &LIST_PLAIN, cmd, "pg_restore cannot list a plain dump");
        }
    }
    if !proven && forward.iter().any(|line| dumps(line).next().is_some()) {
        late(desk);
    }
    for line in lines {
        restores(desk, line, &forward);
    }
    by_hand(desk);
}

/// A plan that is called a restore and has no command that could be looked at: a console, a verb.
fn by_hand(desk: &Desk<'_>) {
    for (n, plan) in desk.book.rollbacks.iter().enumerate() {
        let commands = plan.steps.iter().any(|step| matches!(step.verb, Verb::Run(_) | Verb::Shell(_)));
        let said = plan.steps.iter().any(|step| step.loses.is_some());
        let named = format!("{} {}", plan.id, plan.title).to_lowercase().contains("restor");
        if named && !commands && !said {
            let spot = desk.spot(&[Seg::Key("rollback"), Seg::Nth(n)], "id");
            desk.note(&LOSES, &Default::default(), &spot, format!("what `{}` loses is not said", plan.id));
        }
    }
}

fn part(line: &Line<'_>) -> Option<Part> {
    line.act.map(|act| act.part)
}

fn dumps<'l>(line: &'l Line<'_>) -> impl Iterator<Item = &'l Cmd> {
    let whole = |cmd: &&Cmd| !cmd.option('s', "--schema-only") && !cmd.has("--version");
    line.cmds.iter().filter(|cmd| matches!(cmd.program().0, "pg_dump" | "pg_dumpall")).filter(whole)
}

fn is_plain(cmd: &Cmd) -> bool {
    cmd.is("pg_dumpall") || cmd.value('F', "--format").is_none_or(|format| format.starts_with('p'))
}

fn lists(cmd: &Cmd) -> bool {
    cmd.is("pg_restore") && cmd.option('l', "--list")
}

fn reads_all(line: &Line<'_>, cmd: &Cmd) -> bool {
    let restores = cmd.is("pg_restore") && !lists(cmd) && !cmd.option('s', "--schema-only");
    let loads = cmd.is("psql") && psql::reads_script(cmd, cmd.before == Op::Pipe) && psql::stops(cmd);
    let last_line = cmd.is("grep") && line.text.contains("dump complete");
    restores || loads || last_line
}

/// True where a verb of gonogo's own takes or restores backups: it proves what it does.
fn verbs_prove(desk: &Desk<'_>) -> bool {
    desk.forward().any(|act| matches!(act.step.verb.word(), "backup" | "restore"))
}

/// True where a step changes the database or stands in a migrate phase.
fn changes(act: &Act<'_>) -> bool {
    let migrates = act.phase.is_some_and(|phase| phase.kind == PhaseKind::Migrate);
    let commands = matches!(act.step.verb, Verb::Run(_) | Verb::Shell(_));
    act.step.changes() && (!commands || migrates)
}

fn after_change(desk: &Desk<'_>, line: &Line<'_>, cmd: &Cmd) {
    let own = line.act.map(|act| &act.step.id);
    let before = desk.forward().take_while(|act| Some(&act.step.id) != own);
    let changed = before.into_iter().find(|act| changes(act) && !is_safety(act));
    if let Some(act) = changed {
        line.note(desk, &AFTER_CHANGE, cmd, format!("`{}` has changed something before", act.step.id));
    }
}

/// What stops writers or makes room changes nothing that a backup would miss.
fn is_safety(act: &Act<'_>) -> bool {
    match &act.step.verb {
        Verb::Run(args) => matches!(args.first().map(String::as_str), Some("mkdir" | "systemctl" | "pm2" | "pg_dump")),
        Verb::Shell(text) => text.contains("pg_dump") || text.contains(" stop"),
        _ => false,
    }
}

fn before_stop(desk: &Desk<'_>, line: &Line<'_>, cmd: &Cmd, forward: &[&Line<'_>]) {
    let own = forward.iter().position(|other| std::ptr::eq(*other, line)).unwrap_or(0);
    let stops = |line: &&&Line<'_>| line.cmds.iter().any(stops_service);
    let earlier = forward.get(..=own).unwrap_or_default().iter().any(|line| stops(&line));
    let later = forward.get(own + 1..).unwrap_or_default().iter().find(stops);
    if let Some(stop) = later.and_then(|line| line.act).filter(|_| !earlier) {
        line.note(desk, &BEFORE_STOP, cmd, format!("`{}` stops the writers only later", stop.step.id));
    }
}

fn stops_service(cmd: &Cmd) -> bool {
    let scaled =
        cmd.is("kubectl") && cmd.has("scale") && cmd.args().iter().any(|word| word.text.ends_with("replicas=0"));
    let known = matches!(cmd.program().0, "systemctl" | "service" | "pm2" | "docker" | "podman" | "supervisorctl");
    scaled || (known && (cmd.has("stop") || cmd.has("pause")))
}

fn late(desk: &Desk<'_>) {
    for (n, followup) in desk.book.followups.iter().enumerate() {
        let texts = followup.checklist.iter().chain([&followup.title]).map(|text| text.to_lowercase());
        let tests = texts.into_iter().any(|text| text.contains("restor") && text.contains("backup"));
        if tests {
            let spot = desk.spot(&[Seg::Key("followup"), Seg::Nth(n)], "title");
            desk.note(&LATE, &Default::default(), &spot, "the backup is tried only after the window");
        }
    }
}

fn restores(desk: &Desk<'_>, line: &Line<'_>, forward: &[&Line<'_>]) {
    for cmd in &line.cmds {
        let into = cmd.is("pg_restore") && cmd.option('d', "--dbname");
        let whole = cmd.option('1', "--single-transaction");
        if into && !whole && !cmd.option('e', "--exit-on-error") {
            line.note(desk, &GOES_ON, cmd, "pg_restore goes on after an error");
        }
        if into && !whole && cmd.option('c', "--clean") {
            line.note(desk, &CLEAN, cmd, "--clean without --single-transaction leaves a database between old and new");
        }
        let back = matches!(part(line), Some(Part::Plan(_) | Part::Undo));
        let plain = cmd.is("psql") && dump_file(cmd, line, forward);
        if back && (into || plain) && !loss_is_said(desk, line) {
            line.note(desk, &LOSES, cmd, "what this restore loses is not said");
        }
        if back && plain && !makes_room(desk, line) {
            line.note(desk, &OVER_LIVE, cmd, "a plain dump over the database it came from");
        }
    }
}

/// True where psql reads what a step of the runbook has dumped, or a file that is called so.
fn dump_file(cmd: &Cmd, line: &Line<'_>, forward: &[&Line<'_>]) -> bool {
    let piped = cmd.before == Op::Pipe;
    let mut read: Vec<&Tok> = cmd.reads_from().into_iter().collect();
    read.extend(cmd.values("-f", "--file"));
    if piped {
        let sources = line.cmds.iter().filter(|cmd| matches!(cmd.program().0, "cat" | "gunzip" | "zcat" | "gzip"));
        read.extend(sources.flat_map(|cmd| cmd.args()));
    }
    let written: Vec<&str> = forward.iter().flat_map(|line| dumps(line)).filter_map(written).collect();
    read.iter().any(|file| {
        let name = file.text.to_lowercase();
        let variable = name.starts_with("__") && (name.contains("backup") || name.contains("dump"));
        let ending = [".dump", ".bak", ".sql.gz"].iter().any(|end| name.ends_with(end));
        written.contains(&file.text.as_str())
            || variable
            || ending
            || name.contains("backups/")
            || name.contains("/backup")
    })
}

fn written(cmd: &Cmd) -> Option<&str> {
    let redirect = cmd.redirects.iter().find(|(op, _)| op == ">").map(|(_, to)| to.text.as_str());
    redirect.or_else(|| cmd.value('f', "--file"))
}

/// True where any step of the same way back says what it loses.
fn loss_is_said(desk: &Desk<'_>, line: &Line<'_>) -> bool {
    let Some(own) = line.act else { return true };
    match own.part {
        Part::Plan(n) => {
            desk.book.rollbacks.get(n).is_some_and(|plan| plan.steps.iter().any(|step| step.loses.is_some()))
        }
        _ => own.step.loses.is_some(),
    }
}

/// True where the way back makes a database of its own first.
fn makes_room(desk: &Desk<'_>, line: &Line<'_>) -> bool {
    let Some(own) = line.act else { return false };
    let texts = desk.acts.iter().filter(|act| act.part == own.part).filter_map(|act| match &act.step.verb {
        Verb::Run(args) => Some(args.join(" ")),
        Verb::Shell(text) => Some(text.clone()),
        Verb::Sql(script) => Some(script.text.clone()),
        _ => None,
    });
    let made = |text: String| {
        let text = text.to_lowercase();
        text.contains("createdb") || text.contains("create database") || text.contains("drop schema")
    };
    texts.into_iter().any(made)
}
