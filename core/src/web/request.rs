//! What a request asks for.

use base64ct::{Base64, Encoding};
use core::fmt;

use super::WebConfig;
use crate::amf0::Text;
use crate::bytes::low_u16;
use crate::fmt::impl_format;
use crate::http::{FieldReader, HeadError, Span, Texts, authority_and_path, decode};

/// The form of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum WebFormat {
    /// FLV: `/APP/KEY.flv`.
    Flv,
    /// Fragmented MP4: `/APP/KEY.mp4`.
    Mp4,
}

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum WebResource {
    /// The page, its script or its style: `/`, `/page.js` and `/page.css`.
    Page,
    /// The status as JSON: `/status.json`. See [`WebStatus`](super::WebStatus).
    Status,
    /// A stream, over HTTP or WebSocket.
    Stream(WebFormat),
}

/// A user and a password (Basic authorization, RFC 7617).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct WebCredentials<'d> {
    /// The name of the user.
    pub user: Text<'d>,
    /// The password.
    pub password: Text<'d>,
}

impl WebCredentials<'_> {
    /// Compares both with a user and a password. The time that this takes does not depend on where they differ, only on
    /// their lengths.
    #[must_use]
    pub fn are(&self, user: &str, password: &str) -> bool {
        let is_user = is_same(self.user.as_bytes(), user.as_bytes());
        let is_password = is_same(self.password.as_bytes(), password.as_bytes());
        is_user & is_password
    }
}

/// Does not show the content, which is secret.
impl fmt::Debug for WebCredentials<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebCredentials")
    }
}

impl_format!(['d] WebCredentials<'d>, _ => "WebCredentials");

/// Compares secrets in constant time.
fn is_same(one: &[u8], other: &[u8]) -> bool {
    use ctutils::CtEq;
    one.ct_eq(other).to_bool()
}

/// A request that the caller must answer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct WebRequest<'d> {
    /// What it asks for.
    pub resource: WebResource,
    /// Of a stream: the part of the path before the last slash, as the application in an RTMP URL. `%` sequences are
    /// decoded. May be empty.
    pub application: Text<'d>,
    /// Of a stream: the last part of the path, without `.flv` or `.mp4`, as the stream key in an RTMP URL.
    pub key: Text<'d>,
    /// The part of the URL after `?`, as it was sent. A token is often there.
    pub query: Text<'d>,
    /// The user and the password, if the request has them.
    pub credentials: Option<WebCredentials<'d>>,
    /// Whether a stream is requested over a WebSocket.
    pub is_websocket: bool,
    /// Whether only the head of the answer is requested (method HEAD). A stream does not begin then.
    pub is_head: bool,
}

impl WebRequest<'_> {
    /// Whether the request is for `/stream.flv` or `/stream.mp4`: the stream of that name, or, if there is none, the first
    /// stream that is listed. The page asks for it if scripts are off.
    #[must_use]
    pub fn is_for_first(&self) -> bool {
        self.application.is_empty() && self.key == "stream"
    }
}

/// Does not show the key, the query and the credentials, which may be secret.
impl fmt::Debug for WebRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebRequest")
            .field("resource", &self.resource)
            .field("is_websocket", &self.is_websocket)
            .field("is_head", &self.is_head)
            .finish_non_exhaustive()
    }
}

impl_format!(['d] WebRequest<'d>, this => "WebRequest {{ resource: {} }}", this.resource);

/// Why a request is refused without asking the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum WebRefusal {
    /// The head cannot be parsed, is ambiguous or is too long: 400, 414 or 431.
    Head(HeadError),
    /// The request has a body: 413.
    Body,
    /// The method is neither GET nor HEAD: 405.
    Method,
    /// `Host` is missing or is no host: 400.
    HostInvalid,
    /// `Host` is neither an address nor a configured name: 421. A page of another site may have asked for this, after its
    /// name was pointed to this server (DNS rebinding).
    HostUnknown,
    /// A page of another site opens a WebSocket: 403.
    Origin,
    /// The request for a WebSocket is incomplete: 400.
    Upgrade,
    /// The version of WebSocket is not 13: 426.
    Version,
    /// The path is unknown: 404.
    NotFound,
    /// The request did not arrive in time: 408.
    TooSlow,
}

