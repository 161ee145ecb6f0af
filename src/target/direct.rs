//! Statements that run each by itself: what the database shows of their effect, and what that means before they run, after
//! a failure, and where nobody saw the end. The same for every kind of database.

use super::words::NOTHING_SENT;
use crate::run::Fault;
use crate::run::answers;
use crate::run::event::Direct;
use crate::run::facts::Effect;

/// What is to be seen of one statement's effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sight {
    /// Present and complete. `harmless`: running the statement all the same changes nothing more.
    Present {
        what: String,
        harmless: bool,
    },
    Absent(String),
    /// Half of it. `cleanup`: what clears it away; empty where the statement itself does, run again.
    Residue {
        what: String,
        cleanup: Vec<String>,
    },
    /// Somebody else works on it.
    Busy(String),
    /// Something else is in its place, or it cannot be told from something else.
    Other(String),
    /// The statement leaves nothing behind.
    Passing,
    /// Nothing is known of the traces of such a statement; its first words.
    Untraced(String),
}

/// What became of statements outside of a transaction, by what the database shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ruling {
    /// All of it happened; how that is known.
    Done(String),
    /// Nothing of it is there.
    NotDone(String),
    /// Some of it is there. `cleanup`: SQL that clears the broken part away before another try.
    Part { what: String, cleanup: Vec<String> },
    /// Not decided; why.
    Open(String),
}

/// Statements that may go, before they do.
#[derive(Debug, Default)]
pub(super) struct Ready {
    /// What is there already of a retry's first statements: they are left out.
    pub done: Vec<String>,
}

/// What the sights of all statements, in their order, say together; `answer`: of the runbook's own probe.
pub(super) fn rule(sights: &[Sight], direct: &Direct, answer: Option<bool>) -> Ruling {
    let own = of_sights(sights);
    let cleanup = own_cleanup(direct);
    let ruling = match (answer, own) {
        (None, own) => own,
        (Some(true), _) => return Ruling::Done("the step's probe says that it is there".to_owned()),
        (Some(false), Ruling::Done(what)) => {
            let what = format!("the step's probe says no, although {what}");
            Ruling::Part { what, cleanup: Vec::new() }
        }
        (Some(false), Ruling::Open(_)) if !sights.iter().any(|sight| matches!(sight, Sight::Busy(_))) => {
            Ruling::Part { what: "the step's probe says that it is not complete".to_owned(), cleanup: Vec::new() }
        }
        (Some(false), own) => own,
    };
    match ruling {
        Ruling::Part { what, .. } if !cleanup.is_empty() => Ruling::Part { what, cleanup },
        ruling => ruling,
    }
}

/// The step's own way to clear away.
pub(super) fn own_cleanup(direct: &Direct) -> Vec<String> {
    direct.cleanup.iter().map(|statement| statement.sql.clone()).collect()
}

fn of_sights(sights: &[Sight]) -> Ruling {
    let mut done = Vec::new();
    let mut not = Vec::new();
    let mut broken = None;
    for sight in sights {
        match sight {
            Sight::Passing => {}
            Sight::Untraced(what) => return Ruling::Open(format!("nothing is known of the traces of {what}")),
            Sight::Busy(what) | Sight::Other(what) => return Ruling::Open(what.clone()),
            Sight::Present { .. } if broken.is_some() || !not.is_empty() => {
                return Ruling::Open("a later statement is done, an earlier one is not".to_owned());
            }
            Sight::Present { what, .. } => done.push(what.as_str()),
            Sight::Residue { .. } if broken.is_some() || !not.is_empty() => {
                return Ruling::Open("a later statement has begun, an earlier one is not done".to_owned());
            }
            Sight::Residue { what, cleanup } => broken = Some((what, cleanup)),
            Sight::Absent(what) => not.push(what.as_str()),
        }
    }
    let whole = done.len() + not.len() + usize::from(broken.is_some());
    let first =
        if done.is_empty() { String::new() } else { format!("{} of {whole} done: {}; ", done.len(), done.join(", ")) };
    match (broken, not.first()) {
        (Some((what, cleanup)), _) => Ruling::Part { what: format!("{first}{what}"), cleanup: cleanup.clone() },
        (None, Some(next)) if !done.is_empty() => Ruling::Part { what: format!("{first}{next}"), cleanup: Vec::new() },
        (None, Some(_)) => Ruling::NotDone(not.join(", ")),
        (None, None) if done.is_empty() => Ruling::Open("its statements leave nothing behind".to_owned()),
        (None, None) => Ruling::Done(done.join(", ")),
    }
}

