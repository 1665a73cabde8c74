// The other end of the example in sockets.md: a server in memory, behind a wire that passes few bytes at a time.

use embedded_rtmp::message::{MessageKind, Timestamp};
use embedded_rtmp::session::{ClientConfig, Server, ServerConfig, ServerEvent, SessionBuffers};

/// The most bytes that the wire passes at once in each direction.
const ROOM: usize = 100;

struct Wire<'b> {
    up: Vec<u8>,
    down: Vec<u8>,
    server: Server<'b>,
    got: Vec<u8>,
}

impl Socket for Wire<'_> {
    fn receive(&mut self, window: &mut [u8]) -> Result<usize, Error> {
        let length = self.down.len().min(ROOM).min(window.len());
        window[..length].copy_from_slice(&self.down[..length]);
        self.down.drain(..length);
        Ok(length)
    }

    fn send(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        let length = bytes.len().min(ROOM.saturating_sub(self.up.len()));
        self.up.extend_from_slice(&bytes[..length]);
        Ok(length)
    }
}

impl Wire<'_> {
    /// The server processes the bytes that have arrived, and answers.
    fn serve(&mut self, now: Instant) -> Result<(), Error> {
        let mut input = &self.up[..];
        while let Some(event) = self.server.next_event(now, &mut input)? {
            match event {
                ServerEvent::Connect(_) => self.server.accept_connect()?,
                ServerEvent::Publish { stream, .. } => self.server.accept(stream)?,
                ServerEvent::Media(fragment) => self.got.extend_from_slice(fragment.data),
                _ => {}
            }
        }
        let taken = self.up.len() - input.len();
        self.up.drain(..taken);
        let mut out = [0; 256];
        let length = self.server.poll_transmit(now, &mut out);
        self.down.extend_from_slice(&out[..length]);
        Ok(())
    }
}

/// Publishes one frame with the example's `turn`; it must arrive.
fn publish() -> Result<(), Error> {
    let mut lent = [([0; 1536], [0; 512]), ([0; 1536], [0; 512])];
    let [ours, theirs] = lent.each_mut().map(|(scratch, control)| SessionBuffers { scratch, control });
    let server = Server::new(theirs, ServerConfig::new(), &[2; 32])?;
    let mut wire = Wire { up: Vec::new(), down: Vec::new(), server, got: Vec::new() };
    let mut client = Client::new(ours, ClientConfig::new(), &[1; 32])?;
    ask(&mut client, &Url::parse("rtmp://host/live/camera")?)?;
    let mut windows = Windows { received: [0; 536], unread: 0..0, out: [0; 536], unsent: 0..0 };
    let frame: Vec<u8> = (0..9_000).map(|at| at as u8).collect();
    let (mut sending, now) = (None, Instant::from_millis(1));
    for _ in 0..400 {
        let mut publishing = None;
        turn(&mut client, &mut wire, &mut windows, &mut sending, now, |event| {
            if let ClientEvent::Publishing(stream) = event {
                publishing = Some(stream);
            }
        })?;
        if let Some(stream) = publishing {
            let csid = client.begin_media(MessageKind::VIDEO, stream, Timestamp(0), frame.len() as u32)?;
            sending = Some((csid, &frame[..]));
        }
        wire.serve(now)?;
    }
    assert!(wire.got == frame && sending.is_none(), "{} of {} bytes", wire.got.len(), frame.len());
    Ok(())
}
