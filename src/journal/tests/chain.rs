//! Every change after the fact is found, and the first bad entry is named.

use std::fs;

use super::super::chain::{Anchor, Row};
use super::super::{BadEntry, JournalError, Reader, RunDir};
use super::{Place, moment, story, tamper};

async fn first_bad(run: &RunDir) -> BadEntry {
    match Reader::open(run).await.unwrap().verify().await {
        Err(JournalError::Bad(bad)) => bad,
        other => panic!("{other:?}"),
    }
}

/// The first entry that a tampering makes bad, and why.
async fn bad_after(sql: &'static str) -> (u64, String) {
    let place = Place::new();
    let run = place.written("r", story("r")).await;
    tamper(run.db(), sql).await;
    let bad = first_bad(&run).await;
    (bad.seq, bad.why)
}

fn rows() -> Vec<Row> {
    let mut chain = Anchor::default();
    let seal = |event| {
        let (_, sealed) = chain.seal(moment(chain.count), event).unwrap();
        Row { seq: i64::try_from(sealed.seq).unwrap(), json: sealed.json.into_bytes(), hash: sealed.hash.to_vec() }
    };
    story("r").into_iter().map(seal).collect()
}

fn admitted(rows: &[Row]) -> Result<Anchor, BadEntry> {
    let mut chain = Anchor::default();
    for row in rows {
        chain.admit(row)?;
    }
    Ok(chain)
}

#[test]
fn every_flipped_bit_is_found_at_its_entry() {
    let mut rows = rows();
    assert_eq!(admitted(&rows).unwrap().count, 9);
    for n in 0..rows.len() {
        let seq = n as u64 + 1;
        for byte in 0..rows[n].json.len() {
            for bit in 0..8 {
                rows[n].json[byte] ^= 1 << bit;
                assert_eq!(admitted(&rows[..=n]).unwrap_err().seq, seq);
                rows[n].json[byte] ^= 1 << bit;
            }
        }
        for byte in 0..rows[n].hash.len() {
            rows[n].hash[byte] ^= 1;
            assert_eq!(admitted(&rows[..=n]).unwrap_err().seq, seq);
            rows[n].hash[byte] ^= 1;
        }
    }
}

#[test]
fn rows_lost_doubled_or_swapped_are_found() {
    let len = rows().len();
    for n in 0..len - 1 {
        let mut without = rows();
        without.remove(n);
        assert_eq!(admitted(&without).unwrap_err().seq, n as u64 + 1, "row {n} removed");
        let mut renumbered = rows();
        renumbered.remove(n);
        for (at, row) in renumbered.iter_mut().enumerate() {
            row.seq = i64::try_from(at).unwrap() + 1;
        }
        assert_eq!(admitted(&renumbered).unwrap_err().seq, n as u64 + 1, "row {n} removed, the rest renumbered");
        let mut swapped = rows();
        swapped.swap(n, n + 1);
        assert_eq!(admitted(&swapped).unwrap_err().seq, n as u64 + 1, "rows {n} and the next swapped");
    }
}

#[tokio::test]
async fn tampering_with_the_file_is_found() {
    let hash = "its hash does not fit its text and the entry before it";
    let edit = "UPDATE entry SET json = replace(json, 'looks fine', 'looks bad') WHERE seq = 8";
    assert_eq!(bad_after(edit).await, (8, hash.to_owned()));
    let gap = "DELETE FROM entry WHERE seq = 4";
    assert_eq!(bad_after(gap).await, (4, "it is missing, entry 5 follows".to_owned()));
    let first = "DELETE FROM entry WHERE seq = 1";
    assert_eq!(bad_after(first).await.0, 1);
    let swap = "UPDATE entry SET seq = 100 WHERE seq = 3; UPDATE entry SET seq = 3 WHERE seq = 5; UPDATE entry SET seq = 5 WHERE seq = 100";
    assert_eq!(bad_after(swap).await, (3, hash.to_owned()));
    let utf8 = "UPDATE entry SET json = CAST(x'ff80' AS TEXT) WHERE seq = 2";
    assert_eq!(bad_after(utf8).await, (2, hash.to_owned()));
    let tail = "DELETE FROM entry WHERE seq > 6";
    let why = "the journal holds 6 entries, but notes 9 as its end";
    assert_eq!(bad_after(tail).await, (7, why.to_owned()));
}