/// Whether statements may be sent. `again`: an earlier attempt of the same step may have done the first of them.
pub(super) fn may_go(
    sights: &[Sight],
    direct: &Direct,
    answer: Option<bool>,
    again: bool,
) -> Result<Ready, Box<Fault>> {
    if answer == Some(true) {
        return Err(there("its probe says that the effect is present and complete"));
    }
    let lasting: Vec<&Sight> = sights.iter().filter(|sight| !matches!(sight, Sight::Passing)).collect();
    let is_done = |sight: &&&Sight| matches!(sight, Sight::Present { harmless: false, .. });
    let first: Vec<String> = lasting.iter().take_while(is_done).map(|sight| words(sight)).collect();
    let leave_out = again && first.len() < lasting.len();
    for sight in lasting.iter().skip(if leave_out { first.len() } else { 0 }) {
        match sight {
            Sight::Present { what, harmless: false } => return Err(there(what)),
            Sight::Other(what) => return Err(in_the_way(what)),
            Sight::Busy(what) => return Err(busy(what)),
            Sight::Residue { what, cleanup } if !cleanup.is_empty() && direct.cleaning == 0 => {
                return Err(residue(what, cleanup, direct));
            }
            _ => {}
        }
    }
    Ok(Ready { done: if leave_out { first } else { Vec::new() } })
}

fn words(sight: &Sight) -> String {
    match sight {
        Sight::Present { what, .. } | Sight::Residue { what, .. } => what.clone(),
        Sight::Absent(what) | Sight::Busy(what) | Sight::Other(what) | Sight::Untraced(what) => what.clone(),
        Sight::Passing => String::new(),
    }
}

fn stopped(summary: String, hint: &str) -> Fault {
    Fault { hint: Some(hint.to_owned()), safe: NOTHING_SENT.to_owned(), ..Fault::new(summary) }
}

fn there(what: &str) -> Box<Fault> {
    Box::new(stopped(format!("already there: {what}"), "skip the step, or undo it first and try again"))
}

fn in_the_way(what: &str) -> Box<Fault> {
    let hint = "look whether it is what the step is to make: then skip the step; else remove or rename it";
    Box::new(stopped(format!("something is in the way: {what}"), hint))
}

fn busy(what: &str) -> Box<Fault> {
    Box::new(stopped(what.to_owned(), "wait until that is over, then try again"))
}

fn residue(what: &str, cleanup: &[String], direct: &Direct) -> Box<Fault> {
    let own = own_cleanup(direct);
    let residue = if own.is_empty() { cleanup.to_vec() } else { own };
    let hint = format!("a retry clears it away first: {}", residue.join("; "));
    Box::new(Fault { residue, ..stopped(format!("left by an earlier try: {what}"), &hint) })
}

/// What a failure of the statements left, told by what the database shows.
pub(super) fn refine(fault: &mut Fault, ruling: Ruling) {
    match ruling {
        Ruling::NotDone(what) => {
            fault.effect = Effect::None;
            fault.safe = format!("nothing of it is left: {what}");
        }
        Ruling::Done(what) => {
            fault.effect = Effect::Possible;
            fault.safe = format!("it is there all the same: {what}. Look before you try again");
        }
        Ruling::Part { what, cleanup } => {
            fault.effect = Effect::Possible;
            fault.safe = left(&what, &cleanup);
            fault.residue = cleanup;
        }
        Ruling::Open(_) => {}
    }
}

/// What part of it is there, and what a retry does about it.
pub fn left(what: &str, cleanup: &[String]) -> String {
    match cleanup {
        [] => format!("{what}; a retry goes on from there"),
        cleanup => format!("{what}; a retry clears that away first: {}", cleanup.join("; ")),
    }
}

