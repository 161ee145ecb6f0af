//! What each action does: a command, a question, or a move of the eyes.

use crossterm::event::{KeyCode, KeyEvent};

use super::dialog::field::{Field, Rule};
use super::dialog::form::{Form, Kind, name_field, sender};
use super::dialog::palette::Palette;
use super::dialog::{Dialog, body, editor};
use super::find;
use super::keymap::Action;
use super::message::{Link, Out, ReplayControl};
use super::model::{ENTER_GUARD_MS, Mode, Model, Pane};
use super::moves;
use super::pace;
use super::table;
use super::theme::Ink;
use super::view;
use super::view::next::{self, Enter};
use crate::run::event::HoldCause;
use crate::run::{Command, CommandVerb, clean};
use crate::runbook::{StepId, Verb};

/// Does an action that is on offer.
pub fn act(model: &mut Model, action: Action, key: &KeyEvent) -> Option<Out> {
    match action {
        Action::Enter => enter(model),
        Action::Tick => tick(model),
        Action::Go => vote(model, true),
        Action::NoGo => vote(model, false),
        Action::Retry => with_step(model, Kind::Retry),
        Action::Fix => with_step(model, Kind::Fix),
        Action::Skip => ask_step(model, Kind::Skip, "reason"),
        Action::Cancel if view::shown_in_doubt(model) => leftover(model),
        Action::Cancel => with_attempt(model, Kind::Cancel, false),
        Action::Settle => with_attempt(model, Kind::Settle, true),
        Action::SignOff => sign_off(model),
        Action::TakeOver => take_over(model),
        Action::StopCountdown => Some(send(model, CommandVerb::StopCountdown)),
        Action::Rollback => rollback(model),
        Action::Hold => hold(model),
        Action::Auto => auto(model),
        Action::EditSql => edit(model),
        Action::Bigger | Action::Smaller | Action::Retune => pace::act(model, action),
        Action::Note => note(model),
        Action::Abandon => {
            let mut fields = vec![Field::new("reason", Rule::Required)];
            if model.is_protected() {
                fields.push(name_field(model));
            }
            open(model, Kind::Abandon, Vec::new(), fields)
        }
        Action::Copy => copy(model),
        Action::Save => save(model),
        Action::Quit => quit(model),
        Action::Palette => show(model, Dialog::Palette(Box::new(Palette::new()))),
        Action::Help => show(model, Dialog::Help { top: 0 }),
        Action::Search => show(model, Dialog::Search(Box::new(Field::new("find", Rule::Free)))),
        Action::PlayPause
        | Action::StepBack
        | Action::StepOn
        | Action::Slower
        | Action::Faster
        | Action::NextFailure
        | Action::NextTrigger
        | Action::ToNote
        | Action::SeekTenth
        | Action::SeekStart
        | Action::SeekEnd => replay(model, action, key),
        Action::NextMatch => find::jump(model, true, false),
        Action::PrevMatch => find::jump(model, false, false),
        _ => moves::go(model, action),
    }
}

fn show(model: &mut Model, dialog: Dialog) -> Option<Out> {
    model.dialog = Some(dialog);
    None
}

pub(super) fn open(model: &mut Model, kind: Kind, choices: Vec<String>, fields: Vec<Field>) -> Option<Out> {
    let form = Form::new(model, kind, choices, fields);
    show(model, Dialog::Form(Box::new(form)))
}

pub(super) fn send(model: &Model, verb: CommandVerb) -> Out {
    Out::Send(Command { by: sender(model), seen: model.drawn, verb })
}

/// Puts a step on the screen.
pub fn select(model: &mut Model, step: StepId) {
    model.selected = (view::current(model).as_ref() != Some(&step)).then_some(step);
    model.item = None;
    model.column = 0;
    for pane in [Pane::Phases, Pane::Step, Pane::Result] {
        model.scroll.remove(&pane);
    }
}

