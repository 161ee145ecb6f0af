//! Lines over a socket, with a limit to their length.

use std::io;
use std::time::Duration;

use serde::Serialize;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};

/// Bytes of a line: the longest command is an edited script.
pub(super) const LINE_MAX: usize = 256 * 1024;

pub(super) struct Lines<R> {
    reader: BufReader<R>,
    /// The start of a line whose end has not come; kept here, so that a dropped `next` loses nothing.
    partial: Vec<u8>,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader: BufReader::new(reader), partial: Vec::new() }
    }

    /// The next line without its end; none at the end of the stream, where half a line is nobody's.
    /// Errors: `InvalidData` for a line over [`LINE_MAX`].
    pub(super) async fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            let chunk = self.reader.fill_buf().await?;
            if chunk.is_empty() {
                return Ok(None);
            }
            let end = chunk.iter().position(|byte| *byte == b'\n');
            let part = &chunk[..end.unwrap_or(chunk.len())];
            if self.partial.len() + part.len() > LINE_MAX {
                let why = format!("a line is longer than {LINE_MAX} bytes");
                return Err(io::Error::new(io::ErrorKind::InvalidData, why));
            }
            self.partial.extend_from_slice(part);
            let taken = part.len() + usize::from(end.is_some());
            self.reader.consume(taken);
            if end.is_some() {
                return Ok(Some(std::mem::take(&mut self.partial)));
            }
        }
    }
}

/// Writes one line. Errors: `TimedOut` where the other side takes no bytes for `patience`.
pub(super) async fn write<W: AsyncWrite + Unpin>(
    to: &mut W,
    words: &impl Serialize,
    patience: Duration,
) -> io::Result<()> {
    let mut line = serde_json::to_vec(words)?;
    line.push(b'\n');
    tokio::time::timeout(patience, to.write_all(&line)).await?
}
