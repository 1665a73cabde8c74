//! A server session against arbitrary bytes of a client. The events do not depend on the cuts, and the session always
//! ends. The first byte chooses the application's answers, the second the cuts. The target inserts the handshake before
//! the rest.
#![no_main]

use embedded_rtmp::command::{Status, code};
use embedded_rtmp::session::{MIN_CONTROL, Server, ServerConfig, ServerEvent, SessionBuffers, SessionError};
use embedded_rtmp::time::Instant;
use embedded_rtmp_fuzz::{Cuts, Entry, Happened, Side, handshake, note, run};
use libfuzzer_sys::fuzz_target;

struct Application<'b> {
    session: Server<'b, 4>,
    choice: u8,
}

impl Side for Application<'_> {
    fn next(&mut self, now: Instant, input: &mut &[u8], log: &mut Vec<Entry>) -> Result<bool, SessionError> {
        let Some(event) = self.session.next_event(now, input)? else { return Ok(false) };
        match event {
            ServerEvent::Media(fragment) => note(log, fragment),
            other => log.push(Entry::Other(format!("{other:?}"))),
        }
        // Nothing here can fail: the session keeps room for its answers.
        match event {
            ServerEvent::Connect(_) if self.choice & 1 == 0 => self.session.accept_connect().expect("it asks"),
            ServerEvent::Connect(_) if self.choice & 32 == 0 => self.session.reject_connect("no").expect("it asks"),
            ServerEvent::Connect(_) => self.session.redirect_connect("rtmp://other/live").expect("it asks"),
            ServerEvent::Publish { stream, .. } if self.choice & 2 == 0 => {
                self.session.accept(stream).expect("it asks");
            }
            ServerEvent::Publish { stream, .. } => {
                self.session.reject(stream, code::PUBLISH_BAD_NAME, "no").expect("it asks");
            }
            ServerEvent::Play { stream, request } if self.choice & 4 == 0 => {
                let reset = request.reset;
                self.session.accept_play(stream, reset).expect("it asks");
            }
            ServerEvent::Play { stream, .. } => {
                self.session.reject(stream, code::PLAY_STREAM_NOT_FOUND, "no").expect("it asks");
            }
            ServerEvent::Seek { stream, .. } if self.choice & 8 == 0 => {
                // There may be no room for now.
                let _ = self.session.notify(stream, &Status::ok(code::SEEK_NOTIFY, ""));
                let _ = self.session.end_play(stream);
            }
            ServerEvent::Call { .. } | ServerEvent::StreamLength { .. } if self.choice & 16 == 0 => {
                self.session.answer(&[1.0.into()]).expect("it is called");
            }
            _ => {}
        }
        Ok(true)
    }

    fn transmit(&mut self, now: Instant, out: &mut [u8]) -> usize {
        let announced = self.session.transmit_len();
        let written = self.session.poll_transmit(now, out);
        assert!(written == out.len() || written >= announced, "less than announced");
        written
    }

    fn wants_input(&self) -> bool {
        self.session.wants_input()
    }

    fn timeout(&mut self, now: Instant) -> Result<(), SessionError> {
        self.session.handle_timeout(now)
    }
}

fn happened(choice: u8, stream: &[u8], cut: impl FnMut() -> usize) -> Happened {
    let (mut scratch, mut control) = ([0; 1536], [0; MIN_CONTROL]);
    let buffers = SessionBuffers { scratch: &mut scratch, control: &mut control };
    let session = Server::new(buffers, ServerConfig::new(), &[choice; 32]).expect("they are large enough");
    run(Application { session, choice }, stream, cut)
}

fuzz_target!(|data: &[u8]| {
    let [choice, seed, chunks @ ..] = data else { return };
    let stream = [&handshake(), chunks].concat();
    let whole = happened(*choice, &stream, || usize::MAX);
    let mut cuts = Cuts::new(*seed);
    assert_eq!(happened(*choice, &stream, || cuts.length()), whole);
});
