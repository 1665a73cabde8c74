//! What the host tools and the tests share.
