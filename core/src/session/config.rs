//! What the sessions can be told to do otherwise.

use core::time::Duration;

use crate::chunk::TypeThreeDelta;
use crate::handshake::{Style, Versions};

/// What a client can be told to do otherwise.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ClientConfig {
    /// How the client begins the handshake.
    pub handshake: Style,
    /// Whether the handshake fails if S2 does not answer C1: see
    /// [`HandshakeConfig`](crate::handshake::HandshakeConfig::Client). For tests of servers.
    pub strict_handshake: bool,
    /// How long the handshake may take.
    pub handshake_timeout: Duration,
    /// How long the answer to each request may take.
    pub response_timeout: Duration,
    /// The size of the chunks that we send, in bytes. It is at least 128, which some servers insist on.
    pub chunk_size: u32,
    /// The window that we announce, in bytes.
    pub window: u32,
    /// What the peer means by a type 3 header after a type 0 header.
    pub type_three_delta: TypeThreeDelta,
}

impl ClientConfig {
    /// The plain handshake, 10 s for it and for each answer, chunks of 4,096 bytes.
    pub const fn new() -> Self {
        Self {
            handshake: Style::Simple,
            strict_handshake: false,
            handshake_timeout: Duration::from_secs(10),
            response_timeout: Duration::from_secs(10),
            chunk_size: 4_096,
            window: 2_500_000,
            type_three_delta: TypeThreeDelta::Timestamp,
        }
    }
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self::new()
    }
}

/// What a server can be told to do otherwise.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ServerConfig {
    /// Which versions of the handshake the server accepts.
    pub handshake: Versions,
    /// How long the handshake may take, and then `connect`.
    pub connect_timeout: Duration,
    /// How long a client may be silent. After half of that it is sent a ping.
    pub idle_timeout: Duration,
    /// The size of the chunks that we send, in bytes. FFmpeg takes the same for those that it sends.
    pub chunk_size: u32,
    /// The window that we announce, and want the client to have, in bytes.
    pub window: u32,
    /// What the peer means by a type 3 header after a type 0 header.
    pub type_three_delta: TypeThreeDelta,
}

impl ServerConfig {
    /// 10 s for the handshake and for `connect`, 30 s of silence, chunks of 4,096 bytes.
    pub const fn new() -> Self {
        Self {
            handshake: Versions::Offer3,
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(30),
            chunk_size: 4_096,
            window: 2_500_000,
            type_three_delta: TypeThreeDelta::Timestamp,
        }
    }
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self::new()
    }
}
