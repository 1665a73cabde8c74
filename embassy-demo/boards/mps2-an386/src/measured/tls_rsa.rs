//! Board: MPS2 AN386 in QEMU. The camera over TLS, to a server whose chain of certificates is verified with P-256 and RSA.
#![no_std]
#![no_main]

use embedded_rtmp_embassy::rand_core::RngCore;
use embedded_rtmp_embassy::transport::tls::{P256Rsa, Records, Roots, Time, Tls, TlsOptions};

type Connector = Tls<'static, TcpConnect<'static>, Roots<'static, P256Rsa>, fn() -> [u8; 32]>;

fn clock() -> u64 {
    black_box(1_893_456_000)
}

fn connector(tcp: TcpConnect<'static>) -> Connector {
    static RECORDS: ConstStaticCell<Records> = ConstStaticCell::new(Records::new());
    let verifier = Roots::new(black_box(&[&[0x30; 4]]), Time::Clock(clock));
    Tls::new(tcp, RECORDS.take(), verifier, entropy, TlsOptions::DEFAULT)
}

fn entropy() -> [u8; 32] {
    let mut bytes = [0; 32];
    HostRng.fill_bytes(&mut bytes);
    bytes
}

include!("over.rs");
