//! Aggregate messages, whose payload is tags (RTMP 1.0, section 7.1.6).

use embedded_rtmp::message::{Kind, Timestamp};

use super::parse::tag_header;
use super::{TAG_HEADER, Tag};

/// The tags in the payload of an aggregate message. Their timestamps count from that of the first, which has the
/// message's. A last tag that is cut off is left out.
pub fn aggregated(timestamp: u32, payload: &[u8]) -> impl Iterator<Item = Tag> {
    let (mut rest, mut first) = (payload, None);
    std::iter::from_fn(move || {
        let (behind, header) = tag_header(rest).ok()?;
        let payload = behind.get(..header.length as usize)?.to_vec();
        // Some senders leave out the back pointer of the last one.
        rest = rest.get(TAG_HEADER + payload.len() + 4..).unwrap_or_default();
        let first = *first.get_or_insert(header.timestamp);
        let timestamp = Timestamp(timestamp).plus(header.timestamp.wrapping_sub(first)).0;
        Some(Tag { kind: Kind(header.kind), timestamp, payload })
    })
}