impl WebRefusal {
    /// The status of the answer.
    pub(super) const fn status(self) -> u16 {
        match self {
            Self::Head(HeadError::TooLong) => 431,
            Self::Head(HeadError::LengthTooLarge) | Self::Body => 413,
            Self::Head(_) | Self::HostInvalid | Self::Upgrade => 400,
            Self::Method => 405,
            Self::HostUnknown => 421,
            Self::Origin => 403,
            Self::Version => 426,
            Self::NotFound => 404,
            Self::TooSlow => 408,
        }
    }
}

impl fmt::Display for WebRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Head(error) => return error.fmt(f),
            Self::Body => "a request for a page or a stream with a body",
            Self::Method => "a method other than GET and HEAD",
            Self::HostInvalid => "a request with a missing or invalid Host",
            Self::HostUnknown => "a Host that is neither an address nor a configured name",
            Self::Origin => "a WebSocket of a page from another site",
            Self::Upgrade => "an incomplete request for a WebSocket",
            Self::Version => "a version of WebSocket other than 13",
            Self::NotFound => "not found",
            Self::TooSlow => "a request that does not arrive in time",
        })
    }
}

impl core::error::Error for WebRefusal {}

/// The text of a request that is stored until it is answered, and what its fields say.
pub(super) struct Stored<const SIZE: usize> {
    /// Between two requests it has bytes that wait to be sent.
    pub(super) texts: Texts<SIZE>,
    target: Span,
    query: Span,
    host: Option<Span>,
    origin: Option<Span>,
    /// The user, a colon, and the password.
    credentials: Option<Span>,
    key: Option<Span>,
    has_authorization: bool,
    /// `Upgrade: websocket`, `Connection: Upgrade`, and `Sec-WebSocket-Version: 13`.
    upgrades: bool,
    is_upgrade: bool,
    is_version: bool,
    pub(super) is_head: bool,
    pub(super) is_old: bool,
}

/// The path, after the query was cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Path {
    Resource(WebResource),
    Script,
    Style,
}

impl Path {
    /// Parses a path without its query. Returns `None` if nothing of ours is there.
    pub(super) fn of(path: &[u8]) -> Option<Self> {
        Some(match path {
            b"/" | b"" => Self::Resource(WebResource::Page),
            b"/page.js" => Self::Script,
            b"/page.css" => Self::Style,
            b"/status.json" => Self::Resource(WebResource::Status),
            path => Self::Resource(WebResource::Stream(match path.last_chunk() {
                Some(b".flv") => WebFormat::Flv,
                Some(b".mp4") => WebFormat::Mp4,
                _ => return None,
            })),
        })
    }

    pub(super) const fn resource(self) -> WebResource {
        match self {
            Self::Resource(resource) => resource,
            Self::Script | Self::Style => WebResource::Page,
        }
    }
}

impl<const SIZE: usize> Stored<SIZE> {
    pub(super) const fn new() -> Self {
        const { assert!(SIZE >= 256 && SIZE <= 0x8000, "a line has room for 256 to 32,768 bytes") }
        Self {
            texts: Texts::new(),
            target: Span { start: 0, length: 0 },
            query: Span { start: 0, length: 0 },
            host: None,
            origin: None,
            credentials: None,
            key: None,
            has_authorization: false,
            upgrades: false,
            is_upgrade: false,
            is_version: false,
            is_head: false,
            is_old: false,
        }
    }

    /// Begins a request with the parts of its first line.
    pub(super) fn begin(&mut self, target: &[u8], is_head: bool, is_old: bool) -> Result<(), HeadError> {
        (self.texts.used, self.query) = (0, Span::default());
        (self.host, self.origin, self.credentials, self.key) = (None, None, None, None);
        (self.has_authorization, self.upgrades, self.is_upgrade, self.is_version) = (false, false, false, false);
        (self.is_head, self.is_old) = (is_head, is_old);
        self.target = self.texts.store(target)?;
        Ok(())
    }

