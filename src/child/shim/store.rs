//! The output of a command in files: of each stream its beginning as it came, of the rest the end and the count, and beside
//! them the order in which the pieces came.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use super::place::Place;

/// Bytes of each stream kept from its beginning, and from its end.
pub const HEAD: u64 = 8 * 1024 * 1024;
pub const TAIL: usize = 64 * 1024;
/// Bytes of the file that keeps the order; when it is full, the beginning is over.
const ORDER: u64 = 1024 * 1024;
const ENTRY: usize = 5;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    Out,
    Err,
}

impl Which {
    fn name(self) -> &'static str {
        match self {
            Self::Out => "out",
            Self::Err => "err",
        }
    }
}

/// One stream being kept.
struct Kept {
    file: File,
    which: Which,
    head: u64,
    total: u64,
    /// The newest pieces beyond the head.
    rest: VecDeque<Vec<u8>>,
    rest_bytes: usize,
    /// The tail's file does not yet hold what is here.
    dirty: bool,
}

/// The shim's side. A write that fails is no reason to disturb the command: what is not kept is only counted.
pub struct Store {
    place: Place,
    out: Kept,
    err: Kept,
    order: File,
    order_bytes: u64,
    failed: Option<String>,
}

impl Store {
    /// New files in `place`.
    pub fn create(place: &Place) -> io::Result<Self> {
        let kept = |which: Which| -> io::Result<Kept> {
            let file = place.new_file(which.name())?;
            Ok(Kept { file, which, head: 0, total: 0, rest: VecDeque::new(), rest_bytes: 0, dirty: false })
        };
        let (out, err, order) = (kept(Which::Out)?, kept(Which::Err)?, place.new_file("order")?);
        Ok(Self { place: place.clone(), out, err, order, order_bytes: 0, failed: None })
    }

    pub fn push(&mut self, which: Which, piece: &[u8]) {
        let full = self.order_bytes >= ORDER || self.failed.is_some();
        let kept = match which {
            Which::Out => &mut self.out,
            Which::Err => &mut self.err,
        };
        kept.total += piece.len() as u64;
        // A stream that once left its head never comes back to it: what follows would be out of place.
        let room = if full || kept.rest_bytes > 0 { 0 } else { HEAD - kept.head };
        let (head, rest) = piece.split_at(piece.len().min(usize::try_from(room).unwrap_or(usize::MAX)));
        if !head.is_empty() {
            match kept.file.write_all(head).and_then(|()| self.order.write_all(&entry(which, head.len()))) {
                Ok(()) => {
                    kept.head += head.len() as u64;
                    self.order_bytes += ENTRY as u64;
                }
                Err(error) => {
                    self.failed = Some(error.to_string());
                    kept.keep(head);
                }
            }
        }
        kept.keep(rest);
    }

    /// Writes the tails as they are now, so that they outlive the shim.
    pub fn flush(&mut self) {
        for kept in [&mut self.out, &mut self.err] {
            if kept.dirty
                && let Err(error) = kept.flush(&self.place)
            {
                self.failed = Some(error.to_string());
            }
        }
    }

    /// Everything is durable when this returns; or why not.
    pub fn close(mut self) -> Option<String> {
        self.flush();
        for kept in [&self.out, &self.err] {
            if kept.total > 0
                && let Err(error) = kept.file.sync_all()
            {
                self.failed = Some(error.to_string());
            }
        }
        if self.order_bytes > 0
            && let Err(error) = self.order.sync_all()
        {
            self.failed = Some(error.to_string());
        }
        self.failed
    }
}

impl Kept {
    fn keep(&mut self, piece: &[u8]) {
        if piece.is_empty() {
            return;
        }
        self.dirty = true;
        self.rest_bytes += piece.len();
        self.rest.push_back(piece.to_vec());
        while let Some(front) = self.rest.front()
            && self.rest_bytes - front.len() >= TAIL
        {
            self.rest_bytes -= front.len();
            self.rest.pop_front();
        }
    }

    fn flush(&mut self, place: &Place) -> io::Result<()> {
        let name = format!("{}.tail", self.which.name());
        let fresh = format!("{name}.new");
        let bytes: Vec<u8> = self.rest.iter().flatten().copied().collect();
        let written = place.new_file(&fresh).and_then(|mut file| {
            file.write_all(format!("{}\n", self.total).as_bytes())?;
            file.write_all(&bytes[bytes.len().saturating_sub(TAIL)..])?;
            fs::rename(place.file(&fresh), place.file(&name))
        });
        match written {
            Ok(()) => self.dirty = false,
            // Half a file must not stand in the way of the next try.
            Err(_) => drop(fs::remove_file(place.file(&fresh))),
        }
        written
    }
}

fn entry(which: Which, len: usize) -> [u8; ENTRY] {
    // A piece is far below 4 GiB.
    let len = u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes();
    [which as u8, len[0], len[1], len[2], len[3]]
}

/// The end of a stream that left its head.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rest {
    /// Bytes between the head and `bytes` that were not kept.
    pub lost: u64,
    pub bytes: Vec<u8>,
}

/// The reader's side: the pieces in their order, also while they are written, and from the beginning again for whoever
/// takes an attempt up.
#[derive(Debug)]
pub struct Follower {
    place: Place,
    order: Option<File>,
    out: Reader,
    err: Reader,
}

#[derive(Debug, Default)]
struct Reader {
    file: Option<File>,
    read: u64,
}

