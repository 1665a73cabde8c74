//! RTMP URLs: where to connect to, as which application, and with which stream key.
//!
//! ```text
//!   rtmp :// user:password @ host : 1935 / app / key?token=1
//!   │        │               │      │      │     └ stream key: all that is left, `?` and `#` among it
//!   │        │               │      │      └ application, as the connect command names it
//!   │        │               │      └ known from absent: a port that is written allows no other (see `connect`)
//!   │        │               └ a name, an IPv4 address or `[IPv6 address]`
//!   │        └ for the authentication of publishers; never part of tcUrl
//!   └ rtmp, rtmps, rtmpt, rtmpe, rtmpte or rtmpts in any case; one slash after the colon is as good as two
//! ```
//!
//! Nothing is decoded: percent signs, `?` and `#` stand in application and key as they were written, since the servers
//! compare them so. (`#` is no fragment here: stream keys do contain it.) What can never be right is refused: ASCII's
//! control characters, spaces and line ends anywhere, and all that is longer than [`MAX_URL_LENGTH`].
//!
//! # Where the application ends
//!
//! No specification says which slash parts application and key, and `rtmp://host/a/b/c` is read in both ways:
//!
//! - [`AppEnd::FirstSlash`], the default: application `a`, key `b/c`. nginx-rtmp looks an application up by its exact
//!   name, so that `a/b` would be unknown to it; MediaMTX reads path and key as one; the applications of the public
//!   services (`live2`, `app`, `rtmp`) have one segment.
//! - [`AppEnd::LastSlash`]: application `a/b`, key `c`. Right for servers with application instances (Adobe Media
//!   Server, Wowza), for SRS, and it is what FFmpeg and librtmp make of three segments. Slashes behind the key's `?`
//!   do not count.
//!
//! Up to one slash both say the same. One segment alone is the application, unless [`Options::lone`] calls it the key.
//! A query in front of the slash stays with the application (`rtmp://host/app?vhost=x/key`), as SRS writes it.
//!
//! ```
//! use embedded_rtmp::url::{Scheme, Url};
//!
//! let url = Url::parse("rtmp://[2001:db8::1]:8080/live/key?token=1")?;
//! assert_eq!(url.scheme(), Scheme::Rtmp);
//! assert_eq!((url.host(), url.port()), ("2001:db8::1", Some(8080)));
//! assert_eq!((url.app(), url.key()), ("live", Some("key?token=1")));
//! assert_eq!(url.tc_url_parts().concat(), "rtmp://[2001:db8::1]:8080/live");
//! # Ok::<(), embedded_rtmp::url::UrlError>(())
//! ```

mod parse;
mod scheme;
#[cfg(test)]
mod tests;

pub use scheme::Scheme;

use core::fmt;

/// The longest URL that is parsed, in bytes.
pub const MAX_URL_LENGTH: usize = 2048;

/// How many parts [`Url::tc_url_parts`] has.
pub const TC_URL_PARTS: usize = 6;

/// An RTMP URL, borrowed from its text.
///
/// `Debug` and `defmt::Format` leave out what must not stand in a log: the password, the queries and the stream key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Url<'a> {
    scheme: Scheme,
    host: &'a str,
    /// Host and port as they are written, brackets among it: tcUrl repeats them.
    authority: &'a str,
    port: Option<u16>,
    user: Option<&'a str>,
    password: Option<&'a str>,
    app: &'a str,
    key: Option<&'a str>,
    default_port_in_tc_url: bool,
}

impl<'a> Url<'a> {
    /// Parses a URL with the default [`Options`].
    ///
    /// # Errors
    /// The first thing in `text` that no RTMP URL can have.
    pub fn parse(text: &'a str) -> Result<Self, UrlError> {
        Self::parse_with(text, Options::new())
    }

    /// Parses a URL; `options` say what its text leaves open.
    ///
    /// # Errors
    /// The first thing in `text` that no RTMP URL can have.
    pub fn parse_with(text: &'a str, options: Options) -> Result<Self, UrlError> {
        parse::url(text, options)
    }

