//! A server session against arbitrary bytes of a client. The events do not depend on the cuts, and the session always
//! ends. The first byte chooses the application's answers, the second the cuts. The target inserts the handshake before
//! the rest.
#![no_main]

use embedded_rtmp::session::ServerConfig;
use embedded_rtmp_fuzz::{Cuts, Happened, handshake, run, serving};
use libfuzzer_sys::fuzz_target;

fn happened(choice: u8, stream: &[u8], cut: impl FnMut() -> usize) -> Happened {
    serving(choice, ServerConfig::new(), |application| run(application, stream, cut))
}

fuzz_target!(|data: &[u8]| {
    let [choice, seed, chunks @ ..] = data else { return };
    let stream = [&handshake(), chunks].concat();
    let whole = happened(*choice, &stream, || usize::MAX);
    let mut cuts = Cuts::new(*seed);
    assert_eq!(happened(*choice, &stream, || cuts.length()), whole);
});
