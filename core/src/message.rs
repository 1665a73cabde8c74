//! The header of an RTMP message (RTMP 1.0, sections 4 and 6.1).

use core::fmt;

/// The type of a message: the number in its header. Unknown kinds keep their number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct MessageKind(pub u8);

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $text:literal;)*) => {
        impl MessageKind {
            $($(#[$doc])* pub const $name: MessageKind = MessageKind($code);)*

            /// Returns the specification's name of this kind, or `None` if the kind is unknown.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self {
                    $(MessageKind::$name => Some($text),)*
                    _ => None,
                }
            }
        }
    };
}

kinds! {
    /// Set Chunk Size (section 5.4.1).
    SET_CHUNK_SIZE = 1, "Set Chunk Size";
    /// Abort Message (section 5.4.2).
    ABORT = 2, "Abort";
    /// Acknowledgement (section 5.4.3).
    ACKNOWLEDGEMENT = 3, "Acknowledgement";
    /// User Control (section 6.2).
    USER_CONTROL = 4, "User Control";
    /// Window Acknowledgement Size (section 5.4.4).
    WINDOW_ACK_SIZE = 5, "Window Acknowledgement Size";
    /// Set Peer Bandwidth (section 5.4.5).
    SET_PEER_BANDWIDTH = 6, "Set Peer Bandwidth";
    /// Audio (section 7.1.4).
    AUDIO = 8, "Audio";
    /// Video (section 7.1.5).
    VIDEO = 9, "Video";
    /// Data, with a format selector before its AMF values (section 7.1.2).
    DATA_AMF3 = 15, "Data AMF3";
    /// Shared object, with a format selector (section 7.1.3).
    SHARED_OBJECT_AMF3 = 16, "Shared Object AMF3";
    /// Command, with a format selector (section 7.1.1).
    COMMAND_AMF3 = 17, "Command AMF3";
    /// Data in AMF0, such as `onMetaData` (section 7.1.2).
    DATA = 18, "Data";
    /// Shared object in AMF0 (section 7.1.3).
    SHARED_OBJECT = 19, "Shared Object";
    /// Command in AMF0 (section 7.1.1).
    COMMAND = 20, "Command";
    /// Aggregate (section 7.1.6).
    AGGREGATE = 22, "Aggregate";
}

impl MessageKind {
    /// Returns whether this is a protocol control or user control message: kinds 1 to 6.
    #[must_use]
    pub const fn is_control(self) -> bool {
        matches!(self.0, 1..=6)
    }

    /// Returns whether this is a command, in AMF0 or after a format selector.
    #[must_use]
    pub const fn is_command(self) -> bool {
        matches!(self, MessageKind::COMMAND | MessageKind::COMMAND_AMF3)
    }

    /// Returns whether this is a data message, in AMF0 or after a format selector.
    #[must_use]
    pub const fn is_data(self) -> bool {
        matches!(self, MessageKind::DATA | MessageKind::DATA_AMF3)
    }

    /// Returns whether the payload is for the application: audio, video, data or an aggregate of them.
    #[must_use]
    pub const fn is_media(self) -> bool {
        matches!(self, MessageKind::AUDIO | MessageKind::VIDEO | MessageKind::AGGREGATE) || self.is_data()
    }
}

impl fmt::Debug for MessageKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for MessageKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "type {}", self.0),
        }
    }
}

/// The id of a message stream. Stream 0 carries the commands of the connection itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct StreamId(pub u32);

impl StreamId {
    /// The stream of the connection itself.
    pub const CONNECTION: StreamId = StreamId(0);
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The time of a message: milliseconds from a point that the sender chooses, modulo 2³² (section 4, "Timestamp").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Timestamp(pub u32);

impl Timestamp {
    /// Returns the time `millis` milliseconds later, modulo 2³².
    #[must_use]
    pub const fn plus(self, millis: u32) -> Timestamp {
        Timestamp(self.0.wrapping_add(millis))
    }