#[tokio::test]
async fn a_cut_or_rewritten_journal_is_found_by_an_anchor() {
    let place = Place::new();
    let run = place.written("r", story("r")).await;
    let anchor: Anchor = {
        let mut reader = Reader::open(&run).await.unwrap();
        let anchor = reader.verify().await.unwrap();
        assert_eq!(reader.verify_against(&anchor).await.unwrap(), anchor);
        anchor.to_string().parse().unwrap()
    };
    // A cut by somebody who knows the schema leaves a journal that is right in itself.
    let cut =
        "DELETE FROM entry WHERE seq > 6; UPDATE run SET entries = 6, head = (SELECT hash FROM entry WHERE seq = 6)";
    tamper(run.db(), cut).await;
    let mut reader = Reader::open(&run).await.unwrap();
    reader.verify().await.unwrap();
    let error = reader.verify_against(&anchor).await.unwrap_err();
    insta::assert_snapshot!(error, @"entry 7 of the journal is bad: the journal ends at entry 6, the anchor knows 9. Entries 1 to 6 are good");
    let other = place.written("other", story("other")).await;
    let error = Reader::open(&other).await.unwrap().verify_against(&anchor).await.unwrap_err();
    insta::assert_snapshot!(error, @"entry 9 of the journal is bad: its hash is not that of the anchor: the journal was rewritten here or before. Entries 1 to 8 are good");
}

#[tokio::test]
async fn the_entries_before_a_bad_one_can_be_read() {
    let place = Place::new();
    let run = place.written("r", story("r")).await;
    tamper(run.db(), "UPDATE entry SET json = json || ' ' WHERE seq = 5").await;
    let mut reader = Reader::open(&run).await.unwrap();
    assert!(reader.all().await.is_err());
    assert_eq!(reader.entries_after(0, 4).await.unwrap().len(), 4);
    assert!(matches!(reader.entries_after(3, 9).await, Err(JournalError::Bad(BadEntry { seq: 5, .. }))));
}

#[tokio::test]
async fn flipped_bits_in_the_file_do_no_harm_or_are_found() {
    let place = Place::new();
    let run = place.written("r", story("r")).await;
    let good = fs::read(run.db()).unwrap();
    let anchor = Reader::open(&run).await.unwrap().verify().await.unwrap();
    let entries = super::read_all(&run).await;
    let copy = place.home.path().join("copy.db");
    // A fixed walk over the file; 4001 has no factor in common with its length.
    for n in 0..150 {
        let mut bytes = good.clone();
        let at = n * 4001 % bytes.len();
        bytes[at] ^= 1 << (n % 8);
        fs::write(&copy, &bytes).unwrap();
        let Ok(mut reader) = Reader::open(&RunDir::at(&copy).unwrap()).await else {
            continue;
        };
        if reader.verify_against(&anchor).await.is_ok() {
            assert_eq!(reader.all().await.unwrap(), entries, "byte {at}");
        }
    }
}

#[tokio::test]
async fn what_a_newer_program_wrote_is_refused_in_words() {
    let place = Place::new();
    let run = place.written("r", story("r")).await;
    tamper(run.db(), "UPDATE run SET format = 2, program = '9.9.9'").await;
    let error = Reader::open(&run).await.err().unwrap().to_string();
    assert!(error.contains("format 2, written by gonogo 9.9.9"), "{error}");
    assert!(error.ends_with("read it with gonogo 9.9.9 or newer"), "{error}");

    // An entry that is right in its hash, of a kind that this program does not know.
    let mut chain = Anchor::default();
    let json = br#"{"seq":1,"at":{"wall":"2024-01-31T03:40:00Z","ms":0},"event":{"kind":"coffee_made"}}"#.to_vec();
    let hash = {
        use sha2::{Digest, Sha256};
        Sha256::new().chain_update(b"gonogo entry v1").chain_update([0; 32]).chain_update(&json).finalize().to_vec()
    };
    let bad = chain.admit(&Row { seq: 1, json, hash }).unwrap_err();
    let start = "it is of kind `coffee_made`, which gonogo 0.1.0 (format 1) cannot read: unknown variant `coffee_made`";
    assert!(bad.why.starts_with(start), "{}", bad.why);
    assert_eq!(chain, Anchor::default());
}

#[test]
fn anchors_are_written_and_read() {
    let anchor = admitted(&rows()).unwrap();
    assert_eq!(anchor.to_string().parse(), Ok(anchor));
    assert_eq!(anchor.hex().len(), 64);
    for wrong in ["", "4", "4:", ":00", "x:00", "4:zz", "4:+0", "-1:00"] {
        assert!(wrong.parse::<Anchor>().is_err(), "{wrong}");
    }
    let long = format!("9:{}é", "0".repeat(63));
    assert!(long.parse::<Anchor>().is_err());
}
