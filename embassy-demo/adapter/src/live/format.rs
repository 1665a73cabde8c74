//! How the units of a picture are sent, by codec.

use embedded_rtmp::media::avc::UnitType;
#[cfg(feature = "enhanced")]
use embedded_rtmp::media::hevc;

/// How the units of a picture are sent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Avc,
    #[cfg(feature = "enhanced")]
    Hevc,
    /// Unchanged, and without lengths.
    #[cfg(feature = "enhanced")]
    Whole,
}

impl Format {
    /// Returns whether a length is sent before each unit.
    pub(super) const fn has_lengths(self) -> bool {
        match self {
            Self::Avc => true,
            #[cfg(feature = "enhanced")]
            Self::Hevc => true,
            #[cfg(feature = "enhanced")]
            Self::Whole => false,
        }
    }

    /// Returns whether a unit is not sent in a picture: a parameter set, a delimiter, or a unit without a header.
    pub(super) fn leaves_out(self, unit: &[u8]) -> bool {
        match self {
            Self::Avc => {
                matches!(UnitType::of(unit), None | Some(UnitType::SPS | UnitType::PPS | UnitType::DELIMITER))
            }
            #[cfg(feature = "enhanced")]
            Self::Hevc => {
                const DELIMITER: u8 = hevc::UnitType::PPS.0 + 1;
                hevc::UnitType::of(unit).is_none_or(|kind| (hevc::UnitType::VPS.0..=DELIMITER).contains(&kind.0))
            }
            #[cfg(feature = "enhanced")]
            Self::Whole => false,
        }
    }
}

#[cfg(feature = "enhanced")]
impl Format {
    /// The types of the parameter sets: sequence, picture, and HEVC's video parameter set.
    pub(super) const fn sets(self) -> &'static [u8] {
        match self {
            Self::Avc => &[UnitType::SPS.0, UnitType::PPS.0],
            Self::Hevc => &[hevc::UnitType::SPS.0, hevc::UnitType::PPS.0, hevc::UnitType::VPS.0],
            Self::Whole => &[],
        }
    }

    /// Returns the type of a NAL unit, or `None` if its header is incomplete.
    pub(super) fn unit_type(self, unit: &[u8]) -> Option<u8> {
        match self {
            Self::Hevc => hevc::UnitType::of(unit).map(|kind| kind.0),
            _ => UnitType::of(unit).map(|kind| kind.0),
        }
    }
}
