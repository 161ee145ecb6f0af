//! Runs as the journal would tell them: a builder of entries with a clock of its own, and a screen to look at.

use std::sync::Arc;

use chrono::{TimeDelta, TimeZone, Utc};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::book::{M011, book};
use crate::run::event::Rehearsed;
use crate::run::event::{
    End, Fingerprint, Grip, HoldCause, Mode as RunMode, Opened, OtherRun, Proof, Resolved, Statement,
};
use crate::run::facts::{Fault, Verdict};
use crate::run::rehearsed::StepTimes;
use crate::run::{Attempt, Chunk, Direction, Entry, Event, Facts, Moment, NoData, Outcome};
use crate::runbook::{Source, StepId, TriggerAction};
use crate::tui::{Look, Message, Mode, Model, Out, draw, update};

pub const ME: &str = "dba@host";

/// What brings a script to where a test begins.
pub type Fill = fn(&mut Script) -> &mut Script;

/// Entries under construction.
pub struct Script {
    pub entries: Vec<Entry>,
    ms: u64,
}

pub fn attempt(step: &str) -> Attempt {
    Attempt { step: step.into(), direction: Direction::Forward, n: 1 }
}

pub fn undo(step: &str) -> Attempt {
    Attempt { direction: Direction::Undo, ..attempt(step) }
}

pub fn moment(ms: u64) -> Moment {
    let start = Utc.with_ymd_and_hms(2024, 1, 31, 3, 0, 0).single().unwrap();
    Moment { wall: start + TimeDelta::milliseconds(ms as i64), ms }
}

pub fn done(ms: u64, rows: Option<u64>) -> Outcome {
    Outcome::Done { facts: Box::new(Facts { ms, rows, ..Facts::default() }), verdict: None }
}

impl Script {
    /// Opened on an environment, its target seen.
    pub fn on(environment: &str) -> Self {
        let mut script = Self { entries: Vec::new(), ms: 0 };
        script.push(Event::RunOpened(Box::new(Opened {
            format: 1,
            run: "01HQ-7F2K".to_owned(),
            mode: RunMode::Live,
            source: Source {
                name: "week1.toml".to_owned(),
                digest: "9f2c6a1e5b7d4830aa".to_owned(),
                ..Source::default()
            },
            environment: environment.to_owned(),
            by: ME.to_owned(),
            version: "0.1.0".to_owned(),
            ..Opened::default()
        })));
        script.push(Event::EngineStarted {
            pid: 7,
            host: "host".to_owned(),
            boot: "b".to_owned(),
            zero_ms: 0,
            by: ME.to_owned(),
        });
        script.seen();
        script
    }

    /// Rehearsed in staging the day before: milliseconds that steps took there, forward and back.
    pub fn rehearsed(&mut self, forward: &[(&str, u64)], undo: &[(&str, u64)]) -> &mut Self {
        let side = |times: &[(&str, u64)]| times.iter().map(|(step, ms)| (StepId::from(*step), *ms)).collect();
        let Some(Entry { event: Event::RunOpened(opened), .. }) = self.entries.first_mut() else { unreachable!() };
        opened.rehearsed = Some(Rehearsed {
            run: "01HQ-3A9C".to_owned(),
            at: moment(0).wall - TimeDelta::hours(13),
            environment: "staging".to_owned(),
            same_digest: true,
            times: StepTimes { forward: side(forward), undo: side(undo) },
            ..Rehearsed::default()
        });
        self
    }

    fn seen(&mut self) -> &mut Self {
        self.seen_by(Proof::Ledger)
    }

    fn seen_by(&mut self, proof: Proof) -> &mut Self {
        let grip = Grip { epoch: (proof == Proof::Ledger).then_some(1), proof, guarded: true, ..Grip::default() };
        self.push(Event::TargetSeen { target: "main".to_owned(), fingerprint: app(), grip })
    }

    /// The target has no ledger.
    pub fn weaker(&mut self) -> &mut Self {
        self.seen_by(Proof::Weaker { why: "there is no ledger in this database".to_owned() })
    }

    /// The target is another run's.
    pub fn owned(&mut self) -> &mut Self {
        let owner = "run week0-7 of ann@jump1 pid 90 has not ended; it has the database since 2026-01-30 02:14 UTC";
        let (target, owner) = ("main".to_owned(), owner.to_owned());
        let others = vec![OtherRun { run: "week0-7".to_owned(), lives: false }];
        self.push(Event::TargetOwned { target: target.clone(), fingerprint: app(), owner: owner.clone(), others });
        self.hold(HoldCause::Owned { target, owner })
    }

