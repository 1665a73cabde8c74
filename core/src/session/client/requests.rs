//! Requests of the application to a client.

use core::time::Duration;

use super::Client;
use super::commands::Argument;
use super::state::{CLOSE_ROOM, CONNECT, MIN_RESERVE, NotZero, PUBLISH_ROOM, Room, State};
use crate::amf0::{Token, parts_len, u32_to_number};
use crate::bytes::Output;
use crate::command::ConnectOptions;
use crate::message::StreamId;
use crate::session::config;
use crate::session::error::RequestError;
#[cfg(doc)]
use crate::session::event::ClientEvent;
use crate::url::KEY_PARTS;

impl<const STREAMS: usize, const PLAYS: usize, const CALLS: usize> Client<'_, STREAMS, PLAYS, CALLS> {
    /// Queues `connect`. The answer is [`ClientEvent::Connected`] or [`ClientEvent::Refused`]. Call it once, at any
    /// time. The server's time to answer begins with the next [`Self::next_event`] or [`Self::poll_transmit`]. A client
    /// that cannot play also sends the property `type`, as encoders do.
    ///
    /// # Errors
    /// It was called before, the session is over, or the control buffer is too small.
    pub fn connect(&mut self, options: &ConnectOptions<'_>) -> Result<(), RequestError> {
        if self.role.connect_asked || self.is_over() {
            return Err(RequestError::State);
        }
        self.link.queue(StreamId::CONNECTION, &mut |out, _| options.put(out, CONNECT, PLAYS == 0))?;
        self.role.connect_asked = true;
        if self.role.state == State::Idle {
            self.enter(State::ExpectConnect);
        }
        Ok(())
    }

    /// Asks to publish under `key`. See [`Self::publish_parts`].
    ///
    /// # Errors
    /// As [`Self::publish_parts`].
    pub fn publish(&mut self, key: &str) -> Result<(), RequestError> {
        self.publish_parts(&["", key, ""])
    }

    /// Asks to publish under the stream key that consists of these parts: [`Url::key_parts`](crate::url::Url::key_parts).
    /// The key may be empty. The answer is [`ClientEvent::Publishing`] or [`ClientEvent::Refused`]. This can
    /// be called at any time while nothing is published. The control buffer stores the key while the stream is published.
    ///
    /// # Errors
    /// Something is published, or the control buffer is too small for the key, or too full for now.
    pub fn publish_parts(&mut self, parts: &[&str; KEY_PARTS]) -> Result<(), RequestError> {
        let busy = self.role.publishing || matches!(self.role.state, State::ExpectStream | State::ExpectPublish);
        if busy || self.is_over() {
            return Err(RequestError::State);
        }
        let is_open = self.role.state == State::Open;
        self.store_key(parts, is_open)?;
        if is_open {
            self.proceed();
        }
        Ok(())
    }

    /// Asks to publish under the stream key that consists of these parts, on a message stream that the server has created
    /// for the application's [call](Self::call) of `createStream`. So a client that continues a stream on another
    /// connection sends only one more command there. Otherwise the same as [`Self::publish_parts`].
    ///
    /// # Errors
    /// As [`Self::publish_parts`], or the client is not connected, or awaits the answer to another request.
    pub fn publish_on(&mut self, stream: StreamId, parts: &[&str; KEY_PARTS]) -> Result<(), RequestError> {
        if self.role.state != State::Open || self.role.publishing {
            return Err(RequestError::State);
        }
        self.store_key(parts, true)?;
        (self.role.stream, self.role.has_started) = (stream, false);
        self.call_on(stream, "publish", Argument::LiveKey);
        self.expect(State::ExpectPublish);
        Ok(())
    }

    /// Stores the stream key that consists of these parts. If `calls` is set, there must be room now for all calls that
    /// have the key.
    fn store_key(&mut self, parts: &[&str; KEY_PARTS], calls: bool) -> Result<(), RequestError> {
        // With this limit no sum below can wrap.
        let key = parts_len(parts);
        let length = u16::try_from(key.saturating_add(3)).map_err(|_| RequestError::ControlBuffer(usize::MAX))?;
        // Includes the headers of further chunks.
        let keys = key.wrapping_mul(2).wrapping_add(key / 64);
        // Queue all calls or none.
        let now = if calls { keys.wrapping_add(PUBLISH_ROOM) } else { 0 };
        self.make_room(length, self.role.key, keys.wrapping_add(MIN_RESERVE), now)?;
        Output::new(self.keep_key(length)).string(parts);
        Ok(())
    }

    /// Ends the session. If a stream is published or played, the server is told that it ends. When [`Self::is_closed`]
    /// returns `true`, the connection can be closed. An application that wants to know that everything has arrived
    /// waits for [`ClientEvent::Unpublished`].
    ///
    /// # Errors
    /// A message is not finished, or the control buffer is too full for now.
    pub fn close(&mut self) -> Result<(), RequestError> {
        if self.is_over() {
            return Ok(());
        }
        if self.link.writer.has_open() {
            return Err(RequestError::State);
        }
        let has_stream = self.role.publishing || self.role.state == State::ExpectPublish;
        let key = if has_stream { self.role.key } else { 0 };
        // Queue everything or nothing.
        let room = if key > 0 { CLOSE_ROOM.wrapping_add(key.into()) } else { 0 }.wrapping_add(self.stop_room());
        if !self.link.has_room(room) {
            return Err(RequestError::ControlBuffer(room.wrapping_add(self.link.queue.stored().into())));
        }
        if key > 0 {
            self.call_connection("FCUnpublish", Argument::Key);
            self.delete_stream(self.role.stream);
        }
        self.stop_all();
        self.enter(if room > 0 { State::Closing } else { State::Closed });
        Ok(())
    }

    /// Sets how long there may be no traffic while the client is connected and plays nothing: at least 1 ms, or `None`
    /// for no limit. Traffic means a received byte or sent media. Without traffic, the session fails with
    /// [`SessionError::TimedOut`](crate::session::SessionError::TimedOut) after between one and two times this limit.
    /// The default is 90 s, which [`restart`](Client::restart) sets again. It is longer than a minute because servers
    /// that send pings send one each minute. While the client plays, the limit of [`Self::set_silence_limit`] applies.
    pub fn set_idle_limit(&mut self, limit: Option<Duration>) {
        self.role.idle = config::limit(limit).max(1);
    }

    /// Checks that the queue can store `new` bytes instead of `old` ones. Besides them it must have `reserve` bytes when it
    /// is empty, and `now` bytes must be free.
    #[inline(never)]
    pub(super) fn make_room(&mut self, new: u16, old: u16, reserve: usize, now: usize) -> Result<(), RequestError> {
        let queue = &mut self.link.queue;
        queue.compact();
        let stored = usize::from(queue.stored()).wrapping_sub(old.into()).wrapping_add(new.into());
        let reserve = self.role.reserve.max(reserve);
        let needed = stored.wrapping_add(reserve);
        if queue.size() < needed || queue.size() < stored.wrapping_add(queue.len()).wrapping_add(now) {
            return Err(RequestError::ControlBuffer(needed));
        }
        self.role.reserve = reserve;
        Ok(())
    }
}

