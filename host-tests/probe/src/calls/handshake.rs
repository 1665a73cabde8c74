calls! {
    handshake:
    drive {
        handshake::Client::is_done,
        handshake::Client::kind,
        handshake::Client::new,
        handshake::Client::read,
        handshake::Client::transmit,
        handshake::Client::transmit_len,
        handshake::Client::wants_input,
        handshake::Client::wants_transmit,
        handshake::Server::is_done,
        handshake::Server::kind,
        handshake::Server::new,
        handshake::Server::read,
        handshake::Server::transmit,
        handshake::Server::transmit_len,
        handshake::Server::wants_input,
        handshake::Server::wants_transmit,
    }
    drive_as {}
    display {
        handshake::HandshakeError,
        handshake::HandshakeKind,
    }
    format {
        handshake::Client,
        handshake::ClientConfig,
        handshake::HandshakeError,
        handshake::HandshakeKind,
        handshake::DigestScheme,
        handshake::Server,
        handshake::ServerConfig,
        handshake::Style,
        handshake::Versions,
    }
}
