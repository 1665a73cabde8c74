//! The parts of the demo.

pub(crate) mod device;
pub(crate) mod wire;
