calls! {
    handshake:
    drive {
        handshake::Handshake::is_done,
        handshake::Handshake::kind,
        handshake::Handshake::new,
        handshake::Handshake::next_event,
        handshake::Handshake::poll_transmit,
        handshake::Handshake::transmit_len,
        handshake::Handshake::wants_input,
        handshake::Handshake::wants_transmit,
    }
    drive_as {}
    display {
        handshake::HandshakeError,
        handshake::HandshakeKind,
    }
    format {
        handshake::DigestScheme,
        handshake::Handshake,
        handshake::HandshakeConfig,
        handshake::HandshakeError,
        handshake::HandshakeEvent,
        handshake::HandshakeKind,
        handshake::Style,
        handshake::Versions,
    }
}
