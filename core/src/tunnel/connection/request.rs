//! Requests on a connection.

use super::super::request::Ask;
use super::super::{TunnelEvent, TunnelRefusal, Tunnels};
use super::{Answer, In, Out, TunnelConnection};
use crate::http::{Fields, HeadError};
use crate::time::Instant;

impl TunnelConnection {
    /// A head is complete.
    pub(super) fn begin<const N: usize>(&mut self, now: Instant, fields: Fields, tunnels: &mut Tunnels<'_, N>) {
        self.keep_alive = !fields.close && (!self.line.is_old || fields.keep_alive);
        let length = match fields.length {
            Some(length) => length,
            None if self.line.is_post => return self.fail(HeadError::LengthMissing.into(), 411),
            None => 0,
        };
        (self.left, self.incoming, self.owner, self.since) = (length, In::Skip, 0, now);
        let (id, number, is_data) = match self.line.ask {
            Ask::Send(id, number) => (id, number, true),
            Ask::Idle(id, number) | Ask::Close(id, number) => (id, number, false),
            Ask::Open if length > 0 => {
                self.answer = Answer::Closed;
                return;
            }
            Ask::Open => return self.reject(TunnelRefusal::Head(HeadError::LengthInvalid), 400),
            Ask::UnknownTunnel => return self.reject(TunnelRefusal::NoTunnel, 404),
            Ask::Page if tunnels.page().is_some() => {
                self.refusal = Some(TunnelRefusal::Page);
                self.answer = Answer::Page;
                return;
            }
            Ask::Page | Ask::Other => return self.reject(TunnelRefusal::NotFound, 404),
        };
        if length == 0 {
            return self.reject(TunnelRefusal::Head(HeadError::LengthInvalid), 400);
        }
        let Some(tunnel) = tunnels.find(&id) else { return self.reject(TunnelRefusal::NoTunnel, 404) };
        let Some(owner) = tunnels.begin(now, tunnel, number) else {
            return self.reject(TunnelRefusal::OutOfOrder, 400);
        };
        (self.tunnel, self.owner) = (tunnel, owner);
        self.answer = Answer::Session { is_poll: !is_data };
        if is_data {
            self.incoming = In::Data;
        }
    }

    /// A request is complete.
    pub(super) fn complete<const N: usize>(
        &mut self,
        now: Instant,
        tunnels: &mut Tunnels<'_, N>,
    ) -> Option<TunnelEvent> {
        (self.incoming, self.since) = (In::Answered, now);
        if core::mem::take(&mut self.is_early) {
            self.end_request(now, tunnels);
            return None;
        }
        if self.out != Out::None {
            return None;
        }
        if self.owner == 0 && self.line.ask == Ask::Open && self.answer == Answer::Closed {
            self.incoming = In::Asking;
            return Some(TunnelEvent::Open);
        }
        self.out = Out::Due;
        match self.line.ask {
            Ask::Idle(..) => self.held = Some(tunnels.hold(now)),
            Ask::Close(..) if self.owner != 0 => {
                let is_there = tunnels.has(self.tunnel, self.owner);
                self.owner = 0;
                if !is_there {
                    // The tunnel has ended, and its entry may belong to another tunnel.
                    self.answer = Answer::Status(404);
                    return None;
                }
                self.answer = Answer::Closed;
                tunnels.close(self.tunnel);
                return Some(TunnelEvent::Closed(self.tunnel));
            }
            _ => {}
        }
        None
    }

    /// Sends an error after the body was skipped.
    fn reject(&mut self, refusal: TunnelRefusal, status: u16) {
        self.refusal = Some(refusal);
        self.answer = Answer::Status(status);
    }

    /// Sends an error and stops reading.
    pub(super) fn fail(&mut self, refusal: TunnelRefusal, status: u16) {
        self.refusal = Some(refusal);
        (self.keep_alive, self.incoming) = (false, In::Answered);
        self.answer_with(Answer::Status(status));
    }

    pub(super) fn answer_with(&mut self, answer: Answer) {
        (self.answer, self.out) = (answer, Out::Due);
    }

    /// The request and its response are complete.
    pub(super) fn end_request<const N: usize>(&mut self, now: Instant, tunnels: &mut Tunnels<'_, N>) {
        if self.owner != 0 && tunnels.has(self.tunnel, self.owner) {
            tunnels.end(now, self.tunnel);
        }
        (self.owner, self.since) = (0, now);
        self.incoming = if self.keep_alive { In::Head } else { In::Over };
    }
}

/// The status for a head that cannot be parsed.
pub(super) const fn status(error: HeadError) -> u16 {
    match error {
        HeadError::TooLong => 431,
        HeadError::LengthTooLarge => 413,
        HeadError::Chunked => 501,
        _ => 400,
    }
}
