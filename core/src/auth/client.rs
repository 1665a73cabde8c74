//! The client's side of both kinds.

use core::fmt;

use heapless::String;
use zeroize::Zeroize as _;

use super::hash::{BASE64, HEX, md5_base64, md5_hex};
use super::value;
use crate::amf0::Text;
use crate::fmt::impl_format;

/// The default limit for [`Authenticator::app`]. It is enough for known servers if the user's name and the application
/// have at most 100 bytes together.
const DEFAULT_ROOM: usize = 384;

/// The most refusals that are answered: one that asks for authentication, and one with a challenge.
const MAX_ANSWERS: u8 = 2;

/// A user and a password. Neither is ever logged or formatted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Credentials<'a> {
    /// The name of the user, as it is sent. It must not contain `&`, `?`, spaces or control characters.
    pub user: &'a str,
    /// The password. It is never sent.
    pub password: &'a str,
}

impl fmt::Debug for Credentials<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials")
    }
}

impl_format!(['a] Credentials<'a>, _ => "Credentials");

/// Why a client cannot authenticate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum AuthError {
    /// The server refuses the user and the password.
    Rejected,
    /// The server does not know the user.
    UnknownUser,
    /// The server asks for a kind of authentication other than `adobe` and `llnw`.
    Kind,
    /// The server's challenge is incomplete, or the server has sent more than one.
    Challenge,
    /// The name of the user contains `&`, `?`, a space or a control character.
    User,
    /// [`Authenticator::app`] has no room for the application and the answer.
    TooLong,
}

impl fmt::Display for AuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rejected => "the server refuses the user and the password",
            Self::UnknownUser => "the server does not know the user",
            Self::Kind => "the server asks for an unknown kind of authentication",
            Self::Challenge => "the server's challenge is incomplete or repeated",
            Self::User => "the name of the user contains '&', '?', a space or a control character",
            Self::TooLong => "the application and the answer to the challenge are too long",
        })
    }
}

impl core::error::Error for AuthError {}

/// The client's side of the authentication, over several connections.
///
/// When a server refuses `connect`, pass the description of the refusal to [`Self::answer`]. If that returns `true`,
/// close the connection and connect again, with [`Self::app`] as the application of `connect` and of tcUrl. Connect
/// only to the same host. Another server could have passed on the challenge of this host, and would use the answer to
/// log in here.
///
/// `ROOM` is the largest length of [`Self::app`], in bytes.
#[derive(Clone)]
pub struct Authenticator<const ROOM: usize = DEFAULT_ROOM> {
    app: String<ROOM>,
    answers: u8,
}

impl<const ROOM: usize> Authenticator<ROOM> {
    /// Creates an authenticator that has seen no refusal.
    pub const fn new() -> Self {
        Self { app: String::new(), answers: 0 }
    }

    /// Returns the application with the answer to the last refusal, or `None` before the first one.
    pub fn app(&self) -> Option<&str> {
        Some(self.app.as_str()).filter(|_| self.answers > 0)
    }

    /// Reads the description of a refused `connect`. Returns `true` if the client should connect again with [`Self::app`].
    /// Returns `false` if the refusal is not about authentication.
    ///
    /// `app` is the application without an answer. `nonce` is 8 random bytes, which must be new for each call.
    ///
    /// # Errors
    /// The server refuses the credentials, or its challenge cannot be answered. Connecting again with the same
    /// credentials has the same result.
    pub fn answer(
        &mut self,
        description: Text<'_>,
        app: &str,
        credentials: &Credentials<'_>,
        nonce: &[u8; 8],
    ) -> Result<bool, AuthError> {
        let text = description.as_bytes();
        let query = after(text, "?");
        let reason = query.and_then(|query| value(query, "reason"));
        match reason {
            Some(b"authfailed") => return Err(AuthError::Rejected),
            Some(b"nosuchuser") => return Err(AuthError::UnknownUser),
            Some(b"needauth") => {}
            None if after(text, "code=403 need auth").is_some() => {}
            _ => return Ok(false),
        }
        let Some(kind) = kind(text) else { return Ok(false) };
        let kind = kind?;
        if self.answers >= MAX_ANSWERS || (reason.is_none() && self.answers > 0) {
            return Err(AuthError::Challenge);
        }
        if credentials.user.bytes().any(|byte| matches!(byte, b'&' | b'?' | ..=b' ' | 0x7F)) {
            return Err(AuthError::User);
        }
        self.app.clear();
        // Other clients send a question mark here, even if the application has one already.
        self.put(&[app, "?authmod=", kind.name(), "&user=", credentials.user])?;
        if let (Some(_), Some(query)) = (reason, query) {
            match kind {
                Kind::Adobe => self.answer_adobe(query, credentials, nonce)?,
                Kind::Limelight => self.answer_limelight(query, app, credentials, nonce)?,
            }
        }
        self.answers = self.answers.saturating_add(1);
        Ok(true)
    }

