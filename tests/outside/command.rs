//! Commands and scripts as real processes: exits, output, environment, limits, and nothing left behind unsaid.

use std::fs;
use std::time::Duration;

use gonogo::child::proc;
use gonogo::child::shim::{Place, Standing, Started};
use gonogo::engine::exec::{CommandJob, command, place};
use gonogo::run::facts::Effect;
use gonogo::run::limits::{FACT_BYTES, OUTPUT_HEAD, OUTPUT_TAIL};
use gonogo::run::{Chunk, Fault, Outcome};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::job::{argv, carry_out, expects, facts, fault, job, nothing, notices, shell, text};
use crate::wait;

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

#[tokio::test]
async fn exit_codes_decide_where_nothing_is_expected() {
    let folder = folder();
    let (outcome, shown) = carry_out(&job(argv(&["echo", "two", "words  kept"]), folder.path()), &nothing).await;
    assert!(matches!(outcome, Outcome::Done { verdict: None, .. }), "{outcome:?}");
    assert_eq!(facts(&outcome).stdout.as_deref(), Some("two words  kept"));
    assert_eq!(text(&shown, "out"), "two words  kept\n");

    let (outcome, shown) = carry_out(&job(shell("echo out; echo why >&2; exit 3"), folder.path()), &nothing).await;
    let fault = fault(&outcome);
    assert!(matches!(outcome, Outcome::Failed { .. }));
    assert_eq!((fault.summary.as_str(), fault.exit), ("the script exited with 3", Some(3)));
    assert_eq!((fault.detail.as_deref(), fault.effect), (Some("why"), Effect::Possible));
    assert_eq!(fault.place, "window.toml:12");
    assert_eq!((text(&shown, "out").as_str(), text(&shown, "err").as_str()), ("out\n", "why\n"));

    let (outcome, _) = carry_out(&job(argv(&["sh", "-c", "kill -9 $$"]), folder.path()), &nothing).await;
    assert_eq!(fault_summary(&outcome), "`sh` was killed by signal 9 (SIGKILL)");
    assert_eq!(facts(&outcome).exit, Some(137));
}

fn fault_summary(outcome: &Outcome) -> &str {
    &fault(outcome).summary
}

#[tokio::test]
async fn scripts_stop_at_the_first_error_also_in_a_pipe() {
    let folder = folder();
    for script in ["false; echo on", "false | cat; echo on", "echo $undefined; echo on"] {
        let (outcome, shown) = carry_out(&job(shell(script), folder.path()), &nothing).await;
        assert!(matches!(outcome, Outcome::Failed { .. }), "{script}: {outcome:?}");
        assert_eq!(text(&shown, "out"), "", "{script}");
    }
}

#[tokio::test]
async fn the_judge_decides_where_something_is_expected() {
    let folder = folder();
    let mut grep = job(argv(&["sh", "-c", "echo none; exit 1"]), folder.path());
    let (outcome, _) = carry_out(&grep, &expects(|facts| facts.stdout.as_deref() == Some("none"))).await;
    assert_eq!(fault_summary(&outcome), "`sh` exited with 1", "an expect that never looks at the exit");
    grep.expect_sees_exit = true;
    let (outcome, _) = carry_out(&grep, &expects(|facts| facts.exit == Some(1))).await;
    assert!(matches!(&outcome, Outcome::Done { verdict: Some(verdict), .. } if verdict.passed), "{outcome:?}");
    let (outcome, _) = carry_out(&grep, &expects(|facts| facts.exit == Some(0))).await;
    assert_eq!(fault_summary(&outcome), "expected this, saw that");
    let broken = |_: &_| Err(Fault::new("`fil` is not defined"));
    let (outcome, _) = carry_out(&grep, &broken).await;
    assert!(matches!(outcome, Outcome::Broke { .. }));
    assert_eq!((fault_summary(&outcome), fault(&outcome).effect), ("`fil` is not defined", Effect::Possible));
}

#[tokio::test]
async fn what_cannot_start_broke() {
    let folder = folder();
    let (outcome, _) = carry_out(&job(argv(&["gonogo-no-such-program"]), folder.path()), &nothing).await;
    assert!(matches!(outcome, Outcome::Broke { .. }));
    let found = fault(&outcome);
    assert_eq!(
        (found.summary.as_str(), found.safe.as_str()),
        ("`gonogo-no-such-program` was not found", "nothing was started")
    );
    assert!(found.hint.as_deref().is_some_and(|hint| hint.starts_with("PATH is ")), "{found:?}");

    fs::write(folder.path().join("plain"), "no program").expect("written");
    for (program, summary) in [
        ("./plain", "`./plain` may not be executed (permission denied)"),
        ("", "there is no command: the list is empty"),
    ] {
        let (outcome, _) = carry_out(&job(argv(&[program]), folder.path()), &nothing).await;
        assert_eq!(fault_summary(&outcome), summary);
    }
    let gone = folder.path().join("gone");
    let mut lost = job(argv(&["true"]), &gone);
    lost.record_dir = folder.path().join("attempts");
    let (outcome, _) = carry_out(&lost, &nothing).await;
    assert_eq!(fault_summary(&outcome), format!("the folder {} is not there", gone.display()));
}