    /// Fresh numbers, as good as ever.
    pub fn fresh(&mut self) -> &mut Self {
        self.sample("error_rate", Ok(0.21));
        self.sample("connections", Ok(41.0));
        self.sample("lag", Ok(0.0))
    }

    pub fn push(&mut self, event: Event) -> &mut Self {
        self.entries.push(Entry { seq: self.entries.len() as u64 + 1, at: moment(self.ms), event });
        self
    }

    pub fn wait(&mut self, ms: u64) -> &mut Self {
        self.ms += ms;
        self
    }

    pub fn now(&self) -> Moment {
        moment(self.ms)
    }

    pub fn phase(&mut self, phase: &str) -> &mut Self {
        self.push(Event::PhaseEntered { phase: phase.to_owned() })
    }

    pub fn leave(&mut self, phase: &str) -> &mut Self {
        self.push(Event::PhaseLeft { phase: phase.to_owned(), early: None })
    }

    pub fn start(&mut self, attempt: Attempt, resolved: Resolved) -> &mut Self {
        self.push(Event::StepStarted { attempt, resolved, by: ME.to_owned() })
    }

    pub fn end(&mut self, attempt: Attempt, outcome: Outcome) -> &mut Self {
        self.push(Event::StepEnded { attempt, outcome })
    }

    pub fn out(&mut self, attempt: Attempt, chunk: Chunk) -> &mut Self {
        self.push(Event::Output { attempt, chunk })
    }

    pub fn hold(&mut self, cause: HoldCause) -> &mut Self {
        self.push(Event::Held { cause, by: "engine".to_owned() })
    }

    pub fn sample(&mut self, probe: &str, value: Result<f64, &str>) -> &mut Self {
        self.push(Event::SampleTaken { probe: probe.to_owned(), value: value.map_err(NoData::new), took_ms: 3 })
    }

    /// Some minutes of quiet signals.
    pub fn signals(&mut self) -> &mut Self {
        for n in 0..60u64 {
            self.wait(5_000);
            self.sample("error_rate", Ok(0.2 + (n % 7) as f64 * 0.05));
            self.sample("connections", Ok(40.0 + (n % 5) as f64));
            self.sample("lag", Ok(0.0));
        }
        self
    }

    /// The whole of the first phase, with answers and votes.
    pub fn prepared(&mut self) -> &mut Self {
        let confirmed = Event::Confirmed { by: ME.to_owned(), text: "app".to_owned() };
        self.push(confirmed).phase("prepare").wait(2_000);
        let tables = attempt("tables-before");
        self.start(tables.clone(), select()).wait(31);
        self.end(
            tables,
            Outcome::Done {
                facts: Box::new(Facts { ms: 31, rows: Some(1), ..Facts::default() }),
                verdict: Some(Verdict { expect: "value == 52".to_owned(), passed: true, saw: "value = 52".to_owned() }),
            },
        );
        self.wait(9_000).start(attempt("ready"), Resolved::Human);
        for (item, answer) in [(0, None), (1, Some("the second on the list")), (2, None)] {
            self.wait(20_000).push(Event::Ticked {
                step: "ready".into(),
                item,
                answer: answer.map(str::to_owned),
                by: ME.to_owned(),
            });
        }
        self.end(attempt("ready"), done(60_000, None)).wait(5_000);
        self.start(attempt("go"), Resolved::Human);
        for role in ["dba", "backend", "devops"] {
            self.wait(8_000).vote(role, true, "");
        }
        self.end(attempt("go"), done(24_000, None)).leave("prepare")
    }

    pub fn vote(&mut self, role: &str, go: bool, reason: &str) -> &mut Self {
        self.push(Event::Voted {
            step: "go".into(),
            role: role.to_owned(),
            go,
            reason: reason.to_owned(),
            by: ME.to_owned(),
        })
    }

