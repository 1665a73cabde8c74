//! The demo: a publisher and a server, each with a network stack of its own, joined by a simulated Ethernet wire.

#[cfg(test)]
mod demo;
#[cfg(test)]
mod tests;

fn main() {}
