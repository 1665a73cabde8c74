//! Why TLS failed.

use core::fmt;

/// The reason why a TLS connection could not be made or has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum TlsError {
    /// An error of the caller: a record buffer is too small for the ClientHello with this host name. See
    /// [`Records`](super::Records).
    Buffers,
    /// An error of the caller: the host is neither an address nor a DNS name of letters, digits, hyphens and dots.
    Name,
    /// The handshake took longer than [`TlsOptions::handshake_limit`](super::TlsOptions::handshake_limit).
    TimedOut,
    /// The server sent an alert, for example because it has no certificate with a supported algorithm. The number is
    /// the description of RFC 8446, section 6, or `None` if the alert was encrypted.
    Alert(Option<u8>),
    /// The server does not speak TLS 1.3.
    Version,
    /// The server wants a key exchange other than the curve P-256, and asked for a second `ClientHello`.
    HelloRetry,
    /// The server's messages are not those of a TLS 1.3 handshake, or its Finished is wrong.
    Handshake,
    /// A handshake message does not fit into one record. Lend a larger read buffer, so that the server sends larger records.
    Fragmented,
    /// A record is longer than the read buffer, or longer than TLS allows. `max_fragment_length` was asked for if the buffer
    /// has less than 16,640 bytes, and the server ignored it.
    RecordTooLong {
        /// The length in the record's header, in bytes.
        length: u16,
    },
    /// A record was changed on its way, or has content that is not allowed at this time.
    Record,
    /// The certificate or the signature of the server was refused.
    Refused(Refusal),
    /// The server did not prove its identity: it did not send exactly one Certificate and then exactly one
    /// CertificateVerify.
    Unauthenticated,
    /// The server asked for new keys (KeyUpdate), which is not supported. Connect again.
    KeyUpdate,
    /// The number of sent or received records has reached
    /// [`TlsOptions::record_limit`](super::TlsOptions::record_limit). Connect again.
    RecordLimit,
    /// The stream ended without `close_notify`, so the last received data may be incomplete.
    Truncated,
    /// The stream below failed.
    Lost,
    /// An error of the caller: a future of the reader, the writer or the connector was dropped before it completed.
    /// Bytes may be lost.
    Interrupted,
}

/// Why the certificate or the signature of a server was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Refusal {
    /// The certificate is not for this host.
    WrongName,
    /// A certificate has expired.
    Expired,
    /// A certificate is not valid yet.
    NotYetValid,
    /// No trusted certificate has signed the chain: the CA is unknown, an intermediate certificate is missing, or the
    /// certificate has signed itself.
    UnknownIssuer,
    /// An issuer in the chain is not a CA, or the certificate is that of a CA.
    NotCa,
    /// The server sent more certificates than the verifier reads.
    ChainTooLong,
    /// The key of the certificate is not one of the pinned keys.
    WrongKey,
    /// A signature is wrong. If it is the signature in CertificateVerify, the server does not have the key of its
    /// certificate.
    BadSignature,
    /// A key or a signature uses an algorithm that the verifier does not support. Choose another
    /// [`Algorithms`](super::Algorithms).
    Algorithm,
    /// A certificate cannot be parsed, has an unknown critical extension, or may not be used for a server.
    Malformed,
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Buffers => "a record buffer is too small",
            Self::Name => "the host is neither a DNS name nor an address",
            Self::TimedOut => "the TLS handshake took too long",
            Self::Alert(Some(description)) => return write!(f, "the server sent TLS alert {description}"),
            Self::Alert(None) => "the server sent an encrypted TLS alert",
            Self::Version => "the server does not speak TLS 1.3",
            Self::HelloRetry => "the server does not exchange keys on the curve P-256",
            Self::Handshake => "the server's TLS handshake is not valid",
            Self::Fragmented => "a TLS handshake message does not fit into one record",
            Self::RecordTooLong { length } => {
                return write!(f, "a TLS record of {length} bytes does not fit into the read buffer");
            }
            Self::Record => "a TLS record is not valid",
            Self::Refused(refusal) => return refusal.fmt(f),
            Self::Unauthenticated => "the server did not send a certificate and a signature",
            Self::KeyUpdate => "the server asked for new TLS keys",
            Self::RecordLimit => "the limit of TLS records is reached",
            Self::Truncated => "the stream ended without close_notify",
            Self::Lost => "the stream below TLS failed",
            Self::Interrupted => "a future of the TLS stream was dropped",
        })
    }
}

impl core::error::Error for TlsError {}

impl embedded_io_async::Error for TlsError {
    fn kind(&self) -> embedded_io_async::ErrorKind {
        match self {
            Self::TimedOut => embedded_io_async::ErrorKind::TimedOut,
            Self::Lost | Self::Truncated => embedded_io_async::ErrorKind::ConnectionReset,
            Self::Buffers | Self::Name => embedded_io_async::ErrorKind::InvalidInput,
            Self::Interrupted => embedded_io_async::ErrorKind::Interrupted,
            _ => embedded_io_async::ErrorKind::InvalidData,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WrongName => "the certificate is not for this host",
            Self::Expired => "a certificate has expired",
            Self::NotYetValid => "a certificate is not valid yet",
            Self::UnknownIssuer => "no trusted certificate has signed the chain",
            Self::NotCa => "an issuer in the chain is not a CA, or the certificate is that of a CA",
            Self::ChainTooLong => "the server sent more than 5 certificates",
            Self::WrongKey => "the key of the certificate is not a pinned one",
            Self::BadSignature => "a signature is wrong",
            Self::Algorithm => "a key or a signature uses an unsupported algorithm",
            Self::Malformed => "a certificate is malformed",
        })
    }
}

impl core::error::Error for Refusal {}

impl From<Refusal> for TlsError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}
