//! Pictures of the main states at the sizes people have.

use super::script::{Script, screen, shot};

#[test]
fn peek() {
    for (w, h) in [(120, 36), (80, 24), (200, 60)] {
        let mut s = Script::on("production");
        println!("{}\n", shot(&screen(&s, (w, h))));
        s.m011_done();
        println!("{}\n", shot(&screen(&s, (w, h))));
    }
    let all: [(&str, fn(&mut Script) -> &mut Script); 7] = [
        ("failed", Script::m011_failed),
        ("running", Script::m011_running),
        ("fired", Script::fired),
        ("doubt", Script::in_doubt),
        ("rolling", Script::rolling_back),
        ("rolled", Script::rolled_back),
        ("monitor", Script::monitoring),
    ];
    for (name, f) in all {
        let mut s = Script::on("production");
        f(&mut s);
        println!("{name}\n{}\n", shot(&screen(&s, (120, 36))));
    }
}
