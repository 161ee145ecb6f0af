//! Checksums as other tools compute them.

use std::fmt::Write as _;

/// CRC-32 as in zip files (polynomial 0xEDB88320, reflected), over all pieces in a row.
pub fn crc32<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> u32 {
    let step = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 })
    };
    !pieces.into_iter().flatten().fold(u32::MAX, step)
}

/// Bytes as lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Flyway's: over the lines without their ends, as a signed number.
pub(super) fn of_lines(text: &str) -> i32 {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    crc32(text.split('\n').map(str::as_bytes)).cast_signed()
}
