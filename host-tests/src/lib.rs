//! Code that the host tools and the tests share.

pub mod arguments;
pub mod browser;
pub mod conformance;
pub mod counts;
pub mod firmware;
pub mod flv;
pub mod memory;
pub mod net;
pub mod notices;
pub mod peers;
pub mod play;
pub mod ports;
pub mod publish;
pub mod replay;
pub mod serve;
pub mod words;
