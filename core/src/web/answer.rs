//! Answers on a connection.

use super::connection::{Answer, Out, WebConnection};
use super::fragments::Muxed;
use super::framing::{Framing, MAX_PART, NORMAL, accept_key};
use super::page;
use super::request::{Path, WebFormat, WebResource};
use super::status::{Json, LAST};
use super::{StreamStatus, WebStatus};
use crate::bytes::{Output, copy, low_u16, low_u32};
use crate::media::mp4::Configuration;
use crate::relay::{Generation, Overtaken, Player, Ring};
use crate::text::{Decimal, put};
use crate::time::Instant;

/// A part of a stream is written directly to the output if that has at least this number of bytes. Otherwise it is written
/// through the stored text.
const DIRECT: usize = 64;

/// The policy of the page: nothing from other hosts, and nothing inside of the page.
const POLICY: &[u8] = b"\r\nContent-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self'; connect-src 'self'; media-src 'self' blob:; frame-ancestors 'none'; base-uri 'none'";

/// The fields of every answer except that which opens a WebSocket. URLs may have tokens, so they must not be sent to other
/// sites, and no cache may store the answer.
const COMMON: &[u8] = b"\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\
    \r\nCross-Origin-Resource-Policy: same-origin";

impl<const SIZE: usize> WebConnection<SIZE> {
    /// Writes bytes to send to the front of `out` and returns their number, except those of a stream and of the status.
    /// Call it after every other call, until it returns 0.
    #[must_use = "the output must be sent"]
    pub fn poll_transmit(&mut self, now: Instant, out: &mut [u8]) -> usize {
        let mut written: usize = 0;
        loop {
            let room = out.get_mut(written..).unwrap_or_default();
            let before = written;
            written = written.wrapping_add(match self.out {
                Out::Head => self.put_head(room),
                Out::Body => self.put_body(now, room),
                Out::Stream | Out::Status(..) | Out::LastPart | Out::Ending => self.flush(room),
                Out::None => 0,
            });
            let has_more = self.answer_control() || self.end_parts();
            if self.out == Out::Ending && self.start == self.end {
                self.end_answer(now);
            }
            if written >= out.len() || written == before && !has_more {
                break;
            }
        }
        self.progress(now, written);
        written
    }

