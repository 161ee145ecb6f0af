//! A command whose shim is gone without a word of its end: everything that is still known of it, for the person who decides.

use std::time::SystemTime;

use super::show::floor;
use crate::child::Tail;
use crate::child::shim::{Follower, Place, Started, Which};

/// Bytes of the last output that are told.
const SAID: usize = 300;

/// In words: what became of the shim, whether anything of the command still runs, and what it said last.
pub fn words(place: &Place, started: &Started) -> String {
    let shim = match started.same_boot() {
        true => "its shim is gone without a word of the end".to_owned(),
        false => "the machine was started again since, and its shim left no word of the end".to_owned(),
    };
    let said = last_words(place).map_or("it had said nothing".to_owned(), |said| format!("it said last: {said}"));
    format!("{shim}; {}; its exit is not known; {said}", of_process(place, started))
}

/// What runs of an attempt that is not over, in words.
pub fn process(place: &Place) -> String {
    match place.started() {
        Ok(Some(started)) => of_process(place, &started),
        _ => "it is just being started".to_owned(),
    }
}

fn of_process(place: &Place, started: &Started) -> String {
    let Some(child) = started.child else {
        return "it was about to be started, and no process of it was noted: it may or may not have begun".to_owned();
    };
    let age = place.since().and_then(|since| SystemTime::now().duration_since(since).ok()).unwrap_or_default();
    match started.lives() {
        true => format!("its process {} (or one of its session) still runs, since {} s", child.pid, age.as_secs()),
        false => format!("its process {} is gone", child.pid),
    }
}

/// The end of what it said on stderr, else on stdout, in one line.
fn last_words(place: &Place) -> Option<String> {
    let (mut out, mut err) = (Tail::new(SAID), Tail::new(SAID));
    let mut follower = Follower::new(place);
    while let Ok(Some((which, piece))) = follower.piece() {
        match which {
            Which::Out => out.push(&piece),
            Which::Err => err.push(&piece),
        }
    }
    for (which, tail) in [(Which::Out, &mut out), (Which::Err, &mut err)] {
        tail.push(&follower.rest(which).unwrap_or_default().bytes);
    }
    let said = [err, out].map(|tail| tail.text().split_whitespace().collect::<Vec<_>>().join(" "));
    said.into_iter().find(|said| !said.is_empty()).map(|said| format!("“{}”", &said[..floor(&said, SAID)]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::child::proc;
    use crate::child::shim::Proc;

    #[test]
    fn says_what_became_of_it() {
        let dir = tempfile::tempdir().expect("a folder");
        let place = Place::of(&dir.path().join("attempts"), "a.forward.1");
        place.create().expect("made");
        let us = Proc::of(std::process::id());
        let started = Started { boot: proc::boot_id(), shim: us, child: Some(us) };
        place.write_started(&started).expect("written");
        let words = words(&place, &started);
        assert!(words.starts_with("its shim is gone without a word of the end; its process "), "{words}");
        assert!(words.contains(" still runs, since 0 s; its exit is not known; it had said nothing"), "{words}");
        let rebooted = Started { boot: "another boot".to_owned(), ..started.clone() };
        let words = super::words(&place, &rebooted);
        assert!(words.starts_with("the machine was started again since"), "{words}");
        assert!(words.contains(&format!("its process {} is gone", us.pid)), "{words}");
        let words = super::words(&place, &Started { child: None, ..started });
        assert!(words.contains("it may or may not have begun"), "{words}");
    }
}