    /// In the second phase, its first step done.
    pub fn migrating(&mut self) -> &mut Self {
        self.prepared().signals().phase("migrate").wait(1_000);
        let argv = ["systemctl", "stop", "worker@*"].map(str::to_owned).to_vec();
        self.start(attempt("stop-workers"), Resolved::Run { argv, connect: None });
        self.wait(41_000).end(
            attempt("stop-workers"),
            Outcome::Done { facts: Box::new(Facts { ms: 41_000, exit: Some(0), ..Facts::default() }), verdict: None },
        )
    }

    /// m011 under way, with a first result.
    pub fn m011_running(&mut self) -> &mut Self {
        self.migrating().wait(3_000).fresh().start(attempt("m011"), m011());
        self.out(attempt("m011"), Chunk::Statement { n: 1, of: 2 }).wait(80);
        let end = Chunk::StatementEnd { n: 1, rows: 0, affected: 0, ms: 80 };
        self.out(attempt("m011"), end);
        self.out(attempt("m011"), Chunk::Statement { n: 2, of: 2 })
    }

    pub fn m011_done(&mut self) -> &mut Self {
        self.m011_running();
        let columns = Chunk::Columns {
            n: 2,
            names: vec!["column_count".to_owned(), "state".to_owned()],
            types: vec!["int8".to_owned(), "text".to_owned()],
        };
        self.out(attempt("m011"), columns);
        let rows = vec![vec![Some("3".to_owned()), Some("ok".to_owned())], vec![Some("1204".to_owned()), None]];
        self.out(attempt("m011"), Chunk::Rows { n: 2, rows });
        let end = Chunk::StatementEnd { n: 2, rows: 2, affected: 0, ms: 12 };
        self.out(attempt("m011"), end).wait(60);
        self.end(attempt("m011"), done(230, Some(2)))
    }

    pub fn m011_failed(&mut self) -> &mut Self {
        self.m011_running().wait(20).end(
            attempt("m011"),
            Outcome::Failed {
                fault: Box::new(Fault {
                    summary: "column \"workspaces\" does not exist".to_owned(),
                    sqlstate: Some("42703".to_owned()),
                    hint: Some("Perhaps you meant \"workspace_id\".".to_owned()),
                    statement: Some(2),
                    position: Some(41),
                    place: "week1.toml:44".to_owned(),
                    safe: "the transaction was rolled back, nothing changed".to_owned(),
                    trouble: Some(("left over from an earlier attempt".to_owned(), "drop it, then retry".to_owned())),
                    ..Fault::default()
                }),
                facts: None,
                verdict: None,
            },
        );
        self.hold(HoldCause::Step { step: "m011".into() })
    }

    pub fn fired(&mut self) -> &mut Self {
        self.m011_done();
        for n in 0..8 {
            self.wait(5_000).sample("error_rate", Ok(1.6 + f64::from(n) * 0.2));
            if n == 3 {
                self.push(Event::TriggerBreached { trigger: "errors-high".to_owned() });
            }
        }
        let at_ms = Some(self.ms + 15_000);
        self.push(Event::TriggerFired {
            trigger: "errors-high".to_owned(),
            then: TriggerAction::Rollback,
            values: vec![("error_rate".to_owned(), 3.0)],
            at_ms,
        })
        .wait(4_000)
    }

    pub fn in_doubt(&mut self) -> &mut Self {
        let known = "the server went away during COMMIT, and its ledger cannot be reached".to_owned();
        self.m011_running().wait(900).end(attempt("m011"), Outcome::Unknown { known });
        self.hold(HoldCause::InDoubt { attempt: attempt("m011") })
    }

    pub fn rolling_back(&mut self) -> &mut Self {
        self.m011_done().wait(20_000).push(Event::RollbackStarted {
            plan: None,
            steps: vec!["m011".into(), "stop-workers".into()],
            by: ME.to_owned(),
            reason: "errors since 011".to_owned(),
        });
        let statements =
            vec![Statement { sql: "alter table agent_trust_scores drop column workspace_id".to_owned(), line: 52 }];
        let resolved = Resolved::Sql {
            target: "main".to_owned(),
            statements,
            transaction: true,
            direct: crate::run::event::Direct::default(),
            asks: crate::runbook::Asks::Rows,
        };
        self.start(undo("m011"), resolved).wait(700)
    }

    pub fn rolled_back(&mut self) -> &mut Self {
        self.rolling_back().end(undo("m011"), done(700, None));
        let argv = ["systemctl", "start", "worker@*"].map(str::to_owned).to_vec();
        self.start(undo("stop-workers"), Resolved::Run { argv, connect: None }).wait(3_000);
        self.end(undo("stop-workers"), done(3_000, None)).push(Event::RollbackEnded {});
        self.ended(End::RolledBack, "errors since 011")
    }

