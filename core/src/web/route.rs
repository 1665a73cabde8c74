//! The part of a server that handles the requests of a connection.

use super::request::Path;
use crate::fmt::impl_format;
use crate::http::{FieldReader, Head, HeadError, Progress, authority_and_path, request_line};
use crate::tunnel::is_tunnel;

/// The part of a server that handles the requests of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum WebRoute {
    /// RTMPT: a [`TunnelConnection`](crate::tunnel::TunnelConnection).
    Tunnel,
    /// A stream, the page or the status: a [`WebConnection`](super::WebConnection).
    Web,
    /// Another HTTP server, to which the connection can be handed over.
    Other,
}

/// Reads the first request of a connection, and decides by it about the whole connection. The request is not consumed:
/// the part of the server that answers it reads it again.
///
/// A request for another server is read to the end of its head before it is handed over. It is refused if two servers could
/// see different requests in it: two lengths of the body, a length and `Transfer-Encoding`, or a CR without an LF. Later
/// requests of the connection are not checked.
///
/// `SIZE` is the number of bytes of a line that are stored. The method, the URL and the version must fit.
///
/// ```
/// use embedded_rtmp::web::{FirstRequest, WebRoute};
///
/// let mut first = FirstRequest::<128>::new(true);
/// assert_eq!(first.read(&mut &b"POST /send/1"[..])?, None);
/// assert_eq!(first.read(&mut &b"/2 HTTP/1.1\r\n"[..])?, Some(WebRoute::Tunnel));
///
/// let mut first = FirstRequest::<128>::new(true);
/// assert_eq!(first.read(&mut &b"PUT /settings HTTP/1.1\r\nContent-Length: 5\r\n"[..])?, None);
/// assert_eq!(first.read(&mut &b"\r\nhello"[..])?, Some(WebRoute::Other));
/// # Ok::<(), embedded_rtmp::tunnel::HeadError>(())
/// ```
#[derive(Debug)]
pub struct FirstRequest<const SIZE: usize = 512> {
    head: Head<SIZE>,
    body: Body,
    has_web: bool,
    is_old: bool,
}

impl_format!([const SIZE: usize] FirstRequest<SIZE>, this => "FirstRequest {{ body: {} }}", this.body);

/// What the head says about the body.
#[derive(Debug, Clone, Copy, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
struct Body {
    has_length: bool,
    is_encoded: bool,
}

impl<const SIZE: usize> FirstRequest<SIZE> {
    /// A connection of which no byte was read. `has_web` says whether a [`WebConnection`](super::WebConnection) would answer
    /// this client.
    #[must_use]
    pub const fn new(has_web: bool) -> Self {
        Self { head: Head::new(), body: Body { has_length: false, is_encoded: false }, has_web, is_old: false }
    }

    /// Reads bytes that follow those of the last call. Returns the route as soon as it is certain, and `None` if it needs
    /// more bytes.
    ///
    /// # Errors
    /// The head cannot be parsed, is ambiguous or is too long.
    pub fn read(&mut self, input: &mut &[u8]) -> Result<Option<WebRoute>, HeadError> {
        loop {
            match self.head.read(input, &mut self.body)? {
                Progress::More => return Ok(None),
                Progress::FirstLine => {
                    let (line, is_cut) = self.head.line();
                    if is_cut {
                        return Err(HeadError::TooLong);
                    }
                    let (method, target, is_old) = request_line(line)?;
                    let (_, path) = authority_and_path(target);
                    if is_tunnel(method, path) {
                        return Ok(Some(WebRoute::Tunnel));
                    }
                    if self.has_web && is_ours(method, path) {
                        return Ok(Some(WebRoute::Web));
                    }
                    self.is_old = is_old;
                }
                Progress::Done(_) if self.body.is_encoded && (self.body.has_length || self.is_old) => {
                    return Err(HeadError::LengthInvalid);
                }
                Progress::Done(_) => return Ok(Some(WebRoute::Other)),
            }
        }
    }
}

/// Whether a request is for the page, the status or a stream.
fn is_ours(method: &[u8], path: &[u8]) -> bool {
    let path = path.split(|byte| *byte == b'?').next().and_then(Path::of);
    path.is_some() && matches!(method, b"GET" | b"HEAD")
}

impl FieldReader for Body {
    const MAX_LENGTH: u32 = u32::MAX;

    fn read(&mut self, name: &[u8], _: &[u8], _: bool) -> Result<(), HeadError> {
        if name.eq_ignore_ascii_case(b"content-length") && core::mem::replace(&mut self.has_length, true) {
            return Err(HeadError::LengthInvalid);
        }
        Ok(())
    }

    fn read_encoding(&mut self) -> Result<(), HeadError> {
        // Of two fields, another server may read one.
        if core::mem::replace(&mut self.is_encoded, true) { Err(HeadError::LengthInvalid) } else { Ok(()) }
    }
}
