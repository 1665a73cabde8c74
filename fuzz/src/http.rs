//! Messages of HTTP.

/// Returns the head of the first message in `bytes`, the length of its body, and the bytes after the head. `None` if the
/// head is incomplete.
pub fn head(bytes: &[u8]) -> Option<(&str, usize, &[u8])> {
    let end = bytes.windows(4).position(|end| end == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..end]).expect("a head is text");
    let length = head.split("Content-Length:").nth(1).and_then(|text| text.lines().next());
    let length = length.and_then(|text| text.trim().parse().ok()).expect("a length");
    Some((head, length, &bytes[end + 4..]))
}
