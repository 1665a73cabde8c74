//! Tests over two simulated devices.

mod pair;
mod plain_tcp;
