//! Every exit code, by the way an operator meets it.