/// A probe's answer; an error says what it was instead.
pub(super) fn truth(answer: &str) -> Result<bool, String> {
    match answer {
        "t" | "true" | "1" => Ok(true),
        "f" | "false" | "0" => Ok(false),
        other => Err(answers::TRUTH.told(other)),
    }
}

/// A step's probe that could not be asked before the step ran.
pub(super) fn unasked(why: &str) -> Fault {
    let hint = "mend the probe, or leave it out: without it nobody could say later whether the step happened";
    stopped(format!("the step's probe cannot be asked: {why}"), hint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::event::Statement;

    fn present(what: &str) -> Sight {
        Sight::Present { what: what.to_owned(), harmless: false }
    }

    fn absent(what: &str) -> Sight {
        Sight::Absent(what.to_owned())
    }

    fn broken(what: &str) -> Sight {
        Sight::Residue { what: what.to_owned(), cleanup: vec![format!("drop {what}")] }
    }

    fn part(what: &str, cleanup: &[&str]) -> Ruling {
        Ruling::Part { what: what.to_owned(), cleanup: cleanup.iter().map(|one| (*one).to_owned()).collect() }
    }

    #[test]
    fn several_statements_are_decided_in_their_order() {
        let none = Direct::default();
        let rule = |sights: &[Sight]| rule(sights, &none, None);
        assert_eq!(rule(&[present("a"), Sight::Passing, present("b")]), Ruling::Done("a, b".to_owned()));
        assert_eq!(rule(&[absent("a"), absent("b")]), Ruling::NotDone("a, b".to_owned()));
        assert_eq!(rule(&[present("a"), absent("no b")]), part("1 of 2 done: a; no b", &[]));
        assert_eq!(rule(&[present("a"), broken("b"), absent("c")]), part("1 of 3 done: a; b", &["drop b"]));
        for open in [
            &[absent("a"), present("b")][..],
            &[absent("a"), broken("b")],
            &[present("a"), Sight::Untraced("x".to_owned())],
            &[Sight::Passing],
            &[Sight::Busy("x".to_owned())],
        ] {
            assert!(matches!(rule(open), Ruling::Open(_)), "{open:?}");
        }
    }

    #[test]
    fn the_runbooks_own_probe_and_cleanup_come_first() {
        let cleanup = vec![Statement { sql: "truncate t".to_owned(), line: 1 }];
        let own = Direct { question: Some("select true".to_owned()), cleanup, ..Direct::default() };
        let untraced = [Sight::Untraced("x".to_owned())];
        assert!(matches!(rule(&untraced, &own, Some(true)), Ruling::Done(_)));
        assert_eq!(
            rule(&untraced, &own, Some(false)),
            part("the step's probe says that it is not complete", &["truncate t"])
        );
        assert_eq!(rule(&[broken("b")], &own, Some(false)), part("b", &["truncate t"]));
        assert_eq!(rule(&[absent("b")], &own, Some(false)), Ruling::NotDone("b".to_owned()));
        assert!(matches!(rule(&[Sight::Busy("x".to_owned())], &own, Some(false)), Ruling::Open(_)));
    }

    #[test]
    fn what_is_there_already_is_not_done_again() {
        let none = Direct::default();
        let fault = may_go(&[present("a")], &none, None, true).unwrap_err();
        assert_eq!((fault.summary.as_str(), fault.effect), ("already there: a", Effect::None));
        assert!(may_go(&[present("a"), absent("b")], &none, None, false).is_err());
        assert_eq!(may_go(&[present("a"), absent("b")], &none, None, true).unwrap().done, ["a"]);
        let harmless = Sight::Present { what: "a".to_owned(), harmless: true };
        assert!(may_go(&[harmless], &none, None, false).unwrap().done.is_empty());
        assert_eq!(may_go(&[broken("b")], &none, None, true).unwrap_err().residue, ["drop b"]);
        assert!(may_go(&[broken("b")], &Direct { cleaning: 1, ..none.clone() }, None, true).is_ok());
        assert!(may_go(&[absent("a")], &none, Some(true), false).is_err());
        assert_eq!(truth("t"), Ok(true));
        assert!(truth("maybe").is_err());
    }
}
