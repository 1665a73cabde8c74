//! Comparison of a recording with the published clip.

use std::fmt;

use super::flv::{AUDIO, Tag, VIDEO};

/// The first difference between a clip and its recording.
#[derive(Debug, PartialEq, Eq)]
pub enum Difference {
    /// The numbers of messages of a kind differ: in the clip, in the recording.
    Count(&'static str, usize, usize),
    /// The timestamps of the message with this index within its kind differ: in the clip, in the recording.
    Timestamp(&'static str, usize, u32, u32),
    /// The payloads of the message with this index differ.
    Payload(&'static str, usize),
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(kind, clip, recording) => {
                write!(f, "the clip has {clip} {kind} messages, the recording {recording}")
            }
            Self::Timestamp(kind, index, clip, recording) => {
                write!(f, "{kind} message {index} is due at {clip} ms in the clip, at {recording} ms in the recording")
            }
            Self::Payload(kind, index) => write!(f, "{kind} message {index} has another payload in the recording"),
        }
    }
}

impl std::error::Error for Difference {}

/// Compares every audio and video payload and timestamp. Each kind is compared separately, because audio may overtake a
/// long video frame.
///
/// # Errors
/// Returns the first difference.
pub fn compare(clip: &[Tag<'_>], recording: &[Tag<'_>]) -> Result<(), Difference> {
    for (kind, name) in [(AUDIO, "audio"), (VIDEO, "video")] {
        let of_kind = |tags: &[Tag<'_>]| tags.iter().filter(|tag| tag.kind == kind).count();
        let pairs = clip.iter().filter(|tag| tag.kind == kind).zip(recording.iter().filter(|tag| tag.kind == kind));
        for (index, (expected, found)) in pairs.enumerate() {
            if expected.data != found.data {
                return Err(Difference::Payload(name, index));
            }
            if expected.timestamp != found.timestamp {
                return Err(Difference::Timestamp(name, index, expected.timestamp.0, found.timestamp.0));
            }
        }
        if of_kind(clip) != of_kind(recording) {
            return Err(Difference::Count(name, of_kind(clip), of_kind(recording)));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flv::SCRIPT;
    use embedded_rtmp_embassy::embedded_rtmp::message::Timestamp;

    const A: Tag<'_> = Tag { kind: AUDIO, timestamp: Timestamp(0), data: b"a" };
    const B: Tag<'_> = Tag { kind: AUDIO, timestamp: Timestamp(20), data: b"b" };
    const V: Tag<'_> = Tag { kind: VIDEO, timestamp: Timestamp(0), data: b"v" };

    #[test]
    fn only_the_order_within_a_kind_counts() {
        assert_eq!(compare(&[A, V, B], &[V, A, B]), Ok(()));
        assert_eq!(compare(&[A, B], &[B, A]), Err(Difference::Payload("audio", 0)));
    }

    #[test]
    fn every_difference_is_found() {
        assert_eq!(compare(&[A, V], &[A]), Err(Difference::Count("video", 1, 0)));
        assert_eq!(compare(&[A], &[A, B]), Err(Difference::Count("audio", 1, 2)));
        let late = Tag { timestamp: Timestamp(1), ..A };
        assert_eq!(compare(&[A], &[late]), Err(Difference::Timestamp("audio", 0, 0, 1)));
        let script = Tag { kind: SCRIPT, timestamp: Timestamp(9), data: b"?" };
        assert_eq!(compare(&[A, script], &[A]), Ok(()));
    }
}
