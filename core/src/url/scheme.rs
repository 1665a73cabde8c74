//! The schemes of RTMP URLs.

use core::fmt;

/// The scheme of an RTMP URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Scheme {
    /// `rtmp`: RTMP over TCP.
    Rtmp,
    /// `rtmps`: RTMP inside TLS.
    Rtmps,
    /// `rtmpt`: RTMP in HTTP requests.
    Rtmpt,
    /// `rtmpe`: RTMP with Adobe's encryption.
    Rtmpe,
    /// `rtmpte`: RTMPE in HTTP requests.
    Rtmpte,
    /// `rtmpts`: RTMP in HTTPS requests.
    Rtmpts,
}

impl Scheme {
    /// The name of the scheme in lower case.
    // Not inlined: each copy has tables of its own.
    #[inline(never)]
    pub const fn as_str(self) -> &'static str {
        match self {
            Scheme::Rtmp => "rtmp",
            Scheme::Rtmps => "rtmps",
            Scheme::Rtmpt => "rtmpt",
            Scheme::Rtmpe => "rtmpe",
            Scheme::Rtmpte => "rtmpte",
            Scheme::Rtmpts => "rtmpts",
        }
    }

    /// The TCP port on which a server of this scheme listens by default.
    pub const fn default_port(self) -> u16 {
        match self {
            Scheme::Rtmp | Scheme::Rtmpe => 1935,
            Scheme::Rtmps | Scheme::Rtmpts => 443,
            Scheme::Rtmpt | Scheme::Rtmpte => 80,
        }
    }

    /// Returns whether the session is inside TLS, so that the server can be authenticated.
    pub const fn is_tls(self) -> bool {
        matches!(self, Scheme::Rtmps | Scheme::Rtmpts)
    }

    /// Returns whether a server that was reached with a URL of this scheme may redirect the client to a URL with the
    /// scheme `other`. A session inside TLS must stay inside TLS, and an encrypted session must stay encrypted.
    pub const fn permits(self, other: Self) -> bool {
        match self {
            Scheme::Rtmp | Scheme::Rtmpt => true,
            Scheme::Rtmpe | Scheme::Rtmpte => !matches!(other, Scheme::Rtmp | Scheme::Rtmpt),
            Scheme::Rtmps | Scheme::Rtmpts => other.is_tls(),
        }
    }

    /// The default port as a URL writes it.
    pub(super) const fn port_text(self) -> &'static str {
        match self.default_port() {
            1935 => ":1935",
            443 => ":443",
            _ => ":80",
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
