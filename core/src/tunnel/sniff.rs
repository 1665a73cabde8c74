//! Which protocol a client speaks, by its first byte.

/// What a connection's first byte announces.
///
/// One byte is enough: versions of RTMP are below 32, so that they differ from text (RTMP 1.0, section 5.2.2), a request
/// of HTTP begins with a letter, and TLS with the number of its first record.
///
/// The byte is only looked at. Whoever goes on with the connection reads it again.
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
    /// [`handshake::HandshakeError::Encrypted`](crate::handshake::HandshakeError::Encrypted), without a byte of answer.
    Rtmpe,
    /// HTTP: a tunnel, or a plain request. A [`TunnelConnection`](super::TunnelConnection) goes on.
    Http,
    /// TLS: RTMPS or HTTPS.
    Tls,
    /// None of them.
    Unknown,
}

impl Protocol {
    /// What `first`, a connection's first byte, announces.
    pub const fn of(first: u8) -> Self {
        match first {
            6 | 8 => Protocol::Rtmpe,
            0x16 => Protocol::Tls,
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
            (b'\r', Protocol::Rtmp),
            (0x80, Protocol::Unknown),
            (255, Protocol::Unknown),
        ] {
            assert_eq!(Protocol::of(first), protocol, "{first:#04x}");
        }
    }
}
