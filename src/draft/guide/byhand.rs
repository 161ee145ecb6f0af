//! Commands that a step cannot run: they do not end, or they open a session somewhere else.

/// Why a person has to do it in a terminal. None: a step can run it.
pub fn why(script: &str) -> Option<&'static str> {
    let commands = || script.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    if commands().any(opens) {
        return Some(
            "By hand, in a terminal: it opens a session on another machine, and what follows is meant for there",
        );
    }
    if commands().any(is_endless) {
        return Some("By hand, in a terminal of its own: it does not end by itself");
    }
    None
}

/// `ssh host` without a command, a shell within a container.
fn opens(line: &str) -> bool {
    const WITH_VALUE: [&str; 9] = ["-i", "-p", "-l", "-o", "-F", "-J", "-L", "-R", "-D"];
    let words: Vec<&str> = line.split_whitespace().collect();
    match words.as_slice() {
        ["ssh", rest @ ..] => {
            let mut plain = 0;
            let mut rest = rest.iter();
            while let Some(word) = rest.next() {
                if WITH_VALUE.contains(word) {
                    rest.next();
                } else if !word.starts_with('-') {
                    plain += 1;
                }
            }
            plain == 1 && !line.contains(['|', '<', ';', '&'])
        }
        ["docker" | "podman" | "kubectl", "exec", rest @ ..] => {
            rest.iter().any(|word| matches!(*word, "-it" | "-ti"))
                && rest.last().is_some_and(|word| word.ends_with("sh"))
        }
        _ => false,
    }
}

fn is_endless(line: &str) -> bool {
    let words: Vec<&str> =
        line.split_whitespace().take_while(|word| !matches!(*word, "|" | ">" | "&&" | "||")).collect();
    let follows = words.iter().any(|word| matches!(*word, "-f" | "-F" | "--follow" | "-fn" | "-ft"));
    // Behind `timeout`, or in the background, it does not keep anybody.
    let kept = !line.ends_with('&');
    kept && match words.as_slice() {
        ["tail" | "journalctl", ..] | ["docker" | "podman" | "kubectl", "logs", ..] => follows,
        ["docker", "compose", "logs", ..] | ["docker-compose", "logs", ..] => follows,
        ["pm2", "logs" | "monit", rest @ ..] => !rest.contains(&"--nostream"),
        ["top" | "htop" | "watch", ..] => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_end_is_for_a_person() {
        for text in [
            "tail -f x.log | grep -i error",
            "pm2 logs --lines 100",
            "ssh root@10.0.0.1\ncd /srv",
            "ssh -i k host",
            "kubectl logs -f pod",
            "docker exec -it db bash",
        ] {
            assert!(why(text).is_some(), "{text}");
        }
        for text in [
            "tail -n 5 x.log",
            "pm2 logs --nostream",
            "ssh host uptime",
            "ssh host < x.sql",
            "rm -f x",
            "timeout 5 tail -f x",
            "docker exec db psql",
        ] {
            assert_eq!(why(text), None, "{text}");
        }
    }
}