/// Enter starts what is on the screen, and only that; held down, it starts one thing.
fn enter(model: &mut Model) -> Option<Out> {
    let now = model.now.ms;
    let last = model.last_enter_ms.replace(now);
    let repeats = last.is_some_and(|last| now.saturating_sub(last) < ENTER_GUARD_MS);
    let turned = model.turned_ms > 0 && now.saturating_sub(model.turned_ms) < ENTER_GUARD_MS;
    match next::enter(model) {
        Enter::Return(step) => select(model, step),
        Enter::Tick(..) if repeats => {}
        Enter::Tick(..) => return tick(model),
        Enter::Nothing => {}
        _ if repeats || turned => {
            model.tell(Ink::Warn, "too quick: the screen had just changed. Look, then press Enter again");
        }
        Enter::Consent => {
            let fields = vec![name_field(model)];
            return open(model, Kind::Consent, Vec::new(), fields);
        }
        Enter::Start(_) if model.sent.is_some() => model.tell(Ink::Active, "sent already, waiting for the engine"),
        Enter::Start(step) => return Some(send(model, CommandVerb::Start { step })),
    }
    None
}

fn tick(model: &mut Model) -> Option<Out> {
    let (step, run) = view::human(model)?;
    let Verb::Checklist(items) = &step.verb else {
        return None;
    };
    let item = view::item(model)?;
    let wants_answer = items.get(item)?.answer_required;
    let id = step.id.clone();
    if run.ticks.contains_key(&item) {
        return Some(send(model, CommandVerb::Untick { step: id, item }));
    }
    if wants_answer {
        let fields = vec![Field::new("answer", Rule::Required)];
        return open(model, Kind::Answer { step: id, item }, Vec::new(), fields);
    }
    // The choice moves on to the next open line.
    model.item = None;
    Some(send(model, CommandVerb::Tick { step: id, item, answer: None }))
}

fn vote(model: &mut Model, go: bool) -> Option<Out> {
    let (step, _) = view::human(model)?;
    let Verb::Poll(roles) = &step.verb else {
        return None;
    };
    let role = roles.get(view::item(model)?)?.clone();
    let step = step.id.clone();
    let field = match go {
        true => Field::new("remark", Rule::Optional),
        false => Field::new("reason", Rule::Required),
    };
    open(model, Kind::Vote { step, role, go }, Vec::new(), vec![field])
}

fn with_step(model: &mut Model, kind: fn(StepId) -> Kind) -> Option<Out> {
    let step = view::shown(model)?;
    open(model, kind(step), Vec::new(), Vec::new())
}

fn ask_step(model: &mut Model, kind: fn(StepId) -> Kind, label: &str) -> Option<Out> {
    let step = view::shown(model)?;
    open(model, kind(step), Vec::new(), vec![Field::new(label, Rule::Required)])
}

fn with_attempt(model: &mut Model, kind: fn(crate::run::Attempt) -> Kind, settle: bool) -> Option<Out> {
    let (_, run) = view::shown_step(model)?;
    let attempt = run?.attempt.clone()?;
    let (choices, fields) = match settle {
        true => (
            vec!["it did NOT happen".to_owned(), "it happened: it is done".to_owned()],
            vec![Field::new("how do you know", Rule::Required)],
        ),
        false => (Vec::new(), Vec::new()),
    };
    open(model, kind(attempt), choices, fields)
}

/// What the server still does for an attempt in doubt.
fn leftover(model: &mut Model) -> Option<Out> {
    let (_, run) = view::shown_step(model)?;
    let attempt = run?.attempt.clone()?;
    let choices = vec!["cancel the statement that runs".to_owned(), "end the session itself".to_owned()];
    open(model, Kind::Leftover(attempt), choices, Vec::new())
}

fn sign_off(model: &mut Model) -> Option<Out> {
    let phase = view::phase(model)?.id.clone();
    open(model, Kind::SignOff(phase), Vec::new(), vec![Field::new("reason", Rule::Required)])
}

