//! Every command that a runbook starts, and the lines that those commands hand to another shell.

use super::words::{Cmd, Tok, argv, parse, tame};
use crate::lint::desk::{Act, Desk, Spot};
use crate::lint::finding::Subject;
use crate::lint::rule::Rule;
use crate::runbook::{Notify, ProbeSource, Seg, Verb};

/// A line of commands.
pub struct Line<'b> {
    pub cmds: Vec<Cmd>,
    /// True where a failing command ends the line and a pipe fails with any of its parts, as in `shell`.
    pub strict: bool,
    pub spot: Spot,
    pub subject: Subject,
    /// The step it belongs to; none: a probe.
    pub act: Option<&'b Act<'b>>,
    /// The whole text.
    pub text: String,
}

impl Line<'_> {
    pub fn note(&self, desk: &Desk<'_>, rule: &'static Rule, cmd: &Cmd, message: impl Into<String>) {
        let arg = cmd.words.first().and_then(|word| word.arg);
        let at = Tok { text: String::new(), at: cmd.span(), arg };
        // An argv is pointed at by its program.
        let at = if cmd.words.iter().any(|word| word.arg != arg) { cmd.words.first().unwrap_or(&at) } else { &at };
        self.note_word(desk, rule, at, message);
    }

    pub fn note_word(&self, desk: &Desk<'_>, rule: &'static Rule, word: &Tok, message: impl Into<String>) {
        let mut spot = self.spot.part(word.at.clone());
        spot.path.extend(word.arg.map(Seg::Nth));
        desk.note(rule, &self.subject, &spot, message);
    }

    /// True where the step's expectation looks at what was printed.
    pub fn output_is_judged(&self) -> bool {
        let expect = self.act.and_then(|act| act.step.expect.as_ref());
        expect.is_some_and(|expect| expect.source.contains("stdout") || expect.source.contains("stderr"))
    }
}

pub fn gather<'b>(desk: &'b Desk<'b>) -> Vec<Line<'b>> {
    let mut all = Vec::new();
    for act in &desk.acts {
        let line = |cmds, strict, spot, text: String| Line {
            cmds,
            strict,
            spot,
            subject: act.subject(),
            act: Some(act),
            text,
        };
        match &act.step.verb {
            Verb::Shell(text) => add(line(parse(&tame(text), 0, None), true, act.verb(), text.clone()), &mut all),
            Verb::Run(args) => add(line(vec![argv(args)], true, act.verb(), args.join(" ")), &mut all),
            Verb::Notify(Notify::Command { argv: args, .. }) => {
                let mut spot = act.verb();
                spot.path.push(Seg::Key("command"));
                add(line(vec![argv(args)], true, spot, args.join(" ")), &mut all);
            }
            _ => {}
        }
    }
    for (n, probe) in desk.book.probes.iter().enumerate() {
        let ProbeSource::Run { argv: args } = &probe.source else { continue };
        let spot = desk.spot(&[Seg::Key("probe"), Seg::Nth(n)], "run");
        let subject = Subject { probe: Some(probe.id.clone()), ..Subject::default() };
        add(Line { cmds: vec![argv(args)], strict: true, spot, subject, act: None, text: args.join(" ") }, &mut all);
    }
    all
}

/// Adds a line, and those inside it: `bash -c '…'`, `ssh host '…'`.
fn add<'b>(line: Line<'b>, all: &mut Vec<Line<'b>>) {
    let inner: Vec<Line<'b>> = line.cmds.iter().filter_map(|cmd| handed_on(&line, cmd)).collect();
    all.push(line);
    inner.into_iter().for_each(|line| add(line, all));
}

fn handed_on<'b>(line: &Line<'b>, cmd: &Cmd) -> Option<Line<'b>> {
    let word = match cmd.program().0 {
        "sh" | "bash" | "dash" | "zsh" | "ksh" => {
            let flag = cmd.args().iter().position(|word| word.text.starts_with('-') && word.text.ends_with('c'))?;
            cmd.args().get(flag + 1)?
        }
        // Of several words behind the host the last one is taken: quotes keep a line together.
        "ssh" => cmd.args().last().filter(|word| word.text.contains(' '))?,
        _ => return None,
    };
    let quote = usize::from(word.arg.is_none() && word.at.len() > word.text.len());
    Some(Line {
        cmds: parse(&word.text, word.at.start + quote, word.arg),
        strict: word.text.contains("pipefail") && word.text.contains("set -"),
        spot: line.spot.clone(),
        subject: line.subject.clone(),
        act: line.act,
        text: word.text.clone(),
    })
}
