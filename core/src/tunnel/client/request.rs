//! Requests of a tunnel's client.

use super::super::{CONTENT_TYPE, MAX_BODY};
use super::{Out, Request, TunnelClient};
use crate::bytes::low_u32;
use crate::text::{Decimal, put};
use crate::time::Instant;

impl<H: AsRef<str>> TunnelClient<H> {
    /// Writes what does not belong to the session. Returns the number of bytes, and how many bytes after them are for the
    /// session.
    #[inline(never)]
    pub(super) fn prepare(&mut self, now: Instant, waiting: usize, out: &mut [u8]) -> (usize, usize) {
        if self.failed.is_some() {
            return (0, 0);
        }
        if self.out == Out::Idle
            && let Some(request) = self.due(now, waiting)
        {
            let length = if request == Request::Send { low_u32(waiting.min(MAX_BODY)) } else { 1 };
            (self.request, self.length, self.sent, self.out) = (request, length, 0, Out::Head);
            (self.since, self.send_early) = (now, false);
            self.outstanding = self.outstanding.wrapping_add(1);
        }
        let written = if self.out == Out::Head { self.put_head(out) } else { 0 };
        if written > 0 {
            self.since = now;
        }
        let left = if self.out == Out::Body { self.length.wrapping_sub(self.sent) as usize } else { 0 };
        (written, left.min(out.len().saturating_sub(written)))
    }

    /// The session has written `bytes` bytes.
    #[inline(never)]
    pub(super) fn filled(&mut self, now: Instant, bytes: usize) {
        if bytes > 0 {
            self.since = now;
            self.sent = self.sent.wrapping_add(low_u32(bytes));
            if self.sent == self.length {
                self.out = Out::Idle;
            }
        }
    }

    /// The next request, if one is due.
    pub(super) fn due(&self, now: Instant, waiting: usize) -> Option<Request> {
        let waits = self.outstanding > 0 && !(self.send_early && waiting > 0);
        if waits || self.needs_connection || self.closed || self.failed.is_some() {
            None
        } else if !self.is_open() {
            Some(Request::Open)
        } else if waiting > 0 {
            Some(Request::Send)
        } else if self.closing {
            Some(Request::Close)
        } else {
            (now >= self.since).then_some(Request::Idle)
        }
    }

    /// Writes the head of the request or the rest of it, and the body of one byte that requests without data have.
    fn put_head(&mut self, out: &mut [u8]) -> usize {
        let id = self.id.get(..usize::from(self.id_length)).unwrap_or(&[]);
        let (sequence, port, length) =
            (Decimal::new(self.sequence), Decimal::new(u32::from(self.port)), Decimal::new(self.length));
        let (verb, slash, number): (&[u8], &[u8], &[u8]) = match self.request {
            Request::Open => (b"open", b"", b"1"),
            Request::Send => (b"send", b"/", sequence.as_bytes()),
            Request::Idle => (b"idle", b"/", sequence.as_bytes()),
            Request::Close => (b"close", b"/", sequence.as_bytes()),
        };
        let host = self.host.as_ref();
        let is_ipv6 = host.contains(':');
        let (open, close): (&[u8], &[u8]) = if is_ipv6 { (b"[", b"]:") } else { (b"", b":") };
        let parts: &[&[u8]] = &[
            b"POST /",
            verb,
            slash,
            id,
            b"/",
            number,
            b" HTTP/1.1\r\nHost: ",
            open,
            host.as_bytes(),
            close,
            port.as_bytes(),
            b"\r\nUser-Agent: Shockwave Flash\r\nAccept: */*\r\nCache-Control: no-cache\r\nConnection: Keep-Alive\r\n\
              Content-Type: ",
            CONTENT_TYPE,
            b"\r\nContent-Length: ",
            length.as_bytes(),
            b"\r\n\r\n",
            if self.request == Request::Send { b"" } else { &[0] },
        ];
        let (written, is_end) = put(parts, self.sent as usize, out);
        self.sent = self.sent.wrapping_add(low_u32(written));
        if is_end {
            self.out = if self.request == Request::Send { Out::Body } else { Out::Idle };
            self.sent = 0;
            if self.request != Request::Open {
                self.sequence = self.sequence.wrapping_add(1);
            }
        }
        written
    }
}
