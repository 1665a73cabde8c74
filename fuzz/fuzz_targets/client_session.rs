//! A client session against arbitrary bytes of a server. The events do not depend on the cuts, and the session always
//! ends. The first byte chooses the client's requests and their times, the second the cuts. The target inserts the
//! handshake before the rest.
#![no_main]

use embedded_rtmp::chunk::{ChunkStreamId, WriteProgress};
use embedded_rtmp::command::{ConnectOptions, PlayRequest, SwitchRequest};
use embedded_rtmp::message::{MessageKind, Timestamp};
use embedded_rtmp::session::{Client, ClientConfig, ClientEvent, ClientRole, SessionBuffers, SessionError};
use embedded_rtmp::time::Instant;
use embedded_rtmp_fuzz::{Cuts, Entry, Happened, Side, handshake, note, run};
use libfuzzer_sys::fuzz_target;

const FRAME: [u8; 1000] = [0x27; 1000];

struct Application<'b> {
    session: Client<'b, 4, 2, 1>,
    choice: u8,
    /// The frame that is being sent, and the number of bytes that were sent.
    open: Option<(ChunkStreamId, usize)>,
    frames: u8,
}

impl<'b> Side<'b> for Application<'b> {
    type Role = ClientRole<2, 1>;

    fn session(&mut self) -> &mut Client<'b, 4, 2, 1> {
        &mut self.session
    }

    fn next(&mut self, now: Instant, input: &mut &[u8], log: &mut Vec<Entry>) -> Result<bool, SessionError> {
        let (session, choice) = (&mut self.session, self.choice);
        let Some(event) = session.next_event(now, input)? else { return Ok(false) };
        match event {
            ClientEvent::Media(fragment) => note(log, fragment),
            other => log.push(Entry::Other(format!("{other:?}"))),
        }
        // Apart from the publication, there may be no room for now.
        match event {
            ClientEvent::Connected => {
                if choice & 1 != 0 {
                    session.publish("key").expect("no publish is in progress");
                }
                if choice & 4 != 0 {
                    let _ = session.play(&PlayRequest::new("later"));
                    let _ = session.stream_length("later");
                }
            }
            ClientEvent::Playing(stream) if choice & 8 != 0 => {
                let _ = session.seek(stream, 1_000);
                let _ = session.pause(stream, true, 1_000);
                let _ = session.switch(stream, &SwitchRequest::bit_rate("cam", "other"));
                if choice & 16 != 0 {
                    let _ = session.stop(stream);
                    let _ = session.play(&PlayRequest::new("again"));
                }
            }
            _ => {}
        }
        Ok(true)
    }

    fn transmit(&mut self, now: Instant, out: &mut [u8]) -> usize {
        let Some(stream) = self.session.publishing() else { return self.session.poll_transmit(now, out) };
        if self.open.is_none() && self.frames < 3 {
            let timestamp = Timestamp(u32::from(self.frames) * 40);
            let csid = self.session.begin_media(MessageKind::VIDEO, stream, timestamp, FRAME.len() as u32);
            self.open = csid.ok().map(|csid| (csid, 0));
            self.frames += 1;
        }
        let Some((csid, taken)) = self.open else {
            if self.choice & 2 != 0 {
                // It may have no room for now.
                let _ = self.session.close();
            }
            return self.session.poll_transmit(now, out);
        };
        let WriteProgress { taken: more, written, .. } = self.session.poll_media(csid, &FRAME[taken..], out);
        assert!(taken + more <= FRAME.len() && written <= out.len());
        self.open = self.session.media_left(csid).map(|_| (csid, taken + more));
        written
    }
}

fn happened(choice: u8, stream: &[u8], cut: impl FnMut() -> usize) -> Happened {
    let (mut scratch, mut control) = ([0; 1536], [0; 512]);
    let buffers = SessionBuffers { scratch: &mut scratch, control: &mut control };
    let mut session = Client::new(buffers, ClientConfig::new(), &[choice; 32]).expect("the buffers are large enough");
    let tc_url = ["rtmp://", "host", "/live"];
    session.connect(&ConnectOptions::new("live", &tc_url)).expect("connect fits into the control buffer");
    if choice & 1 == 0 {
        session.publish("key").expect("the commands fit into the control buffer");
    }
    if choice & 32 != 0 {
        session.play(&PlayRequest::new("cam")).expect("the commands fit into the control buffer");
    }
    run(Application { session, choice, open: None, frames: 0 }, stream, cut)
}

fuzz_target!(|data: &[u8]| {
    let [choice, seed, chunks @ ..] = data else { return };
    let stream = [&handshake(), chunks].concat();
    let whole = happened(*choice, &stream, || usize::MAX);
    let mut cuts = Cuts::new(*seed);
    let cut = happened(*choice, &stream, || cuts.length());
    // A client closes at a time of its own. After that it reports few events.
    if choice & 2 == 0 {
        assert_eq!(cut, whole);
    }
});