    /// Checks a complete head. Returns what is requested, and whether over a WebSocket.
    pub(super) fn check(&mut self, length: Option<u32>, config: &WebConfig<'_>) -> Result<(Path, bool), WebRefusal> {
        if length.is_some_and(|length| length > 0) {
            return Err(WebRefusal::Body);
        }
        self.check_host(config)?;
        let path = self.split_target()?;
        let is_websocket = self.upgrades && matches!(path, Path::Resource(WebResource::Stream(_)));
        if is_websocket {
            if !self.is_version {
                return Err(WebRefusal::Version);
            }
            if !self.is_upgrade
                || self.is_head
                || self.is_old
                || !self.key.is_some_and(|key| is_key(self.texts.get(key)))
            {
                return Err(WebRefusal::Upgrade);
            }
            let is_foreign = self.origin.is_some_and(|origin| !self.texts.is_own_origin(origin, self.host));
            if is_foreign && !self.is_listed(config) {
                return Err(WebRefusal::Origin);
            }
        }
        Ok((path, is_websocket))
    }

    fn check_host(&self, config: &WebConfig<'_>) -> Result<(), WebRefusal> {
        let (authority, _) = authority_and_path(self.texts.get(self.target));
        let host = match (self.host.map(|host| self.texts.get(host)), authority) {
            (Some(host), Some(authority)) if !host.eq_ignore_ascii_case(authority) => {
                return Err(WebRefusal::HostInvalid);
            }
            (Some(host), _) | (None, Some(host)) => host,
            // Every browser sends it.
            (None, None) if self.is_old => return Ok(()),
            (None, None) => return Err(WebRefusal::HostInvalid),
        };
        let name = host_name(host).ok_or(WebRefusal::HostInvalid)?;
        let is_known = is_address(name) || config.names.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()));
        if is_known { Ok(()) } else { Err(WebRefusal::HostUnknown) }
    }

    fn is_listed(&self, config: &WebConfig<'_>) -> bool {
        let is_it = |origin: &[u8]| config.origins.iter().any(|listed| *listed == "*" || origin == listed.as_bytes());
        self.origin.is_some_and(|origin| is_it(self.texts.get(origin)))
    }

    /// The origin whose pages may read the answer.
    pub(super) fn allowed_origin(&self, config: &WebConfig<'_>) -> Option<(u16, u16)> {
        self.origin.filter(|_| self.is_listed(config)).map(|span| (span.start, span.length))
    }

    /// Splits the target into the path and the query, and decodes the path.
    fn split_target(&mut self) -> Result<Path, WebRefusal> {
        let target = self.texts.get(self.target);
        let (_, path) = authority_and_path(target);
        let start = self.target.start.wrapping_add(low_u16(target.len().wrapping_sub(path.len())));
        let length = path.iter().position(|byte| *byte == b'?').unwrap_or(path.len());
        let query_length = path.len().saturating_sub(length.wrapping_add(1));
        let query_start = start.wrapping_add(low_u16(length)).wrapping_add(1);
        self.query = Span { start: query_start, length: low_u16(query_length) };
        let from = usize::from(start);
        let place = self.texts.bytes.get_mut(from..from.wrapping_add(length)).unwrap_or_default();
        let decoded = decode(place, |byte| byte, is_plain).ok_or(WebRefusal::Head(HeadError::NotHttp))?;
        self.target = Span { start, length: low_u16(decoded) };
        let path = Path::of(self.texts.get(self.target)).ok_or(WebRefusal::NotFound)?;
        if let Path::Resource(WebResource::Stream(_)) = path {
            // Without the slash at the start, and without the type at the end.
            self.target = Span {
                start: self.target.start.wrapping_add(1),
                length: self.target.length.saturating_sub(low_u16(TYPE).wrapping_add(1)),
            };
        }
        Ok(path)
    }

    /// The request, after [`Self::check`].
    pub(super) fn request(&self, resource: WebResource, is_websocket: bool) -> WebRequest<'_> {
        let path = match resource {
            WebResource::Stream(_) => self.texts.get(self.target),
            _ => &[],
        };
        let slash = path.iter().rposition(|byte| *byte == b'/');
        let (application, key) = match slash.and_then(|slash| path.split_at_checked(slash)) {
            Some((application, key)) => (application, key.get(1..).unwrap_or_default()),
            None => (&[][..], path),
        };
        let credentials = self.credentials.and_then(|basic| self.texts.user_and_password(basic));
        let credentials =
            credentials.map(|(user, password)| WebCredentials { user: Text::new(user), password: Text::new(password) });
        WebRequest {
            resource,
            application: Text::new(application),
            key: Text::new(key),
            query: Text::new(self.texts.get(self.query)),
            credentials,
            is_websocket,
            is_head: self.is_head,
        }
    }

    /// Stores one more text, if there is room for it. Returns its start and its length.
    pub(super) fn store_more(&mut self, text: &[u8]) -> Option<(u16, u16)> {
        self.texts.store(text).ok().map(|span| (span.start, span.length))
    }

    /// The key of a request for a WebSocket.
    pub(super) fn websocket_key(&self) -> &[u8] {
        self.key.map_or(&[], |key| self.texts.get(key))
    }
}

