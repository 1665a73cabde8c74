//! A server session and its application.

use embedded_rtmp::command::{Status, code};
use embedded_rtmp::session::{
    MIN_CONTROL, Server, ServerConfig, ServerEvent, ServerRole, SessionBuffers, SessionError,
};
use embedded_rtmp::time::Instant;

use crate::{Entry, Side, note};

/// Creates a session whose application decides as `choice` selects, and passes it to `run`.
pub fn serving<T>(choice: u8, config: ServerConfig, run: impl FnOnce(Application<'_>) -> T) -> T {
    let (mut scratch, mut control) = ([0; 1536], [0; MIN_CONTROL]);
    let buffers = SessionBuffers { scratch: &mut scratch, control: &mut control };
    let session = Server::new(buffers, config, &[choice; 32]).expect("the buffers are large enough");
    run(Application { session, choice })
}

/// A server session with an application, whose decisions `choice` selects.
#[derive(Debug)]
pub struct Application<'b> {
    session: Server<'b, 4>,
    choice: u8,
}

impl<'b> Side<'b> for Application<'b> {
    type Role = ServerRole;

    fn session(&mut self) -> &mut Server<'b, 4> {
        &mut self.session
    }

    fn next(&mut self, now: Instant, input: &mut &[u8], log: &mut Vec<Entry>) -> Result<bool, SessionError> {
        let (session, choice) = (&mut self.session, self.choice);
        let Some(event) = session.next_event(now, input)? else { return Ok(false) };
        match event {
            ServerEvent::Media(fragment) => note(log, fragment),
            other => log.push(Entry::Other(format!("{other:?}"))),
        }
        // None of these calls can fail: the session reserves room for its answers.
        let answered = match event {
            ServerEvent::Connect(_) if choice & 1 == 0 => session.accept_connect(),
            ServerEvent::Connect(_) if choice & 32 == 0 => session.reject_connect("no"),
            ServerEvent::Connect(_) => session.redirect_connect("rtmp://other/live"),
            ServerEvent::Publish { stream, .. } if choice & 2 == 0 => session.accept(stream),
            ServerEvent::Publish { stream, .. } => session.reject(stream, code::PUBLISH_BAD_NAME, "no"),
            ServerEvent::Play { stream, request } if choice & 4 == 0 => {
                let reset = request.reset;
                session.accept_play(stream, reset)
            }
            ServerEvent::Play { stream, .. } => session.reject(stream, code::PLAY_STREAM_NOT_FOUND, "no"),
            ServerEvent::Seek { stream, .. } if choice & 8 == 0 => {
                // There may be no room for now.
                let _ = session.notify(stream, &Status::ok(code::SEEK_NOTIFY, ""));
                let _ = session.end_play(stream);
                Ok(())
            }
            ServerEvent::Call { .. } | ServerEvent::StreamLength { .. } if choice & 16 == 0 => {
                session.answer(&[1.0.into()])
            }
            _ => Ok(()),
        };
        answered.expect("the request waits for an answer");
        Ok(true)
    }

    fn transmit(&mut self, now: Instant, out: &mut [u8]) -> usize {
        let announced = self.session.transmit_len();
        let written = self.session.poll_transmit(now, out);
        assert!(written == out.len() || written >= announced, "fewer bytes were written than announced");
        written
    }
}
