//! Text that was UTF-8, was read as something else and saved again: noticed, and put right where that is exact.

/// Windows-1252, bytes 0x80 to 0x9F; the rest is Latin-1. Unassigned bytes stand for the control of their number.
const WINDOWS: &str = "€\u{81}‚ƒ„…†‡ˆ‰Š‹Œ\u{8d}Ž\u{8f}\u{90}‘’“”•–—˜™š›œ\u{9d}žŸ";
/// Mac Roman, bytes 0x80 to 0xFF.
const MAC: &str = "ÄÅÇÉÑÖÜáàâäãåçéèêëíìîïñóòôöõúùûü†°¢£§•¶ß®©™´¨≠ÆØ∞±≤≥¥µ∂∑∏π∫ªºΩæø¿¡¬√ƒ≈∆«»…\u{a0}ÀÃÕŒœ–—“”‘’÷◊ÿŸ⁄€‹›ﬁﬂ‡·‚„‰ÂÊÁËÈÍÎÏÌÓÔ\u{f8ff}ÒÚÛÙıˆ˜¯˘˙˚¸˝˛ˇ";

/// What was put right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repair {
    pub text: String,
    /// What the text had been read as.
    pub encoding: &'static str,
    /// How many places were put right.
    pub places: usize,
}

/// None: there was nothing to repair.
pub fn repair(text: &str) -> Option<Repair> {
    let tables: [(&'static str, Vec<char>); 2] =
        [("Windows-1252", WINDOWS.chars().chain('\u{a0}'..='\u{ff}').collect()), ("Mac Roman", MAC.chars().collect())];
    let tried = tables.iter().map(|(encoding, table)| with(text, encoding, table));
    tried.filter(|one| one.places > 0).max_by_key(|one| one.places)
}

fn with(text: &str, encoding: &'static str, table: &[char]) -> Repair {
    let mut out = String::with_capacity(text.len());
    let mut run: Vec<char> = Vec::new();
    let mut places = 0;
    for c in text.chars().chain(std::iter::once('\n')) {
        if c.is_ascii() {
            places += usize::from(flush(&mut run, table, &mut out));
            out.push(c);
        } else {
            run.push(c);
        }
    }
    out.pop();
    Repair { text: out, encoding, places }
}

/// A run of characters that are all bytes of the table, and as bytes are UTF-8, was UTF-8. Anything else stays as it is.
fn flush(run: &mut Vec<char>, table: &[char], out: &mut String) -> bool {
    let bytes: Option<Vec<u8>> = run
        .iter()
        .map(|c| table.iter().position(|known| known == c).and_then(|at| u8::try_from(at + 0x80).ok()))
        .collect();
    let whole = bytes.and_then(|bytes| String::from_utf8(bytes).ok()).filter(|whole| !whole.is_empty());
    match &whole {
        Some(whole) => out.push_str(whole),
        None => out.extend(run.iter()),
    }
    run.clear();
    whole.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mangle(text: &str, table: &[char]) -> String {
        text.bytes().map(|b| if b < 0x80 { char::from(b) } else { table[usize::from(b) - 0x80] }).collect()
    }

    #[test]
    fn what_was_read_wrongly_is_read_again() {
        let windows: Vec<char> = WINDOWS.chars().chain('\u{a0}'..='\u{ff}').collect();
        let mac: Vec<char> = MAC.chars().collect();
        assert_eq!((windows.len(), mac.len()), (128, 128));
        let text = "✅ done → 🔴 high\nMünchen ├─ ⚠️ end";
        for (table, encoding) in [(&windows, "Windows-1252"), (&mac, "Mac Roman")] {
            let repaired = repair(&mangle(text, table)).unwrap();
            assert_eq!((repaired.text.as_str(), repaired.encoding), (text, encoding));
        }
    }

    #[test]
    fn what_is_right_stays() {
        for text in ["", "plain", "München, café, naïve", "✅ → 🔴", "½ price £5 – “quoted”"] {
            assert_eq!(repair(text), None, "{text}");
        }
    }
}