    fn answer_adobe(&mut self, query: &[u8], credentials: &Credentials<'_>, nonce: &[u8; 8]) -> Result<(), AuthError> {
        let salt = value(query, "salt").ok_or(AuthError::Challenge)?;
        let opaque = value(query, "opaque");
        let challenge = opaque.or_else(|| value(query, "challenge")).ok_or(AuthError::Challenge)?;
        let mut secret = [0; BASE64];
        md5_base64(&[credentials.user.as_bytes(), salt, credentials.password.as_bytes()], &mut secret);
        let mut own = [0; 16];
        let own = hex(nonce, &mut own);
        let mut response = [0; BASE64];
        let response = md5_base64(&[&secret, challenge, own.as_bytes()], &mut response);
        secret.zeroize();
        self.put(&["&challenge=", own, "&response=", response])?;
        match opaque {
            Some(opaque) => self.put(&["&opaque="]).and_then(|()| self.repeat(opaque)),
            None => Ok(()),
        }
    }

    fn answer_limelight(
        &mut self,
        query: &[u8],
        app: &str,
        credentials: &Credentials<'_>,
        nonce: &[u8; 8],
    ) -> Result<(), AuthError> {
        let challenge = value(query, "nonce").ok_or(AuthError::Challenge)?;
        let (mut secret, mut action, mut response, mut own) = ([0; HEX], [0; HEX], [0; HEX], [0; 16]);
        let (user, password) = (credentials.user.as_bytes(), credentials.password.as_bytes());
        md5_hex(&[user, b":live:", password], &mut secret);
        let path = app.as_bytes().split(|byte| *byte == b'?').next().unwrap_or_default();
        let instance: &[u8] = if path.split(|byte| *byte == b'/').nth(1).is_some() { b"" } else { b"/_definst_" };
        let action = md5_hex(&[b"publish:/", path, instance], &mut action);
        let own = hex(nonce, &mut own);
        let parts = [&secret[..], b":", challenge, b":00000001:", own.as_bytes(), b":auth:", action.as_bytes()];
        let response = md5_hex(&parts, &mut response);
        secret.zeroize();
        self.put(&["&nonce="])?;
        self.repeat(challenge)?;
        self.put(&["&cnonce=", own, "&nc=00000001&response=", response])
    }

    /// Appends a part of the server's challenge.
    fn repeat(&mut self, part: &[u8]) -> Result<(), AuthError> {
        if !part.iter().all(u8::is_ascii_graphic) {
            return Err(AuthError::Challenge);
        }
        part.iter().try_for_each(|byte| self.app.push(char::from(*byte))).map_err(|_| AuthError::TooLong)
    }

    fn put(&mut self, parts: &[&str]) -> Result<(), AuthError> {
        parts.iter().try_for_each(|part| self.app.push_str(part)).map_err(|_| AuthError::TooLong)
    }
}

impl<const ROOM: usize> Default for Authenticator<ROOM> {
    fn default() -> Self {
        Self::new()
    }
}

// Omits the application, because it contains the answer to a challenge.
impl<const ROOM: usize> fmt::Debug for Authenticator<ROOM> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authenticator").field("answers", &self.answers).finish_non_exhaustive()
    }
}

impl_format!([const ROOM: usize] Authenticator<ROOM>, this => "Authenticator {{ answers: {=u8} }}", this.answers);

#[derive(Debug, Clone, Copy)]
enum Kind {
    Adobe,
    Limelight,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Adobe => "adobe",
            Self::Limelight => "llnw",
        }
    }
}

/// Returns the kind of authentication that the description of a refusal names, if it names any.
fn kind(description: &[u8]) -> Option<Result<Kind, AuthError>> {
    let rest = after(description, "authmod=")?;
    let end = |byte: &u8| !byte.is_ascii_alphanumeric();
    Some(match rest.split(end).next() {
        Some(b"adobe") => Ok(Kind::Adobe),
        Some(b"llnw") => Ok(Kind::Limelight),
        _ => Err(AuthError::Kind),
    })
}

/// Returns the bytes that follow the first `what` in `text`.
fn after<'t>(text: &'t [u8], what: &str) -> Option<&'t [u8]> {
    let starts = text.windows(what.len()).position(|window| window == what.as_bytes())?;
    text.get(starts.saturating_add(what.len())..)
}

fn hex<'t>(nonce: &[u8; 8], text: &'t mut [u8; 16]) -> &'t str {
    // The text has room.
    base16ct::lower::encode_str(nonce, text).unwrap_or_default()
}
