//! A masked column on the screen and in the replay: the row is there, the value is not.

use gonogo::run::event::End;
use support::headless::Desk;

use super::{Operator, Scene};

#[test]
fn a_masked_value_is_on_no_screen() {
    let desk = Desk::new(env!("CARGO_BIN_EXE_gonogo"));
    let url = format!("sqlite:{}?mode=rwc", desk.path("app.db").display());
    let desk = desk.with("DB", url);
    // Built in SQL, so that the value stands in no text of the runbook.
    let text = "format = 1\nid = \"window\"\ntitle = \"A window\"\n[environments.test]\ntargets.main = \"env:DB\"\n\
                mask = [\"ip\"]\n[[phase]]\nid = \"verify\"\n[[phase.step]]\nid = \"look\"\ntitle = \"Look\"\n\
                sql = \"select 7 as id, upper('ada') || '@' as email, upper('ff') || '::1' as ip\"\nmask = [\"email\"]\n\
                expect = \"row.email == 'ADA' + '@'\"\n";
    desk.write("book/runbook.toml", text);
    let scene = Scene::at(desk);
    let mut screen = scene.open(&["run", "book"]);
    screen.shows("masks: email, ip");
    screen.start(&scene, "look");
    screen.shows("the run is over");
    assert!(!screen.has("ADA@") && !screen.has("FF::1"));
    assert_eq!(screen.leave(), 0);
    assert_eq!(scene.ended(), Some(End::Done), "the true value was judged");
    let mut replay = scene.open(&["replay", "last"]);
    replay.keys("G");
    replay.shows("the run is over");
    replay.keys("\x1b[A");
    replay.shows("7 │ ‹masked› │ ‹masked›");
    replay.shows("row.email = \"‹masked›\"");
    assert!(!replay.has("ADA@") && !replay.has("FF::1"));
    let journal = serde_json::to_string(&scene.entries()).unwrap();
    assert!(!journal.contains("ADA@") && !journal.contains("FF::1"));
}
