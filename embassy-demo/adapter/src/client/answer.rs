//! Answers to a server that asks for a user and a password. Each answer is sent on a new connection.

use embedded_rtmp::auth::{AuthError, Authenticator, Credentials};
use embedded_rtmp::command::Status;

use crate::text::Text;

/// The largest length of an application with an answer, in bytes.
const APP: usize = 384;

/// The state of the authentication. It outlives the connections to a server.
pub(crate) struct Answer {
    authenticator: Authenticator<APP>,
    /// The description with which the server refused `connect`, and whether it was cut off because it was too long.
    refusal: Option<(Text<255>, bool)>,
    /// Random bytes for the next answer.
    nonce: [u8; 8],
    /// Whether the next connection sends the answer.
    is_due: bool,
    /// Whether the answer is new, because the last connection received the challenge.
    is_new: bool,
}

impl Answer {
    pub(crate) const NONE: Self =
        Self { authenticator: Authenticator::new(), refusal: None, nonce: [0; 8], is_due: false, is_new: false };

    /// Records that a connection begins, with new random bytes.
    pub(crate) fn begin(&mut self, entropy: &[u8; 32]) {
        let [.., a, b, c, d, e, f, g, h] = *entropy;
        self.nonce = [a, b, c, d, e, f, g, h];
    }

    /// Records that the server refused `connect`.
    pub(crate) fn note_refusal(&mut self, status: &Status<'_>) {
        let text = Text::new(status.description);
        self.refusal = Some((text, text.as_text().len() < status.description.len()));
    }

    /// Records that the connection has ended. If the server has sent a challenge, the next connection sends the answer.
    ///
    /// # Errors
    /// The server refuses the user or the password, or its challenge cannot be answered.
    pub(crate) fn conclude(&mut self, app: &str, credentials: Option<Credentials<'_>>) -> Result<(), AuthError> {
        if let (Some((refusal, is_cut)), Some(credentials)) = (self.refusal.take(), credentials) {
            let is_due = self.authenticator.answer(refusal.as_text(), app, &credentials, &self.nonce)?;
            if is_due && is_cut {
                return Err(AuthError::TooLong);
            }
            (self.is_due, self.is_new) = (is_due, is_due);
        }
        Ok(())
    }

    /// Returns whether the next connection should be made at once, because the last one received a challenge. Returns
    /// `true` once for each challenge.
    pub(crate) fn take_new(&mut self) -> bool {
        core::mem::take(&mut self.is_new)
    }

    /// Returns whether the next connection has an answer to send.
    pub(crate) fn is_due(&self) -> bool {
        self.is_due
    }

    /// Returns the application to send instead of `app`. The next connection begins without an answer, unless the
    /// server refuses this one with another challenge.
    pub(crate) fn app<'s>(&'s mut self, app: &'s str) -> &'s str {
        if !core::mem::take(&mut self.is_due) {
            self.authenticator = Authenticator::new();
        }
        self.authenticator.app().unwrap_or(app)
    }
}