impl Follower {
    pub fn new(place: &Place) -> Self {
        Self { place: place.clone(), order: None, out: Reader::default(), err: Reader::default() }
    }

    /// The next piece that is there; none: nothing more for now.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn piece(&mut self) -> io::Result<Option<(Which, Vec<u8>)>> {
        if self.order.is_none() {
            self.order = open(self.place.file("order"))?;
        }
        let Some(order) = &mut self.order else { return Ok(None) };
        let at = order.stream_position()?;
        let mut entry = [0; ENTRY];
        if let Err(error) = order.read_exact(&mut entry) {
            // Half an entry is still being written.
            order.seek(SeekFrom::Start(at))?;
            return if error.kind() == io::ErrorKind::UnexpectedEof { Ok(None) } else { Err(error) };
        }
        let which = if entry[0] == Which::Out as u8 { Which::Out } else { Which::Err };
        let len = u32::from_le_bytes([entry[1], entry[2], entry[3], entry[4]]);
        let path = self.place.file(which.name());
        let reader = self.reader(which);
        if reader.file.is_none() {
            reader.file = open(path)?;
        }
        let mut piece = Vec::new();
        if let Some(file) = &mut reader.file {
            file.take(u64::from(len)).read_to_end(&mut piece)?;
        }
        reader.read += piece.len() as u64;
        Ok(Some((which, piece)))
    }

    /// What came after the head of a stream, once all its pieces were read.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn rest(&mut self, which: Which) -> io::Result<Rest> {
        let path = self.place.file(&format!("{}.tail", which.name()));
        let Some(file) = open(path)? else { return Ok(Rest::default()) };
        let mut bytes = Vec::new();
        // The number in its first line is no longer than this.
        file.take(TAIL as u64 + 32).read_to_end(&mut bytes)?;
        let line = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(0);
        let total: u64 = std::str::from_utf8(&bytes[..line]).ok().and_then(|text| text.parse().ok()).unwrap_or(0);
        let bytes = bytes.split_off((line + 1).min(bytes.len()));
        let lost = total.saturating_sub(self.reader(which).read).saturating_sub(bytes.len() as u64);
        Ok(Rest { lost, bytes })
    }

    fn reader(&mut self, which: Which) -> &mut Reader {
        match which {
            Which::Out => &mut self.out,
            Which::Err => &mut self.err,
        }
    }
}

fn open(path: PathBuf) -> io::Result<Option<File>> {
    let flags = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
    match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> (tempfile::TempDir, Place) {
        let dir = tempfile::tempdir().expect("a folder");
        let place = Place::of(&dir.path().join("attempts"), "a.forward.1");
        place.create().expect("made");
        (dir, place)
    }

    #[test]
    fn pieces_come_back_in_their_order_while_they_are_written() {
        let (_dir, place) = place();
        let mut follower = Follower::new(&place);
        assert_eq!(follower.piece().expect("read"), None);
        let mut store = Store::create(&place).expect("made");
        store.push(Which::Out, b"a");
        store.push(Which::Err, b"b");
        assert_eq!(follower.piece().expect("read"), Some((Which::Out, b"a".to_vec())));
        store.push(Which::Out, b"c");
        assert_eq!(follower.piece().expect("read"), Some((Which::Err, b"b".to_vec())));
        assert_eq!(follower.piece().expect("read"), Some((Which::Out, b"c".to_vec())));
        assert_eq!(follower.piece().expect("read"), None);
        assert_eq!(store.close(), None);
        assert_eq!(follower.rest(Which::Out).expect("read"), Rest::default());
    }

    #[test]
    fn beyond_the_head_only_the_end_and_the_count_stay() {
        let (_dir, place) = place();
        let mut store = Store::create(&place).expect("made");
        let piece = vec![b'x'; 1024 * 1024];
        for _ in 0..20 {
            store.push(Which::Out, &piece);
        }
        store.push(Which::Err, b"why");
        store.push(Which::Out, b"the end");
        assert_eq!(store.close(), None);
        assert_eq!(fs::metadata(place.file("out")).expect("there").len(), HEAD);
        assert!(fs::metadata(place.file("out.tail")).expect("there").len() <= TAIL as u64 + 32);
        let mut follower = Follower::new(&place);
        let mut read = 0;
        while let Some((which, piece)) = follower.piece().expect("read") {
            read += if which == Which::Out { piece.len() as u64 } else { 0 };
        }
        assert_eq!(read, HEAD);
        let rest = follower.rest(Which::Out).expect("read");
        assert!(rest.bytes.ends_with(b"xthe end"));
        assert_eq!(read + rest.lost + rest.bytes.len() as u64, 20 * 1024 * 1024 + 7);
        assert_eq!(follower.rest(Which::Err).expect("read"), Rest::default());
    }

    #[test]
    fn tiny_pieces_do_not_fill_the_disk() {
        let (_dir, place) = place();
        let mut store = Store::create(&place).expect("made");
        for _ in 0..ORDER / ENTRY as u64 + 1_000 {
            store.push(Which::Out, b"y");
        }
        store.close();
        assert!(fs::metadata(place.file("order")).expect("there").len() <= ORDER + ENTRY as u64);
        let mut follower = Follower::new(&place);
        let mut read = 0;
        while follower.piece().expect("read").is_some() {
            read += 1;
        }
        let rest = follower.rest(Which::Out).expect("read");
        assert_eq!((rest.lost, read + rest.bytes.len() as u64), (0, ORDER / ENTRY as u64 + 1_000));
    }
}