    /// The scheme.
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host: a name, an IPv4 address or an IPv6 address, the latter without its brackets. Never empty, and always
    /// ASCII.
    pub const fn host(&self) -> &'a str {
        self.host
    }

    /// Whether the host stood in brackets, as an IPv6 address does. (That it is a valid one is for the address parser
    /// of the network stack to say.)
    pub const fn host_is_ipv6(&self) -> bool {
        self.authority.len() > self.host.len() && matches!(self.authority.as_bytes().first(), Some(b'['))
    }

    /// The port, if the URL names one; never 0. Without one, see [`Scheme::default_port`] and
    /// [`connect`](crate::port_plan).
    pub const fn port(&self) -> Option<u16> {
        self.port
    }

    /// The user in front of the `@`, as written; what is between the first `:` and the `@` is the password.
    pub const fn user(&self) -> Option<&'a str> {
        self.user
    }

    /// The password in front of the `@`, as written.
    pub const fn password(&self) -> Option<&'a str> {
        self.password
    }

    /// The application, its query among it; empty where the URL has no path, or a lone key.
    pub const fn app(&self) -> &'a str {
        self.app
    }

    /// The stream key (stream name), its query among it; never empty.
    pub const fn key(&self) -> Option<&'a str> {
        self.key
    }

    /// The tcUrl of the connect command, in parts to be written one after another: scheme, host, port and application.
    ///
    /// The port stands there as the URL writes it. A URL without one gets none, or the scheme's default by
    /// [`Options::default_port_in_tc_url`]. User, password and stream key are never part of it.
    pub const fn tc_url_parts(&self) -> [&'a str; TC_URL_PARTS] {
        let port = if self.default_port_in_tc_url && self.port.is_none() { self.scheme.port_text() } else { "" };
        [self.scheme.as_str(), "://", self.authority, port, "/", self.app]
    }

    /// The application without its query, and whether it has one: what a log may show.
    fn public_app(&self) -> (&'a str, &'static str) {
        match self.app.split_once('?') {
            Some((app, _)) => (app, "?.."),
            None => (self.app, ""),
        }
    }

    /// What a log shows in place of user and password.
    fn public_user(&self) -> &'static str {
        if self.user.is_some() { "..@" } else { "" }
    }

    /// What a log shows in place of the key.
    fn public_key(&self) -> &'static str {
        if self.key.is_some() { "/.." } else { "" }
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

/// What the text of a URL leaves open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Options {
    /// Which slash ends the application.
    pub app_end: AppEnd,
    /// What a path of one segment is.
    pub lone: SingleSegment,
    /// Whether tcUrl names the scheme's default port where the URL names none. (librtmp's does, FFmpeg's does not.)
    pub default_port_in_tc_url: bool,
}

impl Options {
    /// The application ends at the first slash, a lone segment is the application, and tcUrl has the port only where
    /// the URL has it.
    pub const fn new() -> Self {
        Self { app_end: AppEnd::FirstSlash, lone: SingleSegment::App, default_port_in_tc_url: false }
    }
}

/// Which slash of the path ends the application.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum AppEnd {
    /// The first: `/app/a/b` is application `app`, key `a/b`.
    #[default]
    FirstSlash,
    /// The last in front of the key's query: `/app/a/b` is application `app/a`, key `b`.
    LastSlash,
}

/// What a path of one segment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum SingleSegment {
    /// The application; there is no key.
    #[default]
    App,
    /// The key; the application is empty.
    Key,
}

/// Why a text is no RTMP URL; the fault is the caller's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum UrlError {
    /// Longer than [`MAX_URL_LENGTH`].
    TooLong,
    /// A space, a line end or another control character of ASCII.
    Character,
    /// No scheme of RTMP with a colon and one or two slashes behind it.
    Scheme,
    /// No host, or one with characters that no host has.
    Host,
    /// A port that is no number from 1 to 65535.
    Port,
    /// Segments behind an application that is empty.
    App,
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            UrlError::TooLong => "the URL is longer than 2048 bytes",
            UrlError::Character => "the URL has a space or a control character in it",
            UrlError::Scheme => "the URL does not begin with rtmp:// or another scheme of RTMP",
            UrlError::Host => "the URL has no valid host",
            UrlError::Port => "the URL's port is no number from 1 to 65535",
            UrlError::App => "the URL's application is empty",
        })
    }
}

impl core::error::Error for UrlError {}
