// Every public call of the core, in one list for each module. host-tests/no-panic generates code for each of them, in an image
// that does not link if a panic path is left, and compares the lists with rustdoc. To add one:
//
// - a function or method: its path below the crate, with a number for a generic argument, into `drive`;
// - a method of a trait that is not derived: `<Type as Trait>::method`, into `drive`;
// - a function that takes a closure or an `impl Trait`: its path, `=>`, and a closure that calls it, into `drive_as`;
// - `Display` and `defmt::Format`: the type, into `display` and `format`.
//
// A module that needs a feature has the attribute before its name, here and in the list at the end. The functions of all
// modules that need the feature `rtmpe` are in calls/crypt.rs. Those of `media::mp4` are in calls/mp4.rs.
//
// `Debug` is excluded: the standard library's code for floats, durations and quoted text may panic.
include!("calls/admin.rs");
include!("calls/amf0.rs");
include!("calls/auth.rs");
include!("calls/chunk.rs");
include!("calls/command.rs");
include!("calls/control.rs");
include!("calls/crypt.rs");
include!("calls/handshake.rs");
include!("calls/media.rs");
include!("calls/message.rs");
include!("calls/mp4.rs");
include!("calls/port_plan.rs");
include!("calls/pressure.rs");
include!("calls/relay.rs");
include!("calls/session.rs");
include!("calls/time.rs");
include!("calls/tunnel.rs");
include!("calls/url.rs");
include!("calls/web.rs");

lists! { #[cfg(feature = "admin")] admin #[cfg(all(feature = "admin", feature = "rtmpe"))] admin_keys amf0 #[cfg(feature = "auth")] auth chunk command control #[cfg(feature = "rtmpe")] crypt handshake media message #[cfg(feature = "mp4")] mp4 port_plan pressure relay session time tunnel url #[cfg(feature = "web")] web }
