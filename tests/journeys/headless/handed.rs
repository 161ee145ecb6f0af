//! Variables of the operator's environment: a command has those that its step names, and no others.

use super::bare;

const RUN: [&str; 4] = ["run", "runbook.toml", "--headless", "--yes"];
const SECRET: &str = "Wq7-handed-on-4411";

const STEPS: &str = r#"
[[phase.step]]
id    = "given"
shell = 'echo "$KUBECONFIG"; echo "t=$DEPLOY_TOKEN"; echo "other=${OTHER:-none}"'
env   = ["KUBECONFIG", "DEPLOY_TOKEN"]

[[phase.step]]
id     = "not-given"
run    = ["printenv", "KUBECONFIG"]
expect = "exit == 1"
"#;

#[test]
fn a_command_is_given_what_its_step_names() {
    let desk = super::desk().with("KUBECONFIG", "/etc/kube.yaml").with("DEPLOY_TOKEN", SECRET).with("OTHER", "x");
    desk.write("runbook.toml", &bare(STEPS));
    let ran = desk.run(&RUN).exits(0);
    assert!(ran.out.contains("/etc/kube.yaml") && ran.out.contains("other=none"), "{}", ran.out);
    // What is called a token is one.
    assert!(ran.out.contains("t=‹secret:env:DEPLOY_TOKEN›") && !ran.out.contains(SECRET), "{}", ran.out);
    let kept = std::fs::read(desk.run_dir().join("journal.db")).unwrap();
    assert!(!kept.windows(SECRET.len()).any(|part| part == SECRET.as_bytes()));
}

#[test]
fn what_is_not_set_is_told_before_the_run_begins() {
    let desk = super::desk().with("KUBECONFIG", "/etc/kube.yaml");
    desk.write("runbook.toml", &bare(STEPS));
    let ran = desk.run(&RUN).exits(2);
    assert!(ran.err.contains("the environment variable DEPLOY_TOKEN is not set; export it"), "{ran:?}");
    let checked = desk.run(&["check", "runbook.toml", "--env", "test"]);
    assert!(format!("{}{}", checked.out, checked.err).contains("env DEPLOY_TOKEN"), "{checked:?}");
}
