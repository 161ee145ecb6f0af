//! The longer words of the help.

pub const RUNS: &str = "\
States: running · held (it waits, and its engine lives: attach) · held, engine gone (resume) · interrupted (its engine died, and \
it goes on where it was: resume) · in doubt (something may or may not have happened: its screen, or settle) · not begun (no \
target was reached) · done · failed · rolled back. Under each run stands what to type.\n\n\
Example: gonogo runs --json";

pub const REPLAY: &str = "\
Keys: space plays and pauses · ← → one entry · [ ] slower, faster · f t m next failure, trigger, note · 0-9 to that tenth · \
g G start, end · ? all keys · q leaves\n\n\
Example: gonogo replay last --speed 20";

pub const ANSWERS: &str = "\
answers to checklists and polls. A TOML file: [answers.STEP] with \"the question\" = \"the answer\", and [polls.STEP] with \
role = \"go\" or \"no-go: reason\"";

pub const RESUME: &str = "\
`gonogo runs` says which runs these are. One whose engine lives needs no resume: gonogo attach brings back its screen, and \
with --headless it is refused.\n\n\
Example: gonogo resume last";
