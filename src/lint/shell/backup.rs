//! Rules about backups: a dump that nobody has read is a hope, and a restore has its own ways to go wrong.

use std::collections::{BTreeMap, BTreeSet};

use super::gather::Line;
use super::psql;
use super::words::{Cmd, Op, Tok};
use crate::lint::desk::{Act, Desk, Part};
use crate::lint::rule::Rule;
use crate::runbook::dump::{Backup, DumpFormat, Prove};
use crate::runbook::{PhaseKind, Seg, Verb};

pub(super) static RULES: &[&Rule] =
    &[&UNPROVEN, &PLAIN, &LIST_PLAIN, &LATE, &AFTER_CHANGE, &BEFORE_STOP, &GOES_ON, &CLEAN, &LOSES, &OVER_LIVE];

static UNPROVEN: Rule = Rule::warning(
    "backup-unproven",
    "a dump that was cut short has a size and lists with exit 0: only reading it to its end proves that it is whole",
    "read all of it: pg_restore --exit-on-error -f /dev/null FILE; better: restore it somewhere and compare counts",
);
static PLAIN: Rule = Rule::warning(
    "backup-plain",
    "of a plain dump only the last line tells that it is whole, and tables cannot be taken out of it one by one",
    "leave `format` out, or write format = \"directory\"; where it must be plain: prove = \"restore\"",
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
    let plain = forward.iter().any(|line| dumps(line).any(is_plain))
        || backups(desk).any(|(_, backup)| backup.format == DumpFormat::Plain);
    let first = first(desk, &forward);
    let way = Way::of(desk, &forward);
    verbs(desk, first, &way);
    for line in &forward {
        for cmd in dumps(line) {
            if !proven {
                line.note(desk, &UNPROVEN, cmd, "no step reads this dump to its end");
            }
            // A second dump may well be of what came out.
            if let Some(act) = line.act.filter(|act| is(act, first))
                && let Some(message) = after_change(desk, act)
            {
                line.note(desk, &AFTER_CHANGE, cmd, message);
            }
            if let Some(message) = line.act.and_then(|act| way.before_stop(act)) {
                line.note(desk, &BEFORE_STOP, cmd, message);
            }
        }
        for cmd in line.cmds.iter().filter(|cmd| lists(cmd) && plain) {
            line.note(desk, &LIST_PLAIN, cmd, "pg_restore cannot list a plain dump");
        }
    }
    if !proven && forward.iter().any(|line| dumps(line).next().is_some()) {
        late(desk);
    }
    for line in lines {
        restores(desk, line, &way);
    }
    by_hand(desk);
}

/// What the steps do around a backup and a restore, found once.
struct Way<'l> {
    /// The place of each step of the phases.
    order: BTreeMap<&'l str, usize>,
    /// The first step that stops the writers.
    stop: Option<&'l str>,
    /// Files that are dumped into.
    written: BTreeSet<&'l str>,
    /// Ways back that make a database of their own.
    makes_room: BTreeSet<Part>,
    /// Rollback plans with a step that says what is lost.
    says_loss: BTreeSet<usize>,
}

impl<'l> Way<'l> {
    fn of(desk: &'l Desk<'_>, forward: &[&'l Line<'_>]) -> Self {
        let stopping = forward.iter().filter(|line| line.cmds.iter().any(stops_service));
        let stopping: BTreeSet<&str> = stopping.filter_map(|line| line.act).map(id).collect();
        let back = desk.acts.iter().filter(|act| matches!(act.part, Part::Plan(_) | Part::Undo));
        let plans = desk.book.rollbacks.iter().enumerate();
        Self {
            order: desk.forward().enumerate().map(|(n, act)| (id(act), n)).collect(),
            stop: desk.forward().map(id).find(|id| stopping.contains(id)),
            written: forward.iter().flat_map(|line| dumps(line)).filter_map(written).collect(),
            makes_room: back.filter(|act| makes_room(act)).map(|act| act.part).collect(),
            says_loss: plans
                .filter(|(_, plan)| plan.steps.iter().any(|one| one.loses.is_some()))
                .map(|(n, _)| n)
                .collect(),
        }
    }

    /// What stops the writers only after this backup, in words.
    fn before_stop(&self, own: &Act<'_>) -> Option<String> {
        let (stop, own) = (self.stop?, self.order.get(id(own))?);
        (self.order.get(stop)? > own).then(|| format!("`{stop}` stops the writers only later"))
    }

    /// True where any step of the same way back says what it loses.
    fn says_loss(&self, line: &Line<'_>) -> bool {
        match line.act.map(|act| (act.part, act)) {
            None => true,
            Some((Part::Plan(n), _)) => self.says_loss.contains(&n),
            Some((_, own)) => own.step.loses.is_some(),
        }
    }
}

fn id<'a>(act: &'a Act<'_>) -> &'a str {
    &act.step.id.0
}

