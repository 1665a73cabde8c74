//! RTMP URLs: the host to connect to, the application, and the stream key.
//!
//! ```text
//!   rtmp :// user:password @ host : 1935 / app / key?token=1
//!   │        │               │      │      │     └ stream key: all the rest, including `?` and `#`
//!   │        │               │      │      └ application, as the connect command names it
//!   │        │               │      └ if the URL names a port, no other port is tried (see `port_plan`)
//!   │        │               └ a name, an IPv4 address or `[IPv6 address]`
//!   │        └ for the authentication of publishers; never part of tcUrl
//!   └ rtmp, rtmps, rtmpt, rtmpe, rtmpte or rtmpts, case-insensitive; one slash after the colon is accepted, too
//! ```
//!
//! Nothing is decoded: percent signs, `?` and `#` stay in application and key as written, because servers compare them
//! byte by byte. `#` does not begin a fragment, because stream keys may contain it. Application and key may also contain
//! spaces. The parser refuses line ends and other ASCII control characters anywhere, and every URL longer than
//! [`MAX_URL_LENGTH`].
//!
//! # Application and key
//!
//! No specification says which slash separates application and key. A slash in a query does not count, with one exception:
//! if the path has only one segment, the last slash of its query separates them, as SRS writes it:
//! `rtmp://host/app?vhost=x/key`. Otherwise:
//!
//! - [`AppEnd::Instance`], the default: if the path has three segments or more, and no colon stands before the second slash,
//!   the application is the first two segments. Otherwise it is the first one. FFmpeg, librtmp and servers with application
//!   instances (Adobe Media Server, Wowza) read a URL this way. `rtmp://host/a/b/c` is application `a/b`, key `c`.
//! - [`AppEnd::FirstSlash`]: `rtmp://host/a/b/c` is application `a`, key `b/c`. This is for nginx-rtmp, which looks up an
//!   application by its exact name.
//! - [`AppEnd::LastSlash`]: `rtmp://host/a/b/c/d` is application `a/b/c`, key `d`.
//!
//! A single segment is the application, unless [`Options::lone`] says that it is the key.
//!
//! [`Url::key_parts`] changes two kinds of keys, as FFmpeg and librtmp do. A suffix `.flv` is dropped, and `mp4:` is put
//! before a name with the suffix `.mp4` or `.f4v`, unless it has a colon. A client can send any other application and key:
//! [`Url::with_app`], [`Client::publish`](crate::session::Client::publish).
//!
//! ```
//! use embedded_rtmp::url::{Scheme, Url};
//!
//! let url = Url::parse("rtmp://[2001:db8::1]:8080/live/key?token=1")?;
//! assert_eq!(url.scheme(), Scheme::Rtmp);
//! assert_eq!((url.host(), url.port()), ("2001:db8::1", Some(8080)));
//! assert_eq!((url.app(), url.key_parts().concat().as_str()), ("live", "key?token=1"));
//! assert_eq!(url.tc_url_parts().concat(), "rtmp://[2001:db8::1]:8080/live");
//! # Ok::<(), embedded_rtmp::url::UrlError>(())
//! ```

mod parse;
mod redirect;
mod scheme;
#[cfg(test)]
mod tests;

pub use redirect::RedirectError;
pub use scheme::Scheme;

use core::fmt;

/// The longest URL that is parsed, in bytes.
pub const MAX_URL_LENGTH: usize = 2048;

/// The number of parts that [`Url::tc_url_parts`] returns.
pub const TC_URL_PARTS: usize = 6;

/// The number of parts that [`Url::key_parts`] returns.
pub const KEY_PARTS: usize = 3;

/// An RTMP URL, borrowed from its text.
///
/// `Debug` and `defmt::Format` omit what must not appear in a log: user, password, queries and stream key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Url<'a> {
    scheme: Scheme,
    host: &'a str,
    /// Host and port as written, including brackets. tcUrl repeats them.
    authority: &'a str,
    port: Option<u16>,
    user: Option<&'a str>,
    password: Option<&'a str>,
    app: &'a str,
    /// The key as it is written in the URL.
    key: &'a str,
    default_port_in_tc_url: bool,
}

impl<'a> Url<'a> {
    /// Parses a URL with the default [`Options`].
    ///
    /// # Errors
    /// `text` is not an RTMP URL. The error names the first part that is wrong.
    pub fn parse(text: &'a str) -> Result<Self, UrlError> {
        Self::parse_with(text, Options::new())
    }

    /// Parses a URL. `options` decide how to read an ambiguous text.
    ///
    /// # Errors
    /// `text` is not an RTMP URL. The error names the first part that is wrong.
    pub fn parse_with(text: &'a str, options: Options) -> Result<Self, UrlError> {
        parse::url(text, options)
    }

