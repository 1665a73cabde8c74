//! The clip, and when each of its messages is due.

use embedded_rtmp_embassy::embedded_rtmp::command::SET_DATA_FRAME;
use std::time::Duration;

use super::flv::{SCRIPT, Tag};

/// The clip that is published unless the command line names another one.
pub const BUNDLED: &[u8] = include_bytes!("../../clip.flv");

/// The longest pause between two tags. The timestamps of a file may be wrong, so longer pauses are shortened to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// A message, and when it is due after the first one.
pub type Due<'a> = (Duration, Tag<'a>);

/// Audio and video messages in their order, with the time at which each is due.
pub fn schedule<'a>(tags: &[Tag<'a>]) -> Vec<Due<'a>> {
    let (mut due, mut last) = (Duration::ZERO, None);
    let media = tags.iter().filter(|tag| tag.kind != SCRIPT);
    media
        .map(|tag| {
            // Audio and video are not exactly in order. A message that is late is due at once.
            let pause = i64::from(tag.timestamp.0) - i64::from(last.unwrap_or(tag.timestamp.0));
            if pause > 0 {
                due += Duration::from_millis(pause as u64).min(LONGEST_PAUSE);
            }
            last = Some(last.unwrap_or(0).max(tag.timestamp.0));
            (due, *tag)
        })
        .collect()
}

/// The payload of the data message with the clip's metadata, if the clip has metadata.
pub fn metadata(tags: &[Tag<'_>]) -> Option<Vec<u8>> {
    let script = tags.iter().find(|tag| tag.kind == SCRIPT)?;
    Some([SET_DATA_FRAME, script.data].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flv::{AUDIO, VIDEO};
    use embedded_rtmp_embassy::embedded_rtmp::message::Timestamp;

    #[test]
    fn pauses_are_kept_within_reason() {
        let tag = |kind, millis| Tag { kind, timestamp: Timestamp(millis), data: b"" };
        let tags =
            [tag(SCRIPT, 0), tag(VIDEO, 500), tag(AUDIO, 490), tag(VIDEO, 540), tag(AUDIO, 520), tag(VIDEO, u32::MAX)];
        let dues: Vec<u128> = schedule(&tags).iter().map(|(due, _)| due.as_millis()).collect();
        assert_eq!(dues, [0, 0, 40, 40, 1040]);
    }

    #[test]
    fn metadata_is_marked_as_such() {
        let script = Tag { kind: SCRIPT, timestamp: Timestamp(0), data: b"\x02\x00\x0aonMetaData" };
        assert_eq!(metadata(&[script]).unwrap(), b"\x02\x00\x0d@setDataFrame\x02\x00\x0aonMetaData");
        assert_eq!(metadata(&[]), None);
    }
}
