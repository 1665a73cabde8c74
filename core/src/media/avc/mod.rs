//! AVC (H.264): conversion between an encoder's output and the payload of RTMP messages.
//!
//! ```text
//!  an encoder, Annex B    00 00 00 01 SPS  00 00 00 01 PPS  00 00 00 01 slice  00 00 01 slice …
//!                              │                │                 │
//!  RTMP    a sequence header: the parameter sets │   a picture: header · length (4) · slice · length (4) · slice …
//! ```
//!
//! 1. Send the parameter sets as a [`sequence_header`] before the first picture.
//! 2. Send each picture as a video message. [`Message`] lends it to a session in pieces, without a copy.
//!    [`annex_b::to_length_prefixed`] converts it in place into one contiguous piece.
//!
//! To receive, [`AvcConfig::parse`] parses the sequence header, and [`prefixed::Units`] the pictures.

pub mod annex_b;
mod message;
pub mod prefixed;
mod record;
mod sps;

pub use message::{Message, TooManyUnits};
pub use record::{AvcConfig, AvcConfigError, Sets, sequence_header, sequence_header_size};
pub use sps::Sps;

/// The type of a NAL unit (ISO/IEC 14496-10, table 7-1), in five bits. Unknown types survive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct UnitType(pub u8);

impl UnitType {
    /// A slice of a picture that needs others.
    pub const SLICE: UnitType = UnitType(1);
    /// A slice of a picture that needs no other, that is, of a keyframe.
    pub const IDR_SLICE: UnitType = UnitType(5);
    /// Supplemental enhancement information.
    pub const SEI: UnitType = UnitType(6);
    /// A sequence parameter set.
    pub const SPS: UnitType = UnitType(7);
    /// A picture parameter set.
    pub const PPS: UnitType = UnitType(8);
    /// An access unit delimiter.
    pub const DELIMITER: UnitType = UnitType(9);

    /// Returns the type of a NAL unit without start code or length, or `None` if the unit is empty.
    pub const fn of(unit: &[u8]) -> Option<UnitType> {
        match unit {
            [first, ..] => Some(UnitType(*first & 0x1F)),
            [] => None,
        }
    }
}

#[cfg(test)]
mod tests;