fn take_over(model: &mut Model) -> Option<Out> {
    let HoldCause::Owned { target, .. } = &model.state.hold.as_ref()?.cause else { return None };
    let database = model.state.targets.get(target)?.fingerprint.as_ref()?.database.clone();
    let fields = vec![Field::new("database name", Rule::Exactly(database))];
    let kind = Kind::TakeOver(target.clone());
    open(model, kind, Vec::new(), fields)
}

fn rollback(model: &mut Model) -> Option<Out> {
    let mut fields = vec![Field::new("reason", Rule::Required)];
    if model.is_protected() {
        fields.push(name_field(model));
    }
    let choices = body::ways(model);
    open(model, Kind::Rollback, choices, fields)
}

/// Holding is safe, and may have to be quick: it asks nothing. Going on asks.
fn hold(model: &mut Model) -> Option<Out> {
    if model.state.hold.is_some() {
        return open(model, Kind::Release, Vec::new(), Vec::new());
    }
    Some(send(model, CommandVerb::Hold { reason: String::new() }))
}

fn auto(model: &mut Model) -> Option<Out> {
    if model.state.auto {
        return Some(send(model, CommandVerb::SetAdvance { auto: false }));
    }
    open(model, Kind::AutoOn, Vec::new(), Vec::new())
}

fn edit(model: &mut Model) -> Option<Out> {
    let (step, run) = view::shown_step(model)?;
    let Verb::Sql(script) = &step.verb else {
        return None;
    };
    let text = run.and_then(|run| run.edited.clone()).unwrap_or_else(|| script.text.clone());
    let id = step.id.clone();
    match editor::Editor::new(model, editor::Kind::Sql(id), &text) {
        Ok(editor) => show(model, Dialog::Editor(Box::new(editor))),
        Err(why) => {
            model.tell(Ink::Bad, why);
            None
        }
    }
}

fn note(model: &mut Model) -> Option<Out> {
    let step = view::current(model);
    let editor = editor::Editor::new(model, editor::Kind::Note(step), "").ok()?;
    show(model, Dialog::Editor(Box::new(editor)))
}

/// What the pane shows, as text without frames.
fn copy(model: &mut Model) -> Option<Out> {
    let pane = view::focus(model);
    let area = super::layout::areas(model, find::screen(model)).pane(pane);
    let text = match view::shown_step(model) {
        Some((_, Some(run))) if pane == Pane::Result && !run.output.lines.is_empty() => {
            lines_of(&table::lines(&run.output, usize::from(u16::MAX), 0, model.look))
        }
        _ => lines_of(&super::pane::sheet(model, pane, area).lines),
    };
    model.copied(text.lines().count());
    Some(Out::Copy(text))
}