#[tokio::test]
async fn without_a_record_nothing_starts() {
    let folder = folder();
    let mut touch = job(argv(&["touch", "done"]), folder.path());
    fs::write(folder.path().join("file"), "").expect("written");
    touch.record_dir = folder.path().join("file/below");
    let (outcome, _) = carry_out(&touch, &nothing).await;
    assert!(matches!(outcome, Outcome::Broke { .. }), "{outcome:?}");
    assert!(!folder.path().join("done").exists());
}

#[tokio::test]
async fn the_environment_is_an_allow_list() {
    let folder = folder();
    let mut env = job(argv(&["env"]), folder.path());
    env.env = vec![("PGHOST".to_owned(), "127.0.0.1".to_owned())];
    let (outcome, _) = carry_out(&env, &nothing).await;
    let stdout = facts(&outcome).stdout.clone().unwrap_or_default();
    let allowed = [
        "PATH",
        "HOME",
        "USER",
        "LANG",
        "TZ",
        "TERM",
        "SHELL",
        "TMPDIR",
        "PGHOST",
        "GONOGO_RUN",
        "GONOGO_STEP",
        "GONOGO_ATTEMPT",
        "GONOGO_ENVIRONMENT",
    ];
    let names: Vec<&str> = stdout.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name).collect();
    assert!(names.iter().all(|name| allowed.contains(name) || name.starts_with("LC_")), "{names:?}");
    let inherited = |name: &str| allowed.contains(&name) || name.starts_with("LC_");
    let canary = std::env::vars().any(|(name, _)| !inherited(&name));
    assert!(canary, "the test's own environment must hold more than is handed on");
    for line in
        ["TERM=dumb", "PGHOST=127.0.0.1", "GONOGO_STEP=backup", "GONOGO_ATTEMPT=1", "GONOGO_ENVIRONMENT=staging"]
    {
        assert!(stdout.lines().any(|got| got == line), "{line} is missing in {stdout}");
    }
}

#[tokio::test]
async fn nothing_to_read_and_no_terminal() {
    let folder = folder();
    let script = "cat; if true < /dev/tty; then echo terminal; else echo none; fi";
    let (outcome, _) = carry_out(&job(shell(script), folder.path()), &nothing).await;
    assert_eq!(facts(&outcome).stdout.as_deref(), Some("none"));
}

#[tokio::test]
async fn a_flood_stays_bounded() {
    let folder = folder();
    let script = "echo first; yes 0123456789 | head -c 40000000 || true; echo last";
    let (outcome, shown) = carry_out(&job(shell(script), folder.path()), &nothing).await;
    assert!(matches!(outcome, Outcome::Done { .. }), "{outcome:?}");
    let out = text(&shown, "out");
    assert!(out.starts_with("first\n0123456789\n") && out.ends_with("last\n"));
    assert!(out.len() <= OUTPUT_HEAD + OUTPUT_TAIL);
    assert!(notices(&shown).iter().any(|text| text == "… 39 MB left out …"), "{:?}", notices(&shown));
    assert!(facts(&outcome).stdout.as_ref().is_some_and(|text| text.len() <= FACT_BYTES && text.ends_with("last")));
}

#[tokio::test]
async fn output_comes_while_it_runs_and_a_deaf_listener_is_no_obstacle() {
    let folder = folder();
    let live =
        job(shell("echo ready; until [ -e go ]; do sleep 0.05; done; yes | head -c 3000000 || true"), folder.path());
    let (out, mut chunks) = mpsc::channel(1);
    let work = command(&live, &out, &nothing, CancellationToken::new());
    let listen = async {
        let first = chunks.recv().await;
        assert!(matches!(&first, Some(Chunk::Text { text, .. }) if text == "ready\n"), "{first:?}");
        fs::write(folder.path().join("go"), "").expect("written");
        drop(chunks);
    };
    let (outcome, ()) = tokio::join!(work, listen);
    assert!(matches!(outcome, Outcome::Done { .. }), "{outcome:?}");
}

#[tokio::test]
async fn broken_text_is_shown_all_the_same() {
    let folder = folder();
    let (outcome, shown) =
        carry_out(&job(argv(&["printf", "a\\377\\342\\202\\254\\000z"]), folder.path()), &nothing).await;
    assert_eq!(text(&shown, "out"), "a\u{fffd}€\u{fffd}z");
    assert_eq!(facts(&outcome).stdout.as_deref(), Some("a\u{fffd}€\u{fffd}z"));
}

#[tokio::test]
async fn time_over_ends_it() {
    let folder = folder();
    let mut sleep = job(argv(&["sleep", "1000"]), folder.path());
    sleep.timeout = Some(Duration::from_millis(300));
    let (outcome, _) = carry_out(&sleep, &nothing).await;
    assert_eq!(fault_summary(&outcome), "timed out after 300ms");
    assert_eq!(fault(&outcome).detail.as_deref(), Some("`sleep` was killed by signal 15 (SIGTERM)"));
    assert_eq!((facts(&outcome).exit, fault(&outcome).effect), (Some(143), Effect::Possible));
}

