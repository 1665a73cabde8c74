// Every public call of the core, in a list for each of its modules: host-tests/no-panic has code made for each of them,
// in an image that does not link where a panic path is left, and compares them with what rustdoc finds. To add one:
//
// - a function or method: its path below the crate, with a number for what is generic in it, into `drive`;
// - a method of a trait that is not derived: `<Type as Trait>::method`, into `drive`;
// - what takes a closure, or has an `impl Trait`: its path, `=>`, and a closure that calls it, into `drive_as`;
// - `Display` and `defmt::Format`: the type, into `display` and `format`.
//
// `Debug` is not among them: what Rust's own library does for floats, durations and quoted text may panic.
include!("calls/amf0.rs");
include!("calls/chunk.rs");
include!("calls/command.rs");
include!("calls/control.rs");
include!("calls/handshake.rs");
include!("calls/media.rs");
include!("calls/message.rs");
include!("calls/port_plan.rs");
include!("calls/pressure.rs");
include!("calls/relay.rs");
include!("calls/session.rs");
include!("calls/time.rs");
include!("calls/tunnel.rs");
include!("calls/url.rs");

lists! { amf0 chunk command control handshake media message port_plan pressure relay session time tunnel url }
