//! Board: MPS2 AN386 in QEMU. The camera over TLS in records of 512 bytes, to a server with a pinned key.
#![no_std]
#![no_main]

use embedded_rtmp_embassy::rand_core::RngCore;
use embedded_rtmp_embassy::transport::tls::{P256, Pin, Records, Tls, TlsOptions};

type Connector = Tls<'static, TcpConnect<'static>, Pin<'static, P256>, fn() -> [u8; 32]>;

fn connector(tcp: TcpConnect<'static>) -> Connector {
    static RECORDS: ConstStaticCell<Records<640, 640>> = ConstStaticCell::new(Records::new());
    let verifier = Pin::new(black_box(&[[7; 32]]));
    Tls::new(tcp, RECORDS.take(), verifier, entropy, TlsOptions::DEFAULT)
}

fn entropy() -> [u8; 32] {
    let mut bytes = [0; 32];
    HostRng.fill_bytes(&mut bytes);
    bytes
}

include!("over.rs");
