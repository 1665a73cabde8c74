//! A TCP connection that never blocks, in an edge-triggered event loop.

use std::io::{self, Read, Write};

use mio::event::Event;
use mio::net::TcpStream;

use crate::net::retry;

/// The buffers are the caller's. The socket stores only bytes that could not be passed on.
#[derive(Debug)]
pub(super) struct Socket {
    stream: TcpStream,
    /// A read may return bytes. False after a read that emptied the system's buffer, until the next event.
    is_readable: bool,
    /// A write may succeed. False after a write that filled the system's buffer, until the next event.
    is_writable: bool,
    /// The peer has closed its side, and no further event announces that.
    is_read_closed: bool,
    has_ended: bool,
    /// Bytes that were received and not consumed.
    input: Vec<u8>,
    /// Bytes that the system did not take yet.
    output: Vec<u8>,
}

impl Socket {
    pub(super) fn new(stream: TcpStream) -> Self {
        let (is_readable, is_writable, is_read_closed, has_ended) = (false, false, false, false);
        Self { stream, is_readable, is_writable, is_read_closed, has_ended, input: Vec::new(), output: Vec::new() }
    }

    /// Remembers what an event says.
    pub(super) fn notice(&mut self, event: &Event) {
        self.is_readable |= event.is_readable() || event.is_error();
        self.is_writable |= event.is_writable();
        self.is_read_closed |= event.is_read_closed();
    }

    /// Whether all that the peer ever sends has been received and consumed. `drops_input` is whether bytes that were not
    /// consumed do not matter.
    pub(super) fn is_ended(&self, drops_input: bool) -> bool {
        self.has_ended && (drops_input || self.input.is_empty())
    }

    /// Whether bytes wait until the system takes them.
    pub(super) fn has_output(&self) -> bool {
        !self.output.is_empty()
    }

    /// Reads once if `wants_input`, and passes all bytes that were not consumed to `consume`, which takes bytes off the front.
    /// Returns whether anything was read or consumed, and what `consume` returned.
    pub(super) fn receive<R>(
        &mut self,
        buffer: &mut [u8],
        wants_input: bool,
        consume: impl FnOnce(&mut &[u8]) -> R,
    ) -> io::Result<(bool, R)> {
        let before = self.input.len();
        let (stored, free) = buffer.split_at_mut(before);
        stored.copy_from_slice(&self.input);
        let (room, mut length, mut has_moved) = (free.len(), 0, false);
        if wants_input && self.is_readable && !self.has_ended && room > 0 {
            match retry(|| self.stream.read(free))? {
                None => self.is_readable = false,
                Some(read) => {
                    (length, has_moved, self.has_ended) = (read, true, read == 0);
                    // If the read was short, the next bytes bring an event.
                    self.is_readable = read == room || self.is_read_closed;
                }
            }
        }
        let filled = before + length;
        let mut rest = &buffer[..filled];
        let result = consume(&mut rest);
        has_moved |= rest.len() < filled;
        self.input.clear();
        self.input.extend_from_slice(rest);
        Ok((has_moved, result))
    }

    /// Sends the bytes that wait, then what `fill` puts into its room and returns the length of. The room is empty as long as
    /// bytes wait. Returns whether anything was sent.
    pub(super) fn send(&mut self, buffer: &mut [u8], fill: impl FnOnce(&mut [u8]) -> usize) -> io::Result<bool> {
        let waiting = std::mem::take(&mut self.output);
        let sent = self.write(&waiting)?;
        let is_free = self.output.is_empty() && self.is_writable;
        let filled = fill(if is_free { &mut *buffer } else { &mut [] });
        self.write(&buffer[..filled])?;
        Ok(sent > 0 || filled > 0)
    }

    /// Writes as much as the system takes, and stores the rest. Returns the number of bytes written.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut sent = 0;
        if self.is_writable && !bytes.is_empty() {
            sent = retry(|| self.stream.write(bytes))?.unwrap_or(0);
            self.is_writable = sent == bytes.len();
        }
        self.output.extend_from_slice(&bytes[sent..]);
        Ok(sent)
    }
}
