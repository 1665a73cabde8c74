//! Commands: parse and emit.
