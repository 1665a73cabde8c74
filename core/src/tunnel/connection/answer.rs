//! Responses on a connection.

use super::super::{CONTENT_TYPE, MAX_BODY, MIN_ANSWER, Tunnels};
use super::{Answer, In, Out, TunnelConnection};
use crate::bytes::low_u32;
use crate::text::{Decimal, put};
use crate::time::Instant;

impl TunnelConnection {
    /// Writes bytes to send to the front of `out` and returns their number. Call it after every other call, until it
    /// returns 0.
    ///
    /// `waiting` is the number of bytes that the session of [`Self::tunnel`] has to send. When a response begins, its head
    /// announces that length, at most [`MAX_BODY`]. `fill` writes bytes of the session to the slice that it is given and
    /// returns their number. It must supply the announced number of bytes, in this call or in later ones.
    #[must_use = "the output must be sent"]
    pub fn poll_transmit<const N: usize>(
        &mut self,
        now: Instant,
        out: &mut [u8],
        tunnels: &mut Tunnels<'_, N>,
        waiting: usize,
        fill: impl FnOnce(&mut [u8]) -> usize,
    ) -> usize {
        let (written, room) = self.prepare(now, out, tunnels, waiting);
        let filled = match out.get_mut(written..written.wrapping_add(room)) {
            None | Some([]) => 0,
            Some(room) => fill(room).min(room.len()),
        };
        if self.out == Out::Body {
            self.sent = self.sent.wrapping_add(low_u32(filled));
            if self.sent == self.length {
                self.end_answer(now, tunnels);
            }
        }
        let written = written.wrapping_add(filled);
        self.progress(now, written);
        written
    }

    /// Like [`Self::poll_transmit`], for a session that does not know beforehand how many bytes it will send, such as a
    /// player's. The body of the response is what `fill` writes in this one call, and the length is written into the head
    /// afterwards. `wants` says whether the session has anything to send.
    ///
    /// Such a response is only written if `out` has at least [`MIN_ANSWER`] bytes.
    #[must_use = "the output must be sent"]
    pub fn poll_answer<const N: usize>(
        &mut self,
        now: Instant,
        out: &mut [u8],
        tunnels: &mut Tunnels<'_, N>,
        wants: bool,
        fill: impl FnOnce(&mut [u8]) -> usize,
    ) -> usize {
        if self.out != Out::Due || !matches!(self.answer, Answer::Session { .. }) {
            return self.poll_transmit(now, out, tunnels, 0, fill);
        }
        if out.len() < MIN_ANSWER {
            return 0;
        }
        let (head, room) = {
            let waiting = if wants { out.len() } else { 0 };
            self.prepare(now, out, tunnels, waiting)
        };
        let filled = match out.get_mut(head..head.wrapping_add(room)) {
            None | Some([]) => 0,
            Some(room) => fill(room).min(room.len()),
        };
        if room > 0 {
            self.shorten(filled, out);
        }
        if self.out == Out::Body {
            self.end_answer(now, tunnels);
        }
        let written = head.wrapping_add(filled);
        self.progress(now, written);
        written
    }

    /// Corrects the head at the front of `out`: the body has become shorter than announced.
    #[inline(never)]
    fn shorten(&mut self, filled: usize, out: &mut [u8]) {
        let width = Decimal::new(self.length.wrapping_add(1)).as_bytes().len();
        (self.length, self.sent) = (low_u32(filled), 0);
        self.put_answer(None, width, out);
    }

    /// Writes what does not belong to the session. Returns the number of bytes, and how many bytes after them are for the
    /// session.
    #[inline(never)]
    fn prepare<const N: usize>(
        &mut self,
        now: Instant,
        out: &mut [u8],
        tunnels: &mut Tunnels<'_, N>,
        waiting: usize,
    ) -> (usize, usize) {
        if self.out == Out::Due {
            self.begin_answer(now, tunnels, waiting);
        }
        let written = if self.out == Out::Head { self.put_answer(tunnels.page(), 0, out) } else { 0 };
        let left = if self.out == Out::Body { self.length.wrapping_sub(self.sent) as usize } else { 0 };
        (written, left.min(out.len().saturating_sub(written)))
    }

