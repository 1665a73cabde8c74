//! What the fuzz targets share.

mod cuts;
mod messages;

pub use cuts::Cuts;
pub use messages::{Message, Outcome, read};
