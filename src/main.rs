//! The program's door: hands the command line to `app` and its answer to the system.

fn main() {}
