//! The page with its script and its style. They use nothing from other hosts.

pub(super) const HTML: &str = include_str!("page.html");
pub(super) const SCRIPT: &str = include_str!("page.js");
pub(super) const STYLE: &str = include_str!("page.css");
