//! The parts of the demo.

pub(crate) mod clip;
pub(crate) mod compare;
pub(crate) mod device;
pub(crate) mod flv;
pub(crate) mod options;
pub(crate) mod ports;
pub(crate) mod progress;
pub(crate) mod publish;
pub(crate) mod record;
pub(crate) mod relay;
pub(crate) mod report;
pub(crate) mod run;
pub(crate) mod switch;
#[cfg(target_os = "linux")]
pub(crate) mod tap;
pub(crate) mod tasks;
pub(crate) mod wire;

/// What is published where no other clip is named.
pub(crate) const BUNDLED_CLIP: &[u8] = include_bytes!("../../clip.flv");