    /// Writes the status, and what [`Self::poll_transmit`] writes. Call it instead of that while [`Self::is_status`].
    /// `stream` returns a stream that may be listed, by a number from 0 on, and `None` after the last one.
    ///
    /// A stream whose name is longer than half of the memory of the connection may be left out.
    #[must_use = "the output must be sent"]
    pub fn poll_status<'s>(
        &mut self,
        now: Instant,
        out: &mut [u8],
        status: &WebStatus<'_>,
        stream: &mut dyn FnMut(usize) -> Option<StreamStatus<'s>>,
    ) -> usize {
        let mut written = self.poll_transmit(now, out);
        while let Out::Status(part, has_streams) = self.out
            && self.start == self.end
            && written < out.len()
        {
            let (before, after) = self.framing.overhead();
            let text = &mut self.stored.texts.bytes;
            let end = text.len().saturating_sub(after);
            let mut json = Json(Output::new(text.get_mut(before..end).unwrap_or_default()));
            let entry = usize::from(part).checked_sub(1).map(&mut *stream);
            match entry {
                None => json.server(status),
                Some(Some(entry)) => json.stream(&entry, !has_streams),
                Some(None) => json.0.put(LAST),
            }
            let is_fit = json.0.needed <= json.0.buffer.len();
            let length = if is_fit { json.0.needed } else { 0 };
            let (start, end) = match self.framing {
                Framing::Close => (0, length),
                framing => (0, framing.enclose(text, length)),
            };
            (self.start, self.end) = (start, low_u16(end));
            self.out = match entry {
                Some(None) => Out::LastPart,
                _ => Out::Status(part.saturating_add(1), has_streams || is_fit && part > 0),
            };
            written = written.wrapping_add(self.poll_transmit(now, out.get_mut(written..).unwrap_or_default()));
        }
        written
    }

    /// Writes a stream, and what [`Self::poll_transmit`] writes. Call it instead of that while [`Self::is_streaming`]: if the
    /// ring has more, if `out` has more room, and with an empty `out` if there is no room, so that a viewer that is too slow
    /// is found. The rules are those of [`Player::pump`].
    ///
    /// `player`, `ring` and `generation` are those of [`Turn`](crate::relay::Turn). The stream ends when its publisher has
    /// left and the grace time is over. Then the player must leave the directory.
    ///
    /// # Errors
    /// The viewer is too slow. The connection must be closed. Ignore what was written to `out`.
    pub fn poll_stream(
        &mut self,
        now: Instant,
        out: &mut [u8],
        player: &mut Player,
        ring: Option<&Ring<'_>>,
        generation: Generation,
    ) -> Result<usize, Overtaken> {
        if self.out == Out::Head && self.sent == 0 {
            match &mut self.muxed {
                Muxed::Flv(tags) => {
                    let (audio, video) = ring.map_or((true, true), Ring::kinds);
                    tags.begin_file(audio, video);
                }
                Muxed::Mp4(_) if self.framing != Framing::WebSocket => {
                    let codecs = ring.map(|ring| Configuration::new(ring.cached()).codecs());
                    let codecs = codecs.filter(|codecs| !codecs.as_str().is_empty());
                    self.codecs = codecs.and_then(|codecs| self.stored.store_more(codecs.as_str().as_bytes()));
                }
                Muxed::Mp4(_) => {}
            }
        }
        let mut written = self.poll_transmit(now, out);
        while self.out == Out::Stream && self.start == self.end {
            let room = out.get_mut(written..).unwrap_or_default();
            let is_direct = room.is_empty() || room.len() >= DIRECT || self.framing == Framing::Close;
            let target = if is_direct { room } else { self.stored.texts.bytes.get_mut(..DIRECT).unwrap_or_default() };
            let (before, after) = self.framing.overhead();
            let end = target.len().saturating_sub(after).min(before.saturating_add(MAX_PART));
            let payload = target.get_mut(before..end).unwrap_or_default();
            let (filled, has_ended) = player.pump_into(ring, generation, &mut self.muxed, now, payload)?;
            let length = self.framing.enclose(target, filled);
            let length = if self.framing == Framing::Close { filled } else { length };
            if is_direct {
                written = written.wrapping_add(length);
                self.progress(now, length);
            } else {
                (self.start, self.end) = (0, low_u16(length));
                written = written.wrapping_add(self.flush(out.get_mut(written..).unwrap_or_default()));
            }
            if has_ended && self.start == self.end {
                self.begin_end(NORMAL);
                written = written.wrapping_add(self.poll_transmit(now, out.get_mut(written..).unwrap_or_default()));
            }
            if filled == 0 {
                break;
            }
        }
        Ok(written)
    }

    /// After the last part of the status, prepares the end of the answer. Returns whether it did.
    fn end_parts(&mut self) -> bool {
        let is_due = self.out == Out::LastPart && self.start == self.end;
        if is_due {
            self.begin_end(NORMAL);
        }
        is_due
    }

    /// Writes the bytes that wait.
    pub(super) fn flush(&mut self, out: &mut [u8]) -> usize {
        let rest = self.stored.texts.bytes.get(usize::from(self.start)..usize::from(self.end)).unwrap_or_default();
        let written = copy(rest, out);
        self.start = self.start.wrapping_add(low_u16(written));
        written
    }

    /// Stores the hash of the key of the request.
    pub(super) fn store_accept_key(&mut self) {
        let mut accepted = [0; 28];
        accept_key(self.stored.websocket_key(), &mut accepted);
        copy(&accepted, &mut self.stored.texts.bytes);
    }

    /// Writes the head or the rest of it.
    fn put_head(&mut self, out: &mut [u8]) -> usize {
        let (written, is_end) = match (self.answer, self.framing) {
            (Answer::Accepted, Framing::WebSocket) => {
                let parts: &[&[u8]] = &[
                    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ",
                    self.stored.texts.bytes.get(..28).unwrap_or_default(),
                    b"\r\n\r\n",
                ];
                put(parts, self.sent as usize, out)
            }
            _ => self.put_plain_head(out),
        };
        self.sent = self.sent.wrapping_add(low_u32(written));
        if is_end {
            let is_accepted = self.answer == Answer::Accepted && !self.stored.is_head;
            (self.sent, self.start, self.end) = (0, 0, 0);
            self.out = match self.path {
                Path::Resource(WebResource::Stream(_)) if is_accepted => Out::Stream,
                Path::Resource(WebResource::Status) if is_accepted => Out::Status(0, false),
                _ => Out::Body,
            };
        }
        written
    }

    fn put_plain_head(&mut self, out: &mut [u8]) -> (usize, bool) {
        let (line, kind, length) = match self.answer {
            Answer::Status(status) => (reason(status), &b"text/plain"[..], Some(self.body().len())),
            Answer::Accepted => match self.path {
                Path::Resource(WebResource::Page) => (OK, &b"text/html; charset=utf-8"[..], Some(self.body().len())),
                Path::Script => (OK, &b"text/javascript; charset=utf-8"[..], Some(self.body().len())),
                Path::Style => (OK, &b"text/css; charset=utf-8"[..], Some(self.body().len())),
                Path::Resource(WebResource::Status) => (OK, &b"application/json"[..], None),
                Path::Resource(WebResource::Stream(WebFormat::Flv)) => (OK, &b"video/x-flv"[..], None),
                Path::Resource(WebResource::Stream(WebFormat::Mp4)) => (OK, &b"video/mp4"[..], None),
            },
        };
        if length.is_none() && self.framing == Framing::Close {
            self.keep_alive = false;
        }
        let digits = Decimal::new(low_u32(length.unwrap_or(0)));
        let (length_name, digits): (&[u8], &[u8]) = match (length, self.framing) {
            (Some(_), _) => (b"\r\nContent-Length: ", digits.as_bytes()),
            (None, Framing::Close) => (b"", b""),
            (None, _) => (b"\r\nTransfer-Encoding: chunked", b""),
        };
        let more: &[u8] = match self.answer {
            Answer::Status(401) => b"\r\nWWW-Authenticate: Basic realm=\"stream\", charset=\"UTF-8\"",
            Answer::Status(405) => b"\r\nAllow: GET, HEAD",
            Answer::Status(426) => b"\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13",
            Answer::Accepted if matches!(self.path, Path::Resource(WebResource::Page)) => POLICY,
            _ => b"",
        };
        let stored = |(start, length): (u16, u16)| {
            let start = usize::from(start);
            self.stored.texts.bytes.get(start..start.wrapping_add(usize::from(length)))
        };
        let origin = self.origin.and_then(stored);
        let codecs = self.codecs.filter(|_| self.answer == Answer::Accepted).and_then(stored);
        let (codecs_name, codecs_end): (&[u8], &[u8]) =
            if codecs.is_some() { (b"; codecs=\"", b"\"") } else { (b"", b"") };
        let allow: &[u8] = if origin.is_some() { b"\r\nVary: Origin\r\nAccess-Control-Allow-Origin: " } else { b"" };
        let parts: &[&[u8]] = &[
            b"HTTP/1.1 ",
            line,
            b"\r\nContent-Type: ",
            kind,
            codecs_name,
            codecs.unwrap_or_default(),
            codecs_end,
            length_name,
            digits,
            COMMON,
            more,
            allow,
            origin.unwrap_or_default(),
            b"\r\nConnection: ",
            if self.keep_alive { b"keep-alive" } else { b"close" },
            b"\r\n\r\n",
        ];
        put(parts, self.sent as usize, out)
    }

    /// The body of an answer whose length is known.
    fn body(&self) -> &'static [u8] {
        match (self.answer, self.path) {
            (Answer::Status(status), _) => reason(status),
            (_, Path::Resource(WebResource::Page)) => page::HTML.as_bytes(),
            (_, Path::Script) => page::SCRIPT.as_bytes(),
            (_, Path::Style) => page::STYLE.as_bytes(),
            (_, Path::Resource(_)) => b"",
        }
    }

    fn put_body(&mut self, now: Instant, out: &mut [u8]) -> usize {
        let body = if self.stored.is_head { b"" } else { self.body() };
        let (written, is_end) = put(&[body], self.sent as usize, out);
        self.sent = self.sent.wrapping_add(low_u32(written));
        if is_end {
            self.end_answer(now);
        }
        written
    }
}

const OK: &[u8] = b"200 OK";

/// The status with its reason, which is the body, too.
const fn reason(status: u16) -> &'static [u8] {
    match status {
        401 => b"401 Unauthorized",
        403 => b"403 Forbidden",
        404 => b"404 Not Found",
        405 => b"405 Method Not Allowed",
        408 => b"408 Request Timeout",
        413 => b"413 Content Too Large",
        414 => b"414 URI Too Long",
        421 => b"421 Misdirected Request",
        426 => b"426 Upgrade Required",
        429 => b"429 Too Many Requests",
        431 => b"431 Request Header Fields Too Large",
        503 => b"503 Service Unavailable",
        _ => b"400 Bad Request",
    }
}
