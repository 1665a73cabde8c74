//! RTMPT: what stands between a session and its socket, where an attempt is a tunnel.
//!
//! Without the feature `rtmpt` nothing stands there, and nothing of it is in an image: [`Tunnel`] is then a type without
//! a value that does nothing.

#[cfg(feature = "rtmpt")]
mod gathered;
#[cfg(feature = "rtmpt")]
mod with;
#[cfg(not(feature = "rtmpt"))]
mod without;

#[cfg(feature = "rtmpt")]
pub(crate) use with::Tunnel;
#[cfg(not(feature = "rtmpt"))]
pub(crate) use without::Tunnel;