fn lines_of(lines: &[ratatui::text::Line<'static>]) -> String {
    let lines: Vec<String> = lines.iter().map(|line| line.to_string().trim_end().to_owned()).collect();
    lines.join("\n")
}

fn save(model: &mut Model) -> Option<Out> {
    let (step, run) = view::shown_step(model)?;
    let output = &run?.output;
    let (text, end) = match table::csv(output) {
        Some(csv) => (csv, "csv"),
        None => (lines_of(&table::lines(output, usize::from(u16::MAX), 0, model.look)), "txt"),
    };
    let safe =
        |text: &str| -> String { text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect() };
    let path = format!("{}-{}.{end}", safe(&step.id.0), safe(&next::run_id(model)));
    open(model, Kind::Save(text), Vec::new(), vec![Field::with_text("file", Rule::Required, &path)])
}

/// Only a screen that drives a living run has something to decide; others just go.
fn quit(model: &mut Model) -> Option<Out> {
    let drives = matches!(model.mode, Mode::Live { writes: true, .. });
    if !drives || model.link != Link::Up || model.state.ended.is_some() {
        return Some(Out::Quit(None));
    }
    let mut choices = vec!["leave the run going, only this screen goes away".to_owned(), "stay".to_owned()];
    if !view::machine_at_work(model) {
        choices.insert(1, "hold the run and stop its engine; gonogo resume goes on".to_owned());
    }
    open(model, Kind::Quit, choices, Vec::new())
}

fn replay(model: &mut Model, action: Action, key: &KeyEvent) -> Option<Out> {
    let Mode::Replay { status, .. } = &model.mode else {
        return None;
    };
    let control = match action {
        Action::PlayPause => ReplayControl::Toggle,
        Action::StepBack => ReplayControl::StepEvents(-1),
        Action::StepOn => ReplayControl::StepEvents(1),
        Action::Slower => ReplayControl::Speed(speed(status.speed, false)),
        Action::Faster => ReplayControl::Speed(speed(status.speed, true)),
        Action::NextFailure => ReplayControl::NextFailure,
        Action::NextTrigger => ReplayControl::NextTrigger,
        Action::ToNote => ReplayControl::NextNote,
        Action::SeekStart => ReplayControl::SeekFraction(0.0),
        Action::SeekEnd => ReplayControl::SeekFraction(1.0),
        _ => match key.code {
            KeyCode::Char(c) => ReplayControl::SeekFraction(f64::from(c.to_digit(10)?) / 10.0),
            _ => return None,
        },
    };
    Some(Out::Replay(control))
}

/// The next speed on the dial.
fn speed(now: f64, faster: bool) -> f64 {
    const DIAL: [f64; 10] = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0];
    let next = match faster {
        true => DIAL.iter().copied().find(|speed| *speed > now),
        false => DIAL.iter().copied().rev().find(|speed| *speed < now),
    };
    next.unwrap_or(if faster { 1000.0 } else { 1.0 })
}

/// What was sent, in a few words, for the time until the engine answers.
pub fn sent_words(model: &Model, verb: &CommandVerb) -> String {
    let name = |id: &StepId| {
        model.runbook.step(id).map_or_else(|| clean::line(&id.0, 60), |step| clean::line(view::title(step), 60))
    };
    match verb {
        CommandVerb::Confirm { .. } => "confirmation".to_owned(),
        CommandVerb::Start { step } => format!("start of {}", name(step)),
        CommandVerb::Retry { step } => format!("retry of {}", name(step)),
        CommandVerb::Fix { step } => format!("fix and retry of {}", name(step)),
        CommandVerb::Skip { step, .. } => format!("skip of {}", name(step)),
        CommandVerb::Cancel { .. } | CommandVerb::CancelLeftover { .. } => "cancel".to_owned(),
        CommandVerb::Settle { .. } => "settlement".to_owned(),
        CommandVerb::Tick { .. } | CommandVerb::Untick { .. } => "tick".to_owned(),
        CommandVerb::Vote { .. } => "vote".to_owned(),
        CommandVerb::EditSql { step, .. } => format!("edited SQL of {}", name(step)),
        CommandVerb::Retune { .. } => "new pace".to_owned(),
        CommandVerb::SignOff { .. } => "sign-off".to_owned(),
        CommandVerb::Hold { .. } => "hold".to_owned(),
        CommandVerb::Release => "continue".to_owned(),
        CommandVerb::TakeOver { .. } => "take-over".to_owned(),
        CommandVerb::SetAdvance { .. } => "auto-advance".to_owned(),
        CommandVerb::Rollback { .. } => "rollback".to_owned(),
        CommandVerb::StopCountdown => "stop of the countdown".to_owned(),
        CommandVerb::Note { .. } => "note".to_owned(),
        CommandVerb::Quit { .. } => "letting go of the run".to_owned(),
        CommandVerb::Abandon { .. } => "giving the run up".to_owned(),
    }
}
