//! Who may see and touch the files of a run.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use super::super::guard::network_kind;
use super::super::{Home, JournalError, Reader, Writer};
use super::children::{Says, child, run, unprivileged, wrapped};
use super::{Place, append, note, opened, story};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn everything_is_private_even_without_a_umask() {
    let temp = tempfile::tempdir().unwrap();
    let home = temp.path().join("state").join("gonogo").join("runs");
    let before = ["sh", "-c", "umask 000 && exec \"$0\" \"$@\""];
    let mut maker = wrapped(&before, "creates", &home).spawn().unwrap();
    let mut says = Says::of(&mut maker);
    assert_eq!(says.next().as_deref(), Some("made"));
    let folder = home.join("r");
    for dir in [home.parent().unwrap(), &home, &folder, &folder.join("attempts")] {
        assert_eq!(mode(dir), 0o700, "{}", dir.display());
    }
    for file in ["journal.db", "journal.db-wal", "journal.db-shm", "engine.lock", "engine.log", "reserve"] {
        assert_eq!(mode(&folder.join(file)), 0o600, "{file}");
    }
    drop(maker.stdin.take());
    assert_eq!(says.next(), None);
    assert!(maker.wait().unwrap().success());
}

#[tokio::test]
async fn a_link_in_the_run_folder_is_refused() {
    let place = Place::new();
    let folder = place.written("r", vec![opened("r")]).await;
    let outside = place.home.path().with_file_name("outside");
    for name in
        ["journal.db-wal", "journal.db-shm", "engine.lock", "engine.sock", "engine.log", "reserve", "journal.db"]
    {
        let path = folder.path().join(name);
        let aside = folder.path().join("aside");
        let there = fs::rename(&path, &aside).is_ok();
        symlink(&outside, &path).unwrap();
        let error = Writer::open(&folder).await.err().unwrap();
        if name != "journal.db" {
            assert!(error.to_string().contains("symbolic link"), "{name}: {error}");
        }
        assert!(!outside.exists(), "{name}");
        fs::remove_file(&path).unwrap();
        if there {
            fs::rename(&aside, &path).unwrap();
        }
    }
    symlink(&outside, folder.path().join("engine.log")).unwrap();
    assert!(matches!(folder.open_log(), Err(JournalError::Refused { .. })));
    fs::remove_file(folder.path().join("engine.log")).unwrap();
    Writer::open(&folder).await.unwrap();

    let linked = place.home.path().join("linked");
    symlink(folder.path(), &linked).unwrap();
    let error = Writer::open(&place.run("linked")).await.err().unwrap();
    assert!(error.to_string().contains("a real folder"), "{error}");
    assert!(matches!(Writer::create(&place.home, "linked").await.err(), Some(JournalError::Exists { .. })));
}

#[tokio::test]
async fn folders_that_others_can_change_are_refused() {
    let place = Place::new();
    let folder = place.written("r", vec![opened("r")]).await;
    set_mode(folder.path(), 0o750);
    let error = Writer::open(&folder).await.err().unwrap();
    assert!(error.to_string().ends_with("others may enter this run folder: `chmod 700` it"), "{error}");
    set_mode(folder.path(), 0o700);
    Writer::open(&folder).await.unwrap();

    set_mode(place.home.path(), 0o1777);
    let error = Writer::create(&place.home, "s").await.err().unwrap();
    assert!(error.to_string().contains("anybody may write there"), "{error}");
    set_mode(place.home.path(), 0o755);
    drop(Writer::create(&place.home, "s").await.unwrap());

    let file = place.home.path().join("file");
    fs::write(&file, "").unwrap();
    let below = Home::new(Some(&file.join("runs"))).unwrap();
    assert!(matches!(Writer::create(&below, "s").await.err(), Some(JournalError::Io { .. })));
}

#[tokio::test]
async fn the_folder_of_somebody_else_is_refused() {
    let place = Place::new();
    let folder = place.written("r", vec![opened("r")]).await;
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(folder.path(), Some(65534), None).unwrap();
        let error = Writer::open(&folder).await.err().unwrap();
        assert!(error.to_string().contains("it belongs to user id 65534, gonogo runs as 0"), "{error}");
    } else {
        let root = Home::new(Some(Path::new("/"))).unwrap();
        let error = Writer::create(&root, "r").await.err().unwrap();
        assert!(error.to_string().contains("it belongs to user id 0"), "{error}");
    }
}

#[tokio::test]
async fn a_half_made_run_is_not_left_behind() {
    let place = Place::new();
    fs::create_dir_all(place.home.path()).unwrap();
    set_mode(place.home.path(), 0o500);
    if !rustix::process::geteuid().is_root() {
        assert!(Writer::create(&place.home, "r").await.is_err());
    }
    set_mode(place.home.path(), 0o700);
    assert_eq!(fs::read_dir(place.home.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_journal_can_be_read_where_nothing_may_be_written() {
    let temp = tempfile::tempdir().unwrap();
    set_mode(temp.path(), 0o755);
    let place = Place::new();
    let run_dir = place.written("r", story("r")).await;
    let archive = temp.path().join("archive");
    fs::create_dir(&archive).unwrap();
    fs::copy(run_dir.db(), archive.join("journal.db")).unwrap();
    let end = Reader::open(&run_dir).await.unwrap().verify().await.unwrap();
    assert_eq!(read_only(&archive), Some(end.to_string()).filter(|_| can_start()));

    // The same of an engine that was killed, with its log.
    let mut writer = Writer::open(&run_dir).await.unwrap();
    append(&mut writer, note("only in the log")).await.unwrap();
    set_mode(&archive, 0o755);
    for file in ["journal.db", "journal.db-wal", "journal.db-shm"] {
        let _ = fs::remove_file(archive.join(file));
        fs::copy(run_dir.path().join(file), archive.join(file)).unwrap();
    }
    assert_eq!(read_only(&archive), Some(writer.head().to_string()).filter(|_| can_start()));
}

/// What another user reads of a folder that may only be read.
fn read_only(folder: &Path) -> Option<String> {
    for file in fs::read_dir(folder).unwrap() {
        set_mode(&file.unwrap().path(), 0o444);
    }
    set_mode(folder, 0o555);
    let said = run(unprivileged(child("reads", folder)), "an ordinary user who may start this program");
    set_mode(folder, 0o755);
    said.map(|mut said| said.remove(0))
}

/// Another user may start this program only where its folder is open to him.
fn can_start() -> bool {
    let mut probe = std::process::Command::new(std::env::current_exe().unwrap());
    probe.arg("--list");
    unprivileged(probe).output().is_ok_and(|output| output.status.success())
}

#[test]
fn network_disks_are_known() {
    assert_eq!(network_kind(0x6969), Some("NFS"));
    assert_eq!(network_kind(0xff53_4d42), Some("an SMB share"));
    // ext4, tmpfs, btrfs, overlay
    for local in [0xef53, 0x0102_1994, 0x9123_683e, 0x794c_7630] {
        assert_eq!(network_kind(local), None);
    }
    let error = JournalError::Network { path: "/mnt/team/runs".into(), kind: "NFS" };
    insta::assert_snapshot!(error, @"/mnt/team/runs lies on NFS, where locks and syncs cannot be trusted: name a folder on a local disk with --journal or GONOGO_JOURNAL");
}
