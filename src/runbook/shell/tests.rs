//! What a script needs from outside.

use proptest::prelude::*;

use super::*;

fn names(script: &str) -> Vec<String> {
    unset(script).into_keys().collect()
}

#[test]
fn what_nothing_sets_is_found() {
    for (script, wanted) in [
        ("pg_dump \"$DATABASE_URL\" -Fc", "DATABASE_URL"),
        ("curl ${HOOK}/x", "HOOK"),
        ("curl \"${HOOK:?is missing}\"", "HOOK"),
        ("echo ${#LIST} ${NAME%.sql} ${ARRAY[0]}", "ARRAY LIST NAME"),
        ("a=1\necho $a $b", "b"),
        ("echo 'it'\"$X\"", "X"),
        ("x=$(curl \"$URL\" | jq '.a')", "URL"),
        ("cat <<EOF\n\"$X\" it's\nEOF\necho $Y", "X Y"),
        ("for f in $FILES; do echo $f; done", "FILES"),
        ("f() { local n=$1; echo $n $TOKEN; }\nf x", "TOKEN"),
        ("echo $$ $# $? $1 $@ $* $! $- $0 $UNSET # $NOT", "UNSET"),
        ("echo `date` \"`cat $F`\"", "F"),
        ("echo {{ value }} $X", "X"),
        ("echo $((N + 1)) $M", "M"),
        ("kubectl exec pod -- sh -c \"echo $X\"", "X"),
    ] {
        assert_eq!(names(script).join(" "), wanted, "{script}");
    }
    let script = "é; echo \"$URL\" $URL";
    assert_eq!(&script[unset(script)["URL"].clone()], "$URL");
}

#[test]
fn what_may_be_set_is_not() {
    for script in [
        "echo '$X' \\$X $'a\\'$X'",
        "echo ${X:-} ${Y-1} ${Z:=2} ${W:+$V} ${U+x}",
        "[ -n \"${X:-}\" ] && echo $X",
        "[[ -v X ]] && echo $X",
        "cat <<'EOF'\n$X `y\nEOF",
        "cat <<-\"EOF\"\n\t$X\n\tEOF",
        "for x in 1 2; do echo $x; done",
        "while read -r a b; do echo $a $b; done < f",
        "read X Y <<< \"a b\"; echo $X $Y",
        "mapfile -t lines < f; echo ${lines[0]}",
        "export X=1 Y; echo $X $Y",
        "declare -A map; echo ${map[a]}",
        "printf -v X '%s' 1; echo $X",
        "while getopts ab opt; do echo $opt $OPTARG; done",
        "for ((i=0; i<3; i++)); do echo $i; done",
        "((n = 1)); echo $n $((m++)) $m",
        "eval \"$(ssh-agent)\"; echo $SSH_AGENT_PID",
        "source .env; echo $X",
        ". ./.env\necho $X",
        "set +u; echo $X",
        "echo ${!X}",
        "echo $PATH $HOME $GONOGO_RUN $LC_ALL $RANDOM $BASH_VERSION ${PIPESTATUS[0]}",
        "awk '{ print $NF }' f",
        "# $X\ntrue",
        "x=$(case $y in a) echo 'b $X';; esac)",
        "echo \"open $X",
        "{% if a %}echo $X{% endif %}",
        "A=1 cmd $A",
        "unset X; echo ${X-}",
    ] {
        assert_eq!(names(script), Vec::<String>::new(), "{script}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Any text ends, and what is found stands where it is said to stand.
    #[test]
    fn any_text_is_survived(text in "([$]|[{]|[}]|[(]|[)]|'|\"|`|<<|E|\n|\\\\|#|:-|é| |X|_|=|[{][{]|[}][}]){0,40}") {
        for (name, at) in unset(&text) {
            prop_assert!(text[at].ends_with(&name));
        }
    }
}
