//! AVC, which is H.264: from what an encoder puts out to what RTMP carries, and back.
//!
//! ```text
//!  an encoder, Annex B    00 00 00 01 SPS  00 00 00 01 PPS  00 00 00 01 slice  00 00 01 slice …
//!                              │                │                 │
//!  RTMP    a sequence header: the parameter sets │   a picture: header · length (4) · slice · length (4) · slice …
//! ```
//!
//! 1. The parameter sets go out as a [`sequence_header`], before the first picture.
//! 2. Each picture is a video message. [`Message`] lends it to a session in pieces, without a copy, wherever the start
//!    codes are; [`annex_b::to_length_prefixed`] makes it contiguous, in place.
//!
//! On the way in, [`AvcConfig::parse`] reads the sequence header and [`prefixed::Units`] the pictures.

pub mod annex_b;
mod message;
pub mod prefixed;
mod record;
mod sps;

pub use message::{Message, TooManyUnits};
pub use record::{AvcConfig, AvcConfigError, Sets, sequence_header, sequence_header_size};
pub use sps::Sps;

/// The type of a NAL unit (ISO/IEC 14496-10, table 7-1). Types that nobody knows survive. Five bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct UnitType(pub u8);

impl UnitType {
    /// A slice of a picture that needs others.
    pub const SLICE: UnitType = UnitType(1);
    /// A slice of a picture that needs no other: of a keyframe.
    pub const IDR_SLICE: UnitType = UnitType(5);
    /// Supplemental enhancement information.
    pub const SEI: UnitType = UnitType(6);
    /// A sequence parameter set.
    pub const SPS: UnitType = UnitType(7);
    /// A picture parameter set.
    pub const PPS: UnitType = UnitType(8);
    /// An access unit delimiter.
    pub const DELIMITER: UnitType = UnitType(9);

    /// The type of a NAL unit, which is without start code or length; `None` for an empty one.
    pub const fn of(unit: &[u8]) -> Option<UnitType> {
        match unit {
            [first, ..] => Some(UnitType(*first & 0x1F)),
            [] => None,
        }
    }
}

#[cfg(test)]
mod tests;
