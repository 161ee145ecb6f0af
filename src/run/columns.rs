//! The columns of a result as keys.

use std::collections::BTreeMap;

/// Column names as keys: the second `count` of a result is `count_2`, so that no value hides another.
pub fn keys(names: &[String]) -> Vec<String> {
    let mut seen: BTreeMap<&str, u32> = BTreeMap::new();
    let mut keys = Vec::with_capacity(names.len());
    for name in names {
        let n = seen.entry(name).or_default();
        *n += 1;
        keys.push(if *n == 1 { name.clone() } else { format!("{name}_{n}") });
    }
    keys
}
