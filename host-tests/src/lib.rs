//! What the host tools and the tests share.

pub mod flv;

pub mod peers;
pub mod replay;
