//! Variables of the operator's environment that commands are given: by their names, never by their values.

use std::collections::BTreeSet;

use super::{Runbook, Secret, Step, Undo};

/// Words in a variable's name that make its value a secret.
const SECRET: &[&str] = &["password", "passwd", "passphrase", "secret", "token", "credential", "apikey", "api_key"];
/// Endings that do.
const ENDS: &[&str] = &["_key", "_pass", "_pwd", "_auth", "_dsn", "_url"];

/// True where the value of a variable of that name is not to be seen.
pub fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET.iter().any(|word| name.contains(word)) || ENDS.iter().any(|end| name.ends_with(end))
}

impl Step {
    /// Names of variables that this step hands to its command.
    pub fn handed(&self) -> impl Iterator<Item = &str> {
        self.env.iter().filter_map(|one| match one {
            Secret::Env(name) => Some(name.as_str()),
            _ => None,
        })
    }

    /// Those whose values are secrets.
    pub fn handed_secrets(&self) -> impl Iterator<Item = &Secret> {
        self.env.iter().filter(|one| matches!(one, Secret::Env(name) if is_secret(name)))
    }

    fn everything_handed<'s>(&'s self, names: &mut BTreeSet<&'s str>) {
        names.extend(self.handed());
        if let Undo::By(undo) = &self.undo {
            undo.everything_handed(names);
        }
        if let Some(verify) = &self.verify {
            verify.everything_handed(names);
        }
    }
}

impl Runbook {
    /// Names of variables that any step of that environment hands to its command, on the ways back too.
    pub fn handed(&self, environment: &str) -> BTreeSet<&str> {
        let mut names = BTreeSet::new();
        let plans = self.rollbacks.iter().flat_map(|plan| &plan.steps);
        let here = |step: &&Step| step.only.is_empty() || step.only.iter().any(|only| only == environment);
        for step in self.steps().chain(plans).filter(here) {
            step.everything_handed(&mut names);
        }
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_secrets() {
        for name in ["PGPASSWORD", "API_TOKEN", "AWS_SECRET_ACCESS_KEY", "Stripe_Api_Key", "DATABASE_URL", "SENTRY_DSN"]
        {
            assert!(is_secret(name), "{name}");
        }
        for name in ["KUBECONFIG", "SSH_AUTH_SOCK", "KEYMAP", "HTTPS_PROXY", "PASSAGE"] {
            assert!(!is_secret(name), "{name}");
        }
    }
}
