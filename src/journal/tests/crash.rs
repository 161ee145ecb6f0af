//! Killed processes, racing processes, full disks: real ones.

use std::process::Child;

use super::super::{Reader, holder};
use super::children::{Says, child, run, wrapped};
use super::{Place, note, opened};

#[tokio::test]
async fn what_was_answered_survives_kill_nine() {
    let place = Place::new();
    let folder = place.written("r", vec![opened("r")]).await;
    let mut before = 1;
    for round in 0..20 {
        let mut victim = child("appends", folder.path()).spawn().unwrap();
        let mut says = Says::of(&mut victim);
        let mut answered = before;
        for said in says.by_ref().take(1 + round * 7 % 12) {
            answered = said.parse().unwrap();
        }
        victim.kill().unwrap();
        for said in says {
            answered = said.parse().unwrap();
        }
        victim.wait().unwrap();
        assert!(answered > before);
        let stored = Reader::open(&folder).await.unwrap().verify().await.unwrap().count;
        assert!(answered <= stored && stored <= answered + 1, "answered {answered}, stored {stored}");
        assert_eq!(holder(&folder).unwrap(), None);
        before = stored;
    }
}

#[tokio::test]
async fn of_eight_racing_engines_one_wins() {
    let place = Place::new();
    let folder = place.written("r", vec![opened("r"), note("x")]).await;
    for _ in 0..3 {
        let spawn = |_| child("takes_up", folder.path()).spawn().unwrap();
        let mut racers: Vec<Child> = (0..8).map(spawn).collect();
        let mut says: Vec<Says> = racers.iter_mut().map(Says::of).collect();
        let outcomes: Vec<String> = says.iter_mut().map(|says| says.next().unwrap()).collect();
        let won = outcomes.iter().filter(|outcome| *outcome == "won").count();
        let lost = outcomes.iter().filter(|outcome| outcome.starts_with("lost: run r is being run by ")).count();
        assert_eq!((won, lost), (1, 7), "{outcomes:?}");
        let winner = outcomes.iter().position(|outcome| outcome == "won").unwrap();
        assert_eq!(holder(&folder).unwrap().unwrap().pid, Some(racers[winner].id()));
        for racer in &mut racers {
            drop(racer.stdin.take());
        }
        for mut racer in racers {
            assert!(racer.wait().unwrap().success());
        }
    }
}

#[test]
fn a_full_disk_keeps_room_for_the_end() {
    let temp = tempfile::tempdir().unwrap();
    // A small disk of its own; the ballast is what a person can remove to make room.
    let script = "mount -t tmpfs -o size=5m,mode=700 none \"$GONOGO_TEST_PLACE\" && head -c 2500000 /dev/zero > \"$GONOGO_TEST_PLACE/ballast\" && exec \"$0\" \"$@\"";
    let before = ["unshare", "-Urm", "sh", "-c", script];
    let Some(said) = run(wrapped(&before, "fills", temp.path()), "a small disk (unshare, tmpfs)") else {
        return;
    };
    assert!(said[0].contains("is full: the disk, a quota or"), "{said:?}");
}

#[test]
fn a_limit_on_files_is_said_in_time_and_kills_nobody() {
    let temp = tempfile::tempdir().unwrap();
    // Blocks of 512 bytes or of a kibibyte, as the shell has it: 2 to 4 MiB.
    let before = ["sh", "-c", "trap '' XFSZ; ulimit -f 4096; exec \"$0\" \"$@\""];
    let Some(said) = run(wrapped(&before, "reaches_its_limit", temp.path()), "a shell with ulimit -f") else {
        return;
    };
    assert!(said[0].contains("a limit on the size of files leaves no room"), "{said:?}");
}
