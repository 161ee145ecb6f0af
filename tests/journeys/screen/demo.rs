//! The demo as somebody sees it who starts gonogo for the first time: by keys, all going well.

use gonogo::run::Event;
use gonogo::run::event::End;
use gonogo::runbook::{Runbook, Step};

use super::{Operator, Scene};

pub fn book() -> Runbook {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("runbooks/demo");
    gonogo::runbook::load(&folder, &Default::default()).unwrap()
}

pub fn step<'a>(book: &'a Runbook, id: &str) -> &'a Step {
    book.step(&id.into()).unwrap()
}

#[test]
fn by_keys_to_its_end() {
    let (scene, book) = (Scene::new(), book());
    let mut screen = scene.open(&["demo", "--set", "watch=3s"]);
    screen.shows("Enter starts: Count the orders");
    assert!(screen.in_alternate_screen());
    for words in ["Demo: give orders a currency", "DEMO LIVE", "window ends in", "last safe rollback in"] {
        screen.shows(words);
    }
    for words in ["Phases", "Signals", "Log", "Error rate", "Orders taken", "errors-high", "select count(*) as orders"]
    {
        screen.shows(words);
    }
    screen.start(&scene, "orders-before");
    screen.shows("Enter starts: Let the metrics settle");
    screen.start(&scene, "settle");
    screen.shows("running: Let the metrics settle");
    screen.shows("The service is taking orders (see Signals)");
    screen.tick(&scene, step(&book, "ready"), "");
    screen.go(&scene, &book, step(&book, "go"));
    screen.shows("Enter starts: Add orders.currency");
    screen.start(&scene, "add-currency");
    screen.shows("Enter starts: Index by currency");
    screen.start(&scene, "index-currency");
    screen.shows("watching for");
    screen.shows("DONE");
    screen.shows("No order was lost");
    assert_eq!(screen.leave(), 0);
    assert!(screen.is_given_back());
    screen.shows("is over, done: every step done");
    assert_eq!(scene.ended(), Some(End::Done));
    let skipped = scene.until("the mistake left out", |event| matches!(event, Event::StepSkipped { .. }));
    assert!(matches!(skipped.event, Event::StepSkipped { step, .. } if step.0 == "rename-amount"));
}
