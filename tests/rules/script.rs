//! A run on paper: feeds inputs to the rules and writes down what happens.

use std::collections::BTreeMap;

use chrono::{TimeZone, Utc};
use gonogo::run::decide::{Input, decide};
use gonogo::run::event::{Claim, FORMAT, Mode, Opened};
use gonogo::run::facts::Effect;
use gonogo::run::follow::follow;
use gonogo::run::{
    Attempt, Command, CommandVerb, Direction, Entry, Event, Facts, Fault, Moment, NoData, Outcome, RunState,
};
use gonogo::runbook::{self, Runbook, Source};

pub struct Script {
    pub book: Runbook,
    pub state: RunState,
    pub entries: Vec<Entry>,
    ms: u64,
    /// How far the wall clock was set, in seconds.
    wall: i64,
    /// How many entries were read already.
    read: usize,
}

/// A runbook with one SQLite target; `rest` holds what the test is about.
pub fn toml(rest: &str) -> String {
    format!(
        r#"
format = 1
id = "paper"
title = "Paper"
[roles]
dba = "DBA"
dev = "Developer"
[environments.test]
targets.main = {{ url = "sqlite:paper.db" }}
[environments.prod]
protected = true
targets.main = {{ url = "sqlite:paper.db" }}
[[probe]]
id = "errors"
every = "1s"
run = ["true"]
{rest}
"#
    )
}

impl Script {
    pub fn new(rest: &str) -> Self {
        Self::open(rest, "test", Mode::Live)
    }

    pub fn open(rest: &str, environment: &str, mode: Mode) -> Self {
        let source = Source { name: "paper.toml".into(), text: toml(rest), ..Source::default() };
        let book = runbook::from_source(source.clone(), &BTreeMap::new())
            .unwrap_or_else(|problems| panic!("{}", problems.render(false)));
        let mut script = Self { book, state: RunState::default(), entries: Vec::new(), ms: 0, wall: 0, read: 0 };
        let opened = Opened {
            format: FORMAT,
            run: "paper-1".into(),
            mode,
            source,
            environment: environment.into(),
            by: "ann@host".into(),
            ..Opened::default()
        };
        script.fact(Event::RunOpened(Box::new(opened)));
        script.engine_starts();
        script.target_seen();
        script
    }

    pub fn target_seen(&mut self) {
        self.fact(Event::TargetSeen {
            target: "main".into(),
            fingerprint: gonogo::run::event::Fingerprint { database: "paper".into(), ..Default::default() },
            grip: Default::default(),
        });
    }

    /// Somebody sets the wall clock by so many seconds.
    pub fn set_wall(&mut self, seconds: i64) {
        self.wall += seconds;
    }

    /// Time passes with no engine there.
    pub fn pass(&mut self, ms: u64) {
        self.ms += ms;
    }

    pub fn engine_starts(&mut self) {
        self.fact(Event::EngineStarted {
            pid: 1,
            host: "host".into(),
            boot: "boot".into(),
            zero_ms: 0,
            by: "ann@host".into(),
        });
    }

    pub fn now(&self) -> Moment {
        let start = Utc.with_ymd_and_hms(2026, 1, 2, 3, 0, 0).unwrap();
        let wall = start + chrono::Duration::milliseconds(self.ms as i64) + chrono::Duration::seconds(self.wall);
        Moment { wall, ms: self.ms }
    }

    /// One turn of an engine, without an engine.
    pub fn turn(&mut self, inputs: Vec<Input>) {
        let now = self.now();
        for input in inputs {
            for event in decide(&self.book, &self.state, input, now) {
                self.note(event);
            }
        }
        for round in 0.. {
            assert!(round < 1_000, "the rules do not come to rest");
            let events = follow(&self.book, &self.state, now);
            if events.is_empty() {
                return;
            }
            for event in events {
                self.note(event);
            }
        }
    }

    fn note(&mut self, event: Event) {
        let entry = Entry { seq: self.state.seq + 1, at: self.now(), event };
        self.state.apply(&entry);
        self.entries.push(entry);
    }

    pub fn fact(&mut self, event: Event) {
        self.turn(vec![Input::Fact(event)]);
    }

    pub fn wait(&mut self, ms: u64) {
        self.ms += ms;
        self.turn(Vec::new());
    }

    pub fn say(&mut self, verb: CommandVerb) {
        self.say_having_seen(verb, self.state.seq);
    }

    pub fn say_having_seen(&mut self, verb: CommandVerb, seen: u64) {
        self.turn(vec![Input::Command(Command { by: "ann@host".into(), seen, verb })]);
    }