/// The length of `.flv` and of `.mp4`.
const TYPE: usize = 4;

impl<const SIZE: usize> FieldReader for Stored<SIZE> {
    fn read(&mut self, name: &[u8], value: &[u8], is_cut: bool) -> Result<(), HeadError> {
        let is = |other: &[u8]| name.eq_ignore_ascii_case(other);
        if is(b"connection") {
            self.is_upgrade |= has_option(value, b"upgrade");
            return Ok(());
        }
        if is(b"upgrade") {
            self.upgrades |= has_option(value, b"websocket");
            return Ok(());
        }
        if is(b"sec-websocket-version") {
            self.is_version = value == b"13";
            return Ok(());
        }
        if is(b"authorization") {
            if core::mem::replace(&mut self.has_authorization, true) {
                return Err(HeadError::NotHttp);
            }
            self.credentials = self.texts.store_basic(value, is_cut)?;
            return Ok(());
        }
        let (is_host, is_origin, is_key) = (is(b"host"), is(b"origin"), is(b"sec-websocket-key"));
        if !is_host && !is_origin && !is_key {
            return Ok(());
        }
        if is_cut {
            return Err(HeadError::TooLong);
        }
        let place = match (is_host, is_origin) {
            (true, _) => self.host,
            (_, true) => self.origin,
            _ => self.key,
        };
        if place.is_some() {
            // A proxy may have read the other one.
            return Err(HeadError::NotHttp);
        }
        let span = Some(self.texts.store(value)?);
        match (is_host, is_origin) {
            (true, _) => self.host = span,
            (_, true) => self.origin = span,
            _ => self.key = span,
        }
        Ok(())
    }
}

/// Whether a list of options contains one.
fn has_option(value: &[u8], option: &[u8]) -> bool {
    value.split(|byte| *byte == b',').any(|text| text.trim_ascii().eq_ignore_ascii_case(option))
}

/// Whether the text is the key of a request for a WebSocket: 16 bytes in base64 (RFC 6455, section 4.1).
fn is_key(text: &[u8]) -> bool {
    let mut bytes = [0; 18];
    Base64::decode(text, &mut bytes).is_ok_and(|bytes| bytes.len() == 16)
}

/// The name or address in `Host` without the port; `None` if it is neither.
fn host_name(host: &[u8]) -> Option<&[u8]> {
    let end = match host.first()? {
        b'[' => host.iter().position(|byte| *byte == b']')?.wrapping_add(1),
        _ => host.iter().position(|byte| *byte == b':').unwrap_or(host.len()),
    };
    let (name, port) = host.split_at_checked(end)?;
    let is_port = match port {
        [] => true,
        [b':', digits @ ..] => digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    let is_valid = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(byte);
    (is_port && !name.is_empty() && name.iter().all(is_valid)).then_some(name)
}

/// Whether a host is an address. No name in DNS is all digits and dots, or in brackets.
fn is_address(name: &[u8]) -> bool {
    match name {
        [b'[', address @ .., b']'] => {
            address.contains(&b':') && address.iter().all(|byte| byte.is_ascii_hexdigit() || b":.".contains(byte))
        }
        name => name.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.'),
    }
}

/// Whether a byte that a `%` sequence stands for is neither a control character nor a slash nor a question mark.
const fn is_plain(byte: u8) -> bool {
    byte >= b' ' && !matches!(byte, b'/' | b'?' | 0x7F)
}
