//! The payload of a picture's video message, in pieces.

use core::fmt;

use super::UnitType;
use super::annex_b::LENGTH_SIZE;
use crate::bytes::low_u32;
use crate::fmt::impl_format;
use crate::media::video::{AvcPacket, FrameType, HEADER_SIZE, VideoTagHeader};

/// There are more NAL units than a [`Message`] has room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TooManyUnits {
    /// The number of units.
    pub units: usize,
}

impl fmt::Display for TooManyUnits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} NAL units are more than there is room for", self.units)
    }
}

impl core::error::Error for TooManyUnits {}

/// The payload of the video message for one picture: the header, and up to `UNITS` NAL units, each after its length. The
/// units stay where they are. Only the header and the lengths are stored here, so an encoder's output is sent without a
/// copy.
///
/// ```
/// use embedded_rtmp::media::avc::{Message, annex_b::Units};
/// use embedded_rtmp::session::Client;
/// # use embedded_rtmp::message::{MessageKind, StreamId, Timestamp};
/// # type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;
/// # fn send(client: &mut Client, stream: StreamId, at: Timestamp, out: &mut [u8], from_encoder: &[u8]) -> Result<()> {
///
/// let message = Message::<8>::new(Units::new(from_encoder), 0)?;
/// let csid = client.begin_media(MessageKind::VIDEO, stream, at, message.length())?;
/// while let Some(left) = client.media_left(csid) {
///     let progress = client.poll_media(csid, message.rest(left), out);
///     # let _ = progress.written; // … which goes to the socket
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Message<'a, const UNITS: usize> {
    header: [u8; HEADER_SIZE],
    units: [([u8; LENGTH_SIZE], &'a [u8]); UNITS],
    count: usize,
    length: u32,
    is_keyframe: bool,
}

impl_format!(
    ['a, const UNITS: usize] Message<'a, UNITS>,
    this => "Message {{ {} units, {} bytes, is_keyframe: {} }}", this.count, this.length, this.is_keyframe
);

impl<'a, const UNITS: usize> Message<'a, UNITS> {
    /// The message for a picture of these NAL units. The picture is shown `composition_time` milliseconds after the
    /// timestamp of the message, which is 0 without B-frames. It is a keyframe if one of the units is an IDR slice.
    ///
    /// # Errors
    /// [`TooManyUnits`] for more than `UNITS`.
    pub fn new(units: impl IntoIterator<Item = &'a [u8]>, composition_time: i32) -> Result<Self, TooManyUnits> {
        let no_unit: ([u8; LENGTH_SIZE], &[u8]) = ([0; LENGTH_SIZE], &[]);
        let mut message = Self {
            header: [0; HEADER_SIZE],
            units: [no_unit; UNITS],
            count: 0,
            length: low_u32(HEADER_SIZE),
            is_keyframe: false,
        };
        for unit in units {
            let length = u32::try_from(unit.len()).unwrap_or(u32::MAX);
            if let Some(place) = message.units.get_mut(message.count) {
                *place = (length.to_be_bytes(), unit);
            }
            message.count = message.count.wrapping_add(1);
            message.length = message.length.saturating_add(length).saturating_add(low_u32(LENGTH_SIZE));
            message.is_keyframe |= UnitType::of(unit) == Some(UnitType::IDR_SLICE);
        }
        if message.count > UNITS {
            return Err(TooManyUnits { units: message.count });
        }
        let frame = if message.is_keyframe { FrameType::KEY } else { FrameType::INTER };
        VideoTagHeader::Avc { frame, packet: AvcPacket::NAL_UNITS, composition_time }.emit(&mut message.header);
        Ok(message)
    }

    /// The length of the payload in bytes, at most `u32::MAX`. Sessions reject messages of that length.
    pub const fn length(&self) -> u32 {
        self.length
    }

    /// Returns `true` if decoding can begin with this picture.
    pub const fn is_keyframe(&self) -> bool {
        self.is_keyframe
    }

    /// The pieces of the payload: the header, then the length of each unit and the unit.
    pub fn parts(&self) -> impl Iterator<Item = &[u8]> + Clone {
        let units = self.units.iter().take(self.count);
        core::iter::once(&self.header[..]).chain(units.flat_map(|(length, unit)| [&length[..], unit]))
    }

    /// Writes the pieces of the payload to `list` and returns them. Returns `None` if `list` is too short: each unit needs
    /// two entries, and the header one.
    pub fn list<'s, 'l>(&'s self, list: &'l mut [&'s [u8]]) -> Option<&'l [&'s [u8]]> {
        let mut count = 0_usize;
        for part in self.parts() {
            *list.get_mut(count)? = part;
            count = count.wrapping_add(1);
        }
        list.get(..count)
    }

    /// The next part of the payload if its last `left` bytes are missing, up to the end of one piece. Empty if nothing is
    /// missing.
    pub fn rest(&self, left: u32) -> &[u8] {
        let mut offset = self.length.saturating_sub(left) as usize;
        for part in self.parts() {
            match part.get(offset..) {
                Some(rest) if !rest.is_empty() => return rest,
                _ => offset = offset.saturating_sub(part.len()),
            }
        }
        &[]
    }
}
