//! Symbols with the sizes of the types in their names.
#![no_std]
#![no_main]

use probe as _;

use core::hint::black_box;

use embedded_rtmp::{chunk, port_plan, relay, session, tunnel, url};

macro_rules! sizes {
    ($($(#[$attribute:meta])* $name:ident: $type:ty;)*) => {
        $($(#[$attribute])* #[unsafe(no_mangle)] static $name: [u8; size_of::<$type>()] = [0; size_of::<$type>()];)*

        #[unsafe(no_mangle)]
        fn _start() {
            $($(#[$attribute])* black_box(&$name);)*
        }
    };
}

sizes! {
    STATE_CLIENT: session::Client<'static, 8>;
    STATE_SERVER: session::Server<'static, 8>;
    STATE_VIEWER: session::Client<'static, 8, 1>;
    STATE_RING: relay::Ring<'static>;
    STATE_PLAYER: relay::Player;
    STATE_PLAYING: session::Server<'static, 2>;
    STATE_CLIENT_PLAYS: session::Client<'static, 8, 2, 2>;
    STATE_READER: chunk::Reader<8>;
    STATE_WRITER: chunk::Writer<4>;
    STATE_HANDSHAKE: embedded_rtmp::handshake::Handshake;
    STATE_PLAN: port_plan::Plan<'static>;
    STATE_TUNNEL: tunnel::TunnelClient;
    STATE_HTTP: tunnel::TunnelConnection;
    STATE_TUNNELS: tunnel::Tunnels<'static, 4>;
    STATE_URL: url::Url<'static>;
    #[cfg(feature = "web")]
    STATE_WEB: embedded_rtmp::web::WebConnection<512>;
    #[cfg(feature = "rtmpe")]
    STATE_CIPHER: embedded_rtmp::crypt::Cipher;
    #[cfg(feature = "rtmpe")]
    STATE_KEYS: embedded_rtmp::crypt::KeyPair;
}