/// Backups that gonogo takes itself: it proves them, so they only have to be taken in time.
fn verbs(desk: &Desk<'_>, first: Option<&Act<'_>>, way: &Way<'_>) {
    for (act, backup) in backups(desk) {
        if let Some(message) = after_change(desk, act).filter(|_| is(act, first)) {
            desk.step(&AFTER_CHANGE, act, &act.verb(), message);
        }
        if let Some(message) = way.before_stop(act) {
            desk.step(&BEFORE_STOP, act, &act.verb(), message);
        }
        if backup.format == DumpFormat::Plain && backup.prove == Prove::Read {
            let mut spot = act.verb();
            spot.path.push(Seg::Key("format"));
            desk.step(&PLAIN, act, &spot, "a plain dump, of which only the last line was looked at");
        }
    }
}

fn backups<'d>(desk: &'d Desk<'_>) -> impl Iterator<Item = (&'d Act<'d>, &'d Backup)> {
    desk.forward().filter_map(|act| match &act.step.verb {
        Verb::Backup(backup) => Some((act, backup.as_ref())),
        _ => None,
    })
}

/// The first step that takes a backup, by whichever means.
fn first<'d>(desk: &'d Desk<'_>, forward: &[&Line<'_>]) -> Option<&'d Act<'d>> {
    let dumping = forward.iter().filter(|line| dumps(line).next().is_some());
    let dumping: BTreeSet<&str> = dumping.filter_map(|line| line.act).map(id).collect();
    desk.forward().find(|act| dumping.contains(id(act)) || matches!(act.step.verb, Verb::Backup(_)))
}

/// True where both are the same step; ids are given once.
fn is(act: &Act<'_>, other: Option<&Act<'_>>) -> bool {
    other.is_some_and(|other| other.step.id == act.step.id)
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

/// True where a step restores an archive: it reads all of it. A `backup` proves its own archive, and no other.
fn verbs_prove(desk: &Desk<'_>) -> bool {
    desk.forward().any(|act| matches!(act.step.verb, Verb::Restore(_)))
}

/// True where a step changes the database or stands in a migrate phase.
fn changes(act: &Act<'_>) -> bool {
    let migrates = act.phase.is_some_and(|phase| phase.kind == PhaseKind::Migrate);
    let commands = matches!(act.step.verb, Verb::Run(_) | Verb::Shell(_));
    act.step.changes() && (!commands || migrates)
}

/// What has changed something before this backup, in words.
fn after_change(desk: &Desk<'_>, own: &Act<'_>) -> Option<String> {
    let mut before = desk.forward().take_while(|act| act.step.id != own.step.id);
    let changed = before.find(|act| changes(act) && !is_safety(act))?;
    Some(format!("`{}` has changed something before", changed.step.id))
}

/// What stops writers or makes room changes nothing that a backup would miss.
fn is_safety(act: &Act<'_>) -> bool {
    match &act.step.verb {
        Verb::Run(args) => matches!(args.first().map(String::as_str), Some("mkdir" | "systemctl" | "pm2" | "pg_dump")),
        Verb::Shell(text) => text.contains("pg_dump") || text.contains(" stop"),
        _ => false,
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

fn restores(desk: &Desk<'_>, line: &Line<'_>, way: &Way<'_>) {
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
        let plain = cmd.is("psql") && dump_file(cmd, line, way);
        if back && (into || plain) && !way.says_loss(line) {
            line.note(desk, &LOSES, cmd, "what this restore loses is not said");
        }
        if back && plain && !line.act.is_some_and(|act| way.makes_room.contains(&act.part)) {
            line.note(desk, &OVER_LIVE, cmd, "a plain dump over the database it came from");
        }
    }
}

/// True where psql reads what a step of the runbook has dumped, or a file that is called so.
fn dump_file(cmd: &Cmd, line: &Line<'_>, way: &Way<'_>) -> bool {
    let piped = cmd.before == Op::Pipe;
    let mut read: Vec<&Tok> = cmd.reads_from().into_iter().collect();
    read.extend(cmd.values("-f", "--file"));
    if piped {
        let sources = line.cmds.iter().filter(|cmd| matches!(cmd.program().0, "cat" | "gunzip" | "zcat" | "gzip"));
        read.extend(sources.flat_map(|cmd| cmd.args()));
    }
    read.iter().any(|file| {
        let name = file.text.to_lowercase();
        let variable = name.starts_with("__") && (name.contains("backup") || name.contains("dump"));
        let ending = [".dump", ".bak", ".sql.gz"].iter().any(|end| name.ends_with(end));
        way.written.contains(file.text.as_str())
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

/// True for a step of a way back that makes a database of its own.
fn makes_room(act: &Act<'_>) -> bool {
    let text = match &act.step.verb {
        Verb::Run(args) => args.join(" "),
        Verb::Shell(text) => text.clone(),
        Verb::Sql(script) => script.text.clone(),
        _ => return false,
    };
    let text = text.to_lowercase();
    text.contains("createdb") || text.contains("create database") || text.contains("drop schema")
}