    pub fn ended(&mut self, end: End, reason: &str) -> &mut Self {
        self.push(Event::RunEnded { end, reason: reason.to_owned() })
    }

    /// Watching after the work.
    pub fn monitoring(&mut self) -> &mut Self {
        self.m011_done();
        for step in ["backfill", "m012"] {
            self.wait(2_000).start(attempt(step), select()).wait(1_000).end(attempt(step), done(1_000, None));
        }
        self.leave("migrate").phase("verify").wait(1_000);
        self.start(attempt("tables-after"), select()).wait(20).end(attempt("tables-after"), done(20, Some(1)));
        self.leave("verify").phase("monitor").signals()
    }
}

fn select() -> Resolved {
    Resolved::Sql {
        target: "main".to_owned(),
        statements: vec![Statement { sql: "select count(*) from pg_tables".to_owned(), line: 30 }],
        transaction: true,
        direct: crate::run::event::Direct::default(),
        asks: crate::runbook::Asks::Rows,
    }
}

pub fn m011() -> Resolved {
    let (first, second) = M011.split_once("\n\n").unwrap();
    let statement = |sql: &str, line| Statement { sql: sql.to_owned(), line };
    Resolved::Sql {
        target: "main".to_owned(),
        statements: vec![statement(first, 40), statement(second, 43)],
        transaction: true,
        direct: crate::run::event::Direct::default(),
        asks: crate::runbook::Asks::Rows,
    }
}

/// A screen that has seen a script, drawn once.
pub fn screen(script: &Script, size: (u16, u16)) -> Model {
    screen_in(script, size, live(true))
}

pub fn live(writes: bool) -> Mode {
    Mode::Live { me: ME.to_owned(), writes }
}

pub fn screen_in(script: &Script, size: (u16, u16), mode: Mode) -> Model {
    let mut model = Model::new(Arc::new(book()), mode, Look::default());
    update(&mut model, Message::Resize(size.0, size.1));
    update(&mut model, Message::Tick(script.now()));
    update(&mut model, Message::Entries(script.entries.clone()));
    model.mark_drawn();
    later(&mut model, 1_000);
    model
}

/// Time passes.
pub fn later(model: &mut Model, ms: u64) {
    let now = moment(model.now.ms + ms);
    update(model, Message::Tick(now));
}

pub fn press(model: &mut Model, code: KeyCode) -> Option<Out> {
    update(model, Message::Key(KeyEvent::new(code, KeyModifiers::NONE)))
}

pub fn ctrl(model: &mut Model, c: char) -> Option<Out> {
    update(model, Message::Key(KeyEvent::new(KeyCode::Char(c), KeyModifiers::CONTROL)))
}

pub fn type_in(model: &mut Model, text: &str) {
    for c in text.chars() {
        assert_eq!(press(model, KeyCode::Char(c)), None, "typing {c:?} did something");
    }
}

/// What the terminal would show.
pub fn shot(model: &Model) -> String {
    let mut terminal = Terminal::new(TestBackend::new(model.size.0, model.size.1)).unwrap();
    terminal.draw(|frame| draw(model, frame)).unwrap();
    let buffer = terminal.backend().buffer();
    let width = usize::from(buffer.area.width.max(1));
    let rows = buffer.content.chunks(width).map(|row| {
        // The second cell of a wide character holds a space of its own.
        let mut text = String::new();
        let mut skip = 0;
        for cell in row {
            if skip == 0 {
                text.push_str(cell.symbol());
                skip = crate::tui::text::width(cell.symbol()).saturating_sub(1);
            } else {
                skip -= 1;
            }
        }
        text.trim_end().to_owned()
    });
    rows.collect::<Vec<_>>().join("\n")
}

pub fn id(text: &str) -> StepId {
    text.into()
}

fn app() -> Fingerprint {
    Fingerprint {
        kind: "postgresql".to_owned(),
        version: "15.18".to_owned(),
        host: "10.0.0.5:5432".to_owned(),
        database: "app".to_owned(),
        role: "migrator".to_owned(),
        system_id: Some("7301234567890123456".to_owned()),
        timeline: Some(1),
        in_recovery: false,
    }
}