#[tokio::test]
async fn who_ignores_term_is_killed_with_its_group() {
    let folder = folder();
    let script = "trap '' TERM; (echo $BASHPID; while :; do sleep 0.05; done) & while :; do sleep 0.05; done";
    let deaf = job(shell(script), folder.path());
    let (out, mut chunks) = mpsc::channel(8);
    let stop = CancellationToken::new();
    let cancel = async {
        let Some(Chunk::Text { text, .. }) = chunks.recv().await else {
            panic!("no pid");
        };
        stop.cancel();
        text.trim().parse::<u32>().expect("a pid")
    };
    let (outcome, child) = tokio::join!(command(&deaf, &out, &nothing, stop.clone()), cancel);
    assert_eq!(fault_summary(&outcome), "cancelled");
    assert_eq!(fault(&outcome).detail.as_deref(), Some("the script was killed by signal 9 (SIGKILL)"));
    wait::until("the child to be gone", || proc::stat(child).is_none()).await;
}

fn place_of(job: &CommandJob) -> Place {
    place(&job.record_dir, &job.order.attempt)
}

fn started(job: &CommandJob) -> Started {
    place_of(job).started().expect("readable").expect("started")
}

#[tokio::test]
async fn cancel_ends_it_and_the_record_tells() {
    let folder = folder();
    let sleep = job(shell("echo ready; sleep 1000"), folder.path());
    let (out, mut chunks) = mpsc::channel(8);
    let stop = CancellationToken::new();
    let work = command(&sleep, &out, &nothing, stop.clone());
    let cancel = async {
        chunks.recv().await.expect("ready");
        let started = started(&sleep);
        assert!(started.lives() && started.child.is_some_and(|child| proc::stat(child.pid).is_some()));
        assert_eq!(place_of(&sleep).look().expect("looked"), Standing::Held);
        stop.cancel();
    };
    let (outcome, ()) = tokio::join!(work, cancel);
    assert_eq!(fault_summary(&outcome), "cancelled");
    assert_eq!(fault(&outcome).detail.as_deref(), Some("the script was killed by signal 15 (SIGTERM)"));
    assert!(!started(&sleep).lives());
    wait::until("its shim to let go", || matches!(place_of(&sleep).look(), Ok(Standing::Ended(_)))).await;
    let ended = place_of(&sleep).ended().expect("readable").expect("ended");
    assert_eq!((ended.status, ended.timed_out), (Some(15), false));

    stop.cancel();
    let outcome = command(&sleep, &out, &nothing, stop).await;
    assert_eq!((fault_summary(&outcome), fault(&outcome).effect), ("cancelled", Effect::None));
}

#[tokio::test]
async fn what_outlives_the_command_is_named() {
    let folder = folder();
    // The pipe says when the grandchild is at work: it must not be taken for the shell that starts it.
    let script =
        "setsid bash -c 'echo $BASHPID > pid; exec sleep 60' & until [ -s pid ]; do sleep 0.05; done; echo started";
    let (outcome, shown) = carry_out(&job(shell(script), folder.path()), &nothing).await;
    assert!(matches!(outcome, Outcome::Done { .. }), "{outcome:?}");
    let pid = fs::read_to_string(folder.path().join("pid")).expect("a pid");
    let words = notices(&shown).join("\n");
    let pid = pid.trim().parse().ok().and_then(rustix::process::Pid::from_raw).expect("a pid");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("it ran");
    assert!(words.contains("something it started holds its output open; still running: "), "{words}");
    assert!(words.contains(&format!("(pid {pid})")), "{words}");
}

#[tokio::test]
async fn promised_files() {
    let folder = folder();
    let mut make = job(shell("mkdir -p out; printf hello > out/file"), folder.path());
    make.produces = Some("out/file".to_owned());
    let (outcome, shown) =
        carry_out(&make, &expects(|facts| facts.file.as_ref().is_some_and(|file| file.size == 5))).await;
    let file = facts(&outcome).file.clone().expect("a file");
    assert_eq!((file.path.as_str(), file.size), ("out/file", 5));
    assert_eq!(file.sha256, "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
    assert!(notices(&shown).is_empty());

    make.act = argv(&["true"]);
    let (outcome, shown) = carry_out(&make, &nothing).await;
    assert!(matches!(outcome, Outcome::Done { .. }));
    assert_eq!(notices(&shown), ["out/file was there before, and the command did not touch it"]);

    for (name, summary) in [("missing", "it did not produce missing"), ("out", "out is a folder, a file was promised")]
    {
        make.produces = Some(name.to_owned());
        let (outcome, _) = carry_out(&make, &nothing).await;
        assert!(matches!(outcome, Outcome::Failed { .. }));
        assert_eq!(fault_summary(&outcome), summary);
    }
    make.act = argv(&["false"]);
    let (outcome, _) = carry_out(&make, &nothing).await;
    assert_eq!(fault_summary(&outcome), "`false` exited with 1");
}