    /// Returns `true` if [`Self::poll_transmit`] has something to write when the session has `waiting` bytes to send.
    pub fn wants_transmit(&self, now: Instant, waiting: usize) -> bool {
        match self.out {
            Out::None => false,
            Out::Due => !self.is_held(now, waiting),
            Out::Head | Out::Body => true,
        }
    }

    fn is_held(&self, now: Instant, waiting: usize) -> bool {
        waiting == 0 && self.owner != 0 && self.held.is_some_and(|held| now < held)
    }

    fn begin_answer<const N: usize>(&mut self, now: Instant, tunnels: &mut Tunnels<'_, N>, waiting: usize) {
        if let Answer::Session { is_poll } = self.answer {
            if self.tunnel(tunnels).is_none() {
                // The tunnel has ended.
                (self.owner, self.answer) = (0, Answer::Status(404));
            } else if self.is_held(now, waiting) {
                return;
            } else {
                self.hint = tunnels.hint(self.tunnel, is_poll, waiting == 0);
            }
        }
        self.held = None;
        self.keep_alive &= !self.is_last;
        // Ids, pages and hints are written together with the head and are not counted here.
        self.length = match self.answer {
            Answer::Session { .. } => low_u32(waiting.min(MAX_BODY.wrapping_sub(1))),
            _ => 0,
        };
        (self.out, self.sent) = (Out::Head, 0);
    }

    /// Writes the head or the rest of it, and the body if it does not belong to a session. The length of the body is padded
    /// to `width` digits.
    fn put_answer(&mut self, page: Option<&str>, width: usize, out: &mut [u8]) -> usize {
        let hint = [self.hint];
        let (status, front, newline): (u16, &[u8], &[u8]) = match &self.answer {
            Answer::Session { .. } => (200, &hint, b""),
            Answer::Id(id) => (200, id, b"\n"),
            Answer::Closed => (200, &[0], b""),
            Answer::Page => (200, page.unwrap_or("").as_bytes(), b""),
            Answer::Status(status) => (*status, b"", b""),
        };
        let length = self.length.saturating_add(low_u32(front.len())).saturating_add(low_u32(newline.len()));
        let (code, length) = (Decimal::new(u32::from(status)), Decimal::new(length).padded(width));
        let reason: &[u8] = match status {
            200 => b" OK",
            404 => b" Not Found",
            408 => b" Request Timeout",
            411 => b" Length Required",
            413 => b" Content Too Large",
            414 => b" URI Too Long",
            431 => b" Request Header Fields Too Large",
            501 => b" Not Implemented",
            503 => b" Service Unavailable",
            _ => b" Bad Request",
        };
        let kind: &[u8] = match self.answer {
            Answer::Page | Answer::Status(_) => b"text/plain",
            _ => CONTENT_TYPE,
        };
        // Some clients accept only `HTTP/1.1 200`.
        let parts: &[&[u8]] = &[
            b"HTTP/1.1 ",
            code.as_bytes(),
            reason,
            b"\r\nContent-Type: ",
            kind,
            b"\r\nContent-Length: ",
            length.as_bytes(),
            b"\r\nCache-Control: no-cache\r\nConnection: ",
            if self.keep_alive { b"Keep-Alive" } else { b"close" },
            b"\r\n\r\n",
            if self.line.is_head { b"" } else { front },
            newline,
        ];
        let (written, is_end) = put(parts, self.sent as usize, out);
        self.sent = self.sent.wrapping_add(low_u32(written));
        if is_end {
            (self.out, self.sent) = (Out::Body, 0);
        }
        written
    }

    fn end_answer<const N: usize>(&mut self, now: Instant, tunnels: &mut Tunnels<'_, N>) {
        self.out = Out::None;
        match self.incoming {
            In::Data | In::Skip => self.is_early = true,
            _ => self.end_request(now, tunnels),
        }
    }
}