    /// Returns the milliseconds from `earlier` to this time in serial number arithmetic (RFC 1982). The result is
    /// negative if this time is before `earlier`. Two times are at most 2³¹ ms (24.8 days) apart.
    #[must_use]
    pub const fn since(self, earlier: Timestamp) -> i32 {
        self.0.wrapping_sub(earlier.0).cast_signed()
    }
}

/// The header of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct MessageHeader {
    /// The time of the content.
    pub timestamp: Timestamp,
    /// The length of the payload in bytes, at most [`MAX_MESSAGE_LENGTH`].
    pub length: u32,
    /// The type of the message.
    pub kind: MessageKind,
    /// The message stream that the message belongs to.
    pub stream: StreamId,
}

/// The length of the longest payload, in bytes: a header has 24 bits for it.
pub const MAX_MESSAGE_LENGTH: u32 = 0xFF_FFFF;

/// The name of a codec: four ASCII characters. Unknown codecs survive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct FourCc(pub [u8; 4]);

impl FourCc {
    /// AVC (H.264).
    pub const AVC: FourCc = FourCc(*b"avc1");
    /// HEVC (H.265).
    pub const HEVC: FourCc = FourCc(*b"hvc1");
    /// VVC (H.266).
    pub const VVC: FourCc = FourCc(*b"vvc1");
    /// AV1.
    pub const AV1: FourCc = FourCc(*b"av01");
    /// VP8.
    pub const VP8: FourCc = FourCc(*b"vp08");
    /// VP9.
    pub const VP9: FourCc = FourCc(*b"vp09");
    /// AAC.
    pub const AAC: FourCc = FourCc(*b"mp4a");
    /// Opus.
    pub const OPUS: FourCc = FourCc(*b"Opus");
    /// FLAC.
    pub const FLAC: FourCc = FourCc(*b"fLaC");
    /// AC-3.
    pub const AC3: FourCc = FourCc(*b"ac-3");
    /// E-AC-3.
    pub const EAC3: FourCc = FourCc(*b"ec-3");
    /// MP3.
    pub const MP3: FourCc = FourCc(*b".mp3");

    /// Returns whether a sequence header of this codec has a body. For other codecs, it only names the codec.
    pub fn has_configuration(self) -> bool {
        !matches!(self, Self::AC3 | Self::EAC3 | Self::MP3)
    }

    /// Returns whether coded frames of this codec have a composition time.
    pub fn has_composition_time(self) -> bool {
        matches!(self, Self::AVC | Self::HEVC | Self::VVC)
    }

    /// The wildcard `*`, which stands for every codec in [`Capabilities`](crate::command::Capabilities).
    pub const ANY: FourCc = FourCc(*b"*\0\0\0");

    /// Returns the name without zeros at its end.
    pub const fn name(&self) -> &[u8] {
        let mut name: &[u8] = &self.0;
        while let [rest @ .., 0] = name {
            name = rest;
        }
        name
    }
}

impl fmt::Display for FourCc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name().escape_ascii().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn item_041_unknown_kinds_survive() {
        assert_eq!(MessageKind(0x7F).name(), None);
        assert_eq!(std::format!("{} {}", MessageKind(9), MessageKind(0x7F)), "Video type 127");
        assert!(!MessageKind(0x7F).is_control() && !MessageKind(0x7F).is_command() && !MessageKind(0x7F).is_media());
        assert!(
            MessageKind::ABORT.is_control()
                && MessageKind::COMMAND_AMF3.is_command()
                && MessageKind::DATA_AMF3.is_media()
        );
    }

    #[test]
    fn item_027_timestamps_wrap() {
        assert_eq!(Timestamp(0xFFFF_FFF0).plus(0x20), Timestamp(0x10));
    }

    #[test]
    fn item_028_crossing_2_31_does_not_reorder() {
        assert_eq!(Timestamp(0x8000_0010).since(Timestamp(0x7FFF_FFF0)), 0x20);
        assert_eq!(Timestamp(0x7FFF_FFF0).since(Timestamp(0x8000_0010)), -0x20);
        assert_eq!(Timestamp(0x10).since(Timestamp(0xFFFF_FFF0)), 0x20);
    }
}
