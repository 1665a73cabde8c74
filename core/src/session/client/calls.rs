//! Calls of the application's own (RTMP 1.0, section 7.2.1.2).

use super::{Client, State};
use crate::amf0::{Token, u32_to_number};
use crate::command;
use crate::message::StreamId;
use crate::session::RequestError;

/// Where the client has no room for calls, these do not compile.
impl<'b, const STREAMS: usize, const PLAYS: usize, const CALLS: usize> Client<'b, STREAMS, PLAYS, CALLS> {
    /// Calls a procedure of the server's: its name, and `values` behind the command object. Answers the transaction that
    /// [`ClientEvent::Answer`](super::ClientEvent::Answer) has. A call that is never answered takes its room until
    /// [`Self::forget_call`].
    ///
    /// # Errors
    /// The client is not connected, as many calls are not answered yet as there is room for, or the control buffer is too
    /// small, or too full for now.
    pub fn call(&mut self, name: &str, values: &[Token<'_>]) -> Result<u32, RequestError> {
        const { assert!(CALLS > 0, "this client has no room for calls") };
        if self.is_over() || matches!(self.state, State::ExpectHandshake | State::Idle | State::ExpectConnect) {
            return Err(RequestError::State);
        }
        let place = self.calls.iter().position(|call| *call == 0).ok_or(RequestError::TooMany(CALLS))?;
        let before = self.last_transaction;
        let transaction = self.next_transaction();
        let queued = self.link.queue(StreamId::CONNECTION, &mut |encoder, _| {
            command::put(encoder, name, u32_to_number(transaction), &[Token::Null])?;
            encoder.put_all(values).map(|_| ())
        });
        if let Err(error) = queued {
            self.last_transaction = before;
            return Err(error);
        }
        if let Some(call) = self.calls.get_mut(place) {
            *call = transaction;
        }
        Ok(transaction)
    }

    /// Asks how long a recorded stream is. The [answer](super::ClientEvent::Answer) is a number of seconds.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub fn stream_length(&mut self, name: &str) -> Result<u32, RequestError> {
        self.call("getStreamLength", &[Token::String(name.into())])
    }

    /// Awaits the answer to a call no more.
    pub fn forget_call(&mut self, transaction: u32) {
        self.is_call(transaction);
    }

    /// Whether an answer to this transaction is awaited, until now.
    pub(super) fn is_call(&mut self, transaction: u32) -> bool {
        let call = self.calls.iter_mut().find(|call| **call == transaction && transaction != 0);
        call.map(|call| *call = 0).is_some()
    }
}
