//! The name that a step's session carries on the server: how a later engine finds what an earlier one left behind.

use sha2::{Digest, Sha256};

/// Bytes that PostgreSQL keeps of an `application_name`.
const NAME_BYTES: usize = 63;
/// Hex digits that keep two cut names apart.
const DIGITS: usize = 8;

/// `base` and `attempt` as one printable ASCII name of at most 63 bytes. A longer one is cut and ends in a digest
/// of the whole, so that two attempts never share a name.
pub(super) fn compose(base: &str, attempt: &str) -> String {
    let whole = format!("{base} {attempt}");
    let name: String = whole.chars().map(|c| if (' '..='~').contains(&c) { c } else { '?' }).collect();
    if name.len() <= NAME_BYTES && name == whole {
        return name;
    }
    let digest: String =
        Sha256::digest(whole.as_bytes()).iter().take(DIGITS / 2).map(|byte| format!("{byte:02x}")).collect();
    let kept = name.len().min(NAME_BYTES - DIGITS - 1);
    format!("{}~{digest}", &name[..kept])
}

/// How the names of all of a run's sessions begin, cut or not.
pub(super) fn family(base: &str) -> String {
    let whole = format!("{base} ");
    whole.chars().map(|c| if (' '..='~').contains(&c) { c } else { '?' }).take(NAME_BYTES - DIGITS - 1).collect()
}

/// How the names of the sessions of this run begin.
pub fn session_names(run: &str) -> String {
    family(&format!("gonogo {run}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_and_foreign_names_stay_apart() {
        assert_eq!(compose("gonogo r1", "m011"), "gonogo r1 m011");
        let long = "x".repeat(80);
        let (one, two) = (compose(&long, "a"), compose(&long, "b"));
        assert_eq!(one.len(), 63);
        assert_ne!(one, two);
        assert_ne!(compose("r", "ä"), compose("r", "ö"));
        assert!(compose("r", "ä\n").is_ascii());
        for base in ["gonogo r1", "gonogo ä", &long] {
            assert!(compose(base, "a").starts_with(&family(base)));
        }
    }
}