    /// The scheme.
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host: a name, an IPv4 address, or an IPv6 address without its brackets. Never empty, always ASCII.
    pub const fn host(&self) -> &'a str {
        self.host
    }

    /// Returns `true` if the host was in brackets, as an IPv6 address is. Its validity is left to the address parser of
    /// the network stack.
    pub const fn host_is_ipv6(&self) -> bool {
        self.authority.len() > self.host.len() && matches!(self.authority.as_bytes().first(), Some(b'['))
    }

    /// The port, if the URL names one. Never 0. For a URL without a port see [`Scheme::default_port`] and
    /// [`port_plan`](crate::port_plan).
    pub const fn port(&self) -> Option<u16> {
        self.port
    }

    /// The user before the `@`, as written. The text between the first `:` and the `@` is the password.
    pub const fn user(&self) -> Option<&'a str> {
        self.user
    }

    /// The password before the `@`, as written.
    pub const fn password(&self) -> Option<&'a str> {
        self.password
    }

    /// The application with its query. Empty if the URL has no path, or only a key.
    pub const fn app(&self) -> &'a str {
        self.app
    }

    /// Whether there is a stream key. Some servers accept publishers and players without one.
    pub const fn has_key(&self) -> bool {
        !self.key.is_empty()
    }

    /// The stream key (stream name) to send, in parts that are sent as one text: `mp4:` or nothing, the name, and the query.
    /// The parts are empty if the URL has no key.
    pub fn key_parts(&self) -> [&'a str; KEY_PARTS] {
        parse::key_parts(self.key)
    }

    /// The same URL with another application.
    #[must_use]
    pub const fn with_app(mut self, app: &'a str) -> Self {
        self.app = app;
        self
    }

    /// The tcUrl of the connect command, in parts that are written one after another: scheme, host, port, application.
    ///
    /// The port is written as in the URL. If the URL has no port, tcUrl has none either, or the scheme's default port with
    /// [`Options::default_port_in_tc_url`]. User, password and stream key are never part of tcUrl.
    pub const fn tc_url_parts(&self) -> [&'a str; TC_URL_PARTS] {
        let port = if self.default_port_in_tc_url && self.port.is_none() { self.scheme.port_text() } else { "" };
        [self.scheme.as_str(), "://", self.authority, port, "/", self.app]
    }

    /// The application without its query, and a mark if it has one. A log may show both.
    fn public_app(&self) -> (&'a str, &'static str) {
        match self.app.split_once('?') {
            Some((app, _)) => (app, "?.."),
            None => (self.app, ""),
        }
    }

    /// What a log shows instead of user and password.
    fn public_user(&self) -> &'static str {
        if self.user.is_some() { "..@" } else { "" }
    }

    /// What a log shows instead of the key.
    fn public_key(&self) -> &'static str {
        if self.has_key() { "/.." } else { "" }
    }
}

impl fmt::Debug for Url<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (app, query) = self.public_app();
        let (user, key) = (self.public_user(), self.public_key());
        write!(f, "Url({}://{user}{}/{app}{query}{key})", self.scheme, self.authority)
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Url<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        let (app, query) = self.public_app();
        let (user, key, scheme) = (self.public_user(), self.public_key(), self.scheme.as_str());
        defmt::write!(
            f,
            "Url({=str}://{=str}{=str}/{=str}{=str}{=str})",
            scheme,
            user,
            self.authority,
            app,
            query,
            key
        );
    }
}

/// Options for what the text of a URL does not determine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Options {
    /// The slash that ends the application.
    pub app_end: AppEnd,
    /// The meaning of a path with one segment.
    pub lone: SingleSegment,
    /// Whether tcUrl has the scheme's default port if the URL has no port. librtmp writes it, FFmpeg does not.
    pub default_port_in_tc_url: bool,
}

impl Options {
    /// The defaults: [`AppEnd::Instance`], a single segment is the application, and tcUrl has a port only if the URL has
    /// one.
    pub const fn new() -> Self {
        Self { app_end: AppEnd::Instance, lone: SingleSegment::App, default_port_in_tc_url: false }
    }
}

/// The slash of the path that ends the application.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum AppEnd {
    /// The second if there is one and no colon stands before it, otherwise the first. `/app/a/b/c` is application `app/a`,
    /// key `b/c`. `/app/mp4:a/b` is application `app`, key `mp4:a/b`.
    #[default]
    Instance,
    /// The first: `/app/a/b` is application `app`, key `a/b`.
    FirstSlash,
    /// The last one: `/app/a/b/c` is application `app/a/b`, key `c`.
    LastSlash,
}

/// The meaning of a path with one segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum SingleSegment {
    /// It is the application. There is no key.
    #[default]
    App,
    /// It is the key. The application is empty.
    Key,
}

/// Why a text is not an RTMP URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum UrlError {
    /// The text is longer than [`MAX_URL_LENGTH`].
    TooLong,
    /// The text has a line end or another ASCII control character.
    Character,
    /// The text does not begin with a scheme of RTMP, a colon and one or two slashes.
    Scheme,
    /// There is no host, or it has characters that a host cannot have.
    Host,
    /// The port is not a number from 1 to 65535.
    Port,
    /// The application is empty, but more segments follow.
    App,
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            UrlError::TooLong => "the URL is longer than 2048 bytes",
            UrlError::Character => "the URL contains a line end or another control character",
            UrlError::Scheme => "the URL does not begin with rtmp:// or another RTMP scheme",
            UrlError::Host => "the URL has no valid host name or address",
            UrlError::Port => "the port of the URL is not a number from 1 to 65535",
            UrlError::App => "the application of the URL is empty, but a stream key follows",
        })
    }
}

impl core::error::Error for UrlError {}
