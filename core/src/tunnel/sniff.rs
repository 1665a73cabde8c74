//! Detection of the protocol by the first byte of a connection.

/// The protocol that the first byte of a connection announces.
///
/// One byte is enough: versions of RTMP are below 32 to differ from text (RTMP 1.0, section 5.2.2), a request of HTTP begins
/// with a letter, and TLS with the type of its first record.
///
/// The byte is not consumed. The machine that continues with the connection reads it again.
///
/// ```
/// use embedded_rtmp::tunnel::Protocol;
///
/// assert_eq!(Protocol::of(3), Protocol::Rtmp);
/// assert_eq!(Protocol::of(b'P'), Protocol::Http); // POST /open/1 HTTP/1.1
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Protocol {
    /// RTMP: version 3, or one that the [handshake](crate::handshake) may answer with version 3, or refuse.
    Rtmp,
    /// RTMPE: versions 6 and 8. A [`session::Server`](crate::session::Server) refuses it as
    /// [`handshake::HandshakeError::Encrypted`](crate::handshake::HandshakeError::Encrypted), without a byte of answer, unless
    /// its configuration accepts RTMPE (`handshake::Versions::Rtmpe`, feature `rtmpe`).
    Rtmpe,
    /// HTTP: a tunnel or a plain request. Continue with a [`TunnelConnection`](super::TunnelConnection).
    Http,
    /// TLS: RTMPS or HTTPS.
    Tls,
    /// A header of the PROXY protocol, version 2. A header of version 1 begins with a letter, so it is [`Self::Http`].
    Proxy,
    /// Another protocol.
    Unknown,
}

impl Protocol {
    /// Returns the protocol that `first`, the first byte of a connection, announces.
    pub const fn of(first: u8) -> Self {
        match first {
            6 | 8 => Protocol::Rtmpe,
            0x16 => Protocol::Tls,
            b'\r' => Protocol::Proxy,
            0..=31 => Protocol::Rtmp,
            b'A'..=b'Z' | b'a'..=b'z' => Protocol::Http,
            _ => Protocol::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_protocol_has_first_bytes_of_its_own() {
        for (first, protocol) in [
            (3, Protocol::Rtmp),
            (4, Protocol::Rtmp),
            (0, Protocol::Rtmp),
            (31, Protocol::Rtmp),
            (6, Protocol::Rtmpe),
            (8, Protocol::Rtmpe),
            (0x16, Protocol::Tls),
            (b'G', Protocol::Http),
            (b'P', Protocol::Http),
            (b'o', Protocol::Http),
            (b' ', Protocol::Unknown),
            (b'\r', Protocol::Proxy),
            (0x80, Protocol::Unknown),
            (255, Protocol::Unknown),
        ] {
            assert_eq!(Protocol::of(first), protocol, "{first:#04x}");
        }
    }
}
