//! The last bytes of a stream of any length, in bounded memory.

use std::collections::VecDeque;

/// Keeps the last `cap` bytes.
#[derive(Clone, Debug)]
pub struct Tail {
    cap: usize,
    bytes: VecDeque<u8>,
    total: u64,
}

impl Tail {
    pub fn new(cap: usize) -> Self {
        Self { cap, bytes: VecDeque::new(), total: 0 }
    }

    pub fn push(&mut self, piece: &[u8]) {
        self.total += piece.len() as u64;
        let piece = &piece[piece.len().saturating_sub(self.cap)..];
        let excess = (self.bytes.len() + piece.len()).saturating_sub(self.cap);
        self.bytes.drain(..excess);
        self.bytes.extend(piece);
    }

    /// `lost` bytes of the stream were not to be had: what is kept no longer is its end.
    pub fn skip(&mut self, lost: u64) {
        self.total += lost;
        self.bytes.clear();
    }

    /// Bytes pushed so far, kept or not.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// What is kept, as text: a character cut at the front is left out, other broken ones become `U+FFFD`, as do NULs.
    pub fn text(&self) -> String {
        let bytes: Vec<u8> = self.bytes.iter().copied().collect();
        let cut = self.total > bytes.len() as u64;
        let start = if cut { bytes.iter().take(3).take_while(|byte| **byte & 0xc0 == 0x80).count() } else { 0 };
        String::from_utf8_lossy(&bytes[start..]).replace('\0', "\u{fffd}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_end() {
        let mut tail = Tail::new(4);
        tail.push(b"ab");
        assert_eq!(tail.text(), "ab");
        tail.push(b"cdef");
        assert_eq!((tail.text().as_str(), tail.total()), ("cdef", 6));
        tail.push(b"0123456789");
        assert_eq!((tail.text().as_str(), tail.total()), ("6789", 16));
    }

    #[test]
    fn half_a_character_at_the_cut_is_left_out() {
        let mut tail = Tail::new(3);
        tail.push("éé".as_bytes());
        assert_eq!(tail.text(), "é");
        let mut whole = Tail::new(9);
        whole.push(b"\xffa\0");
        assert_eq!(whole.text(), "\u{fffd}a\u{fffd}");
    }
}