    pub fn start(&mut self, step: &str) {
        self.say(CommandVerb::Start { step: step.into() });
    }

    /// The attempt at `step` that is open.
    pub fn open_attempt(&self, step: &str) -> Attempt {
        let found = self.state.open.iter().find(|attempt| attempt.step.0 == step);
        found.unwrap_or_else(|| panic!("{step} is not open")).clone()
    }

    pub fn end(&mut self, step: &str, outcome: Outcome) {
        let attempt = self.open_attempt(step);
        self.turn(vec![Input::Ended { attempt, outcome }]);
    }

    pub fn done(&mut self, step: &str) {
        self.end(step, done());
    }

    pub fn sample(&mut self, probe: &str, value: f64) {
        self.turn(vec![Input::Sample { probe: probe.into(), value: Ok(value), took_ms: 1 }]);
    }

    pub fn silence(&mut self, probe: &str, reason: &str) {
        self.turn(vec![Input::Sample { probe: probe.into(), value: Err(NoData::new(reason)), took_ms: 1 }]);
    }

    pub fn settle(&mut self, step: &str, claim: Claim) {
        let attempt = self.open_attempt(step);
        self.say(CommandVerb::Settle { attempt, claim, reason: "looked".into() });
    }

    /// What happened since the last reading, a line per event.
    pub fn read(&mut self) -> String {
        let news: Vec<String> = self.entries[self.read..].iter().map(line).collect();
        self.read = self.entries.len();
        news.join("\n")
    }
}

pub fn done() -> Outcome {
    Outcome::Done { facts: Box::new(Facts { value: Some(1.into()), rows: Some(1), ..Facts::default() }), verdict: None }
}

pub fn failed(effect: Effect) -> Outcome {
    let fault = Fault { effect, ..Fault::new("it said no") };
    Outcome::Failed { fault: Box::new(fault), facts: None, verdict: None }
}

pub fn unknown() -> Outcome {
    Outcome::Unknown { known: "nothing".into() }
}

/// An event in few words.
fn line(entry: &Entry) -> String {
    match &entry.event {
        Event::StepStarted { attempt, .. } => format!("start {}", name(attempt)),
        Event::StepEnded { attempt, outcome } => {
            let word = match outcome {
                Outcome::Done { .. } => "done".to_owned(),
                Outcome::Failed { fault, .. } => format!("failed: {}", fault.summary),
                Outcome::Broke { fault } => format!("broke: {}", fault.summary),
                Outcome::Unknown { .. } => "unknown".to_owned(),
            };
            format!("end {} {word}", name(attempt))
        }
        Event::StepSkipped { step, reason, .. } => format!("skip {step}: {reason}"),
        Event::PhaseEntered { phase } => format!("enter {phase}"),
        Event::PhaseLeft { phase, early } => format!("leave {phase}{}", if early.is_some() { " early" } else { "" }),
        Event::Held { cause, .. } => format!("held {}", serde_json::to_value(cause).unwrap()["why"].as_str().unwrap()),
        Event::Refused { what, why, .. } => format!("refused {what}: {why}"),
        Event::RollbackStarted { plan, steps, .. } => {
            let steps: Vec<&str> = steps.iter().map(|step| step.0.as_str()).collect();
            format!(
                "rollback {}[{}]",
                plan.as_deref().map(|plan| format!("{plan} ")).unwrap_or_default(),
                steps.join(" ")
            )
        }
        Event::RunEnded { end, .. } => format!("run {end:?}"),
        Event::TriggerFired { trigger, at_ms, .. } => match at_ms {
            Some(at) => format!("fired {trigger}, rolls back in {} s", (at - entry.at.ms) / 1000),
            None => format!("fired {trigger}"),
        },
        Event::Settled { attempt, claim, .. } => format!("settled {} {claim:?}", name(attempt)),
        Event::CriterionJudged { criterion, verdict, .. } => format!("criterion {criterion} {verdict:?}"),
        Event::Ticked { step, item, .. } => format!("tick {step} {}", item + 1),
        Event::Voted { step, role, go, .. } => format!("vote {step} {role} {}", if *go { "go" } else { "no-go" }),
        other => {
            let value = serde_json::to_value(other).unwrap();
            let kind = value["kind"].as_str().unwrap().replace('_', " ");
            match value["trigger"].as_str().or(value["attempt"]["step"].as_str()).or(value["phase"].as_str()) {
                Some(subject) => format!("{kind} {subject}"),
                None => kind,
            }
        }
    }
}

fn name(attempt: &Attempt) -> String {
    let undo = if attempt.direction == Direction::Undo { "undo of " } else { "" };
    format!("{undo}{}#{}", attempt.step, attempt.n)
}
