//! The demo: a publisher and a server, each with a network stack of its own, joined by a simulated Ethernet wire.
//!
//! It publishes a clip from one device to the other, over a wire that drops segments to port 1935 by default. Its exit
//! status is 0 if the recording equals the clip. The adapter's tests (`host-tests/adapter`) use the same devices and
//! the same wire.

pub mod clip;
pub mod clock;
pub mod compare;
pub mod device;
pub mod flv;
pub mod options;
pub mod ports;
pub mod progress;
pub mod publish;
pub mod record;
pub mod relay;
pub mod report;
pub mod run;
pub mod switch;
#[cfg(target_os = "linux")]
pub mod tap;
pub mod tasks;
pub mod tls;
pub mod wire;