/// Calls of the application (RTMP 1.0, section 7.2.1.2), for a client that has room for calls.
impl<const STREAMS: usize, const PLAYS: usize, const CALLS: usize> Client<'_, STREAMS, PLAYS, CALLS>
where
    Room<CALLS>: NotZero,
{
    /// Calls the procedure `name` of the server, with `values` after the command object. Returns the transaction id,
    /// which [`ClientEvent::Answer`] repeats. An unanswered call occupies its place until [`Self::forget_call`].
    ///
    /// # Errors
    /// The client is not connected, there is no room for one more call, or the control buffer is too small, or too full for
    /// now.
    pub fn call(&mut self, name: &str, values: &[Token<'_>]) -> Result<u32, RequestError> {
        let early = matches!(self.role.state, State::ExpectHandshake | State::Idle | State::ExpectConnect);
        if self.is_over() || early {
            return Err(RequestError::State);
        }
        let place = self.role.calls.iter().position(|call| *call == 0).ok_or(RequestError::TooMany(CALLS))?;
        let before = self.role.last_transaction;
        let transaction = self.next_transaction();
        let queued = self.link.queue_command(StreamId::CONNECTION, name, u32_to_number(transaction), values);
        if let Err(error) = queued {
            self.role.last_transaction = before;
            return Err(error);
        }
        if let Some(call) = self.role.calls.get_mut(place) {
            *call = transaction;
        }
        Ok(transaction)
    }

    /// Asks how long a recorded stream is. The [answer](ClientEvent::Answer) is a number of seconds.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub fn stream_length(&mut self, name: &str) -> Result<u32, RequestError> {
        self.call("getStreamLength", &[Token::String(name.into())])
    }

    /// Forgets an unanswered call. An answer that arrives later is ignored.
    pub fn forget_call(&mut self, transaction: u32) {
        self.take_call(transaction);
    }
}

impl<const STREAMS: usize, const PLAYS: usize, const CALLS: usize> Client<'_, STREAMS, PLAYS, CALLS> {
    /// Removes an unanswered call. Returns whether there was one.
    pub(super) fn take_call(&mut self, transaction: u32) -> bool {
        let call = self.role.calls.iter_mut().find(|call| **call == transaction && transaction != 0);
        call.map(|call| *call = 0).is_some()
    }
}
