// Each image with TLS includes this file. It makes the connector with `Memory` and with the `Verifier` of the function `verifier`.

use embedded_rtmp_embassy::rand_core::RngCore;
use embedded_rtmp_embassy::transport::tls::{Records, Tls, TlsOptions};

type Connector = Tls<'static, TcpConnect<'static>, Verifier, fn() -> [u8; 32]>;

fn connector(tcp: TcpConnect<'static>) -> Connector {
    static RECORDS: ConstStaticCell<Memory> = ConstStaticCell::new(Records::new());
    Tls::new(tcp, RECORDS.take(), verifier(), entropy, TlsOptions::DEFAULT)
}

fn entropy() -> [u8; 32] {
    let mut bytes = [0; 32];
    HostRng.fill_bytes(&mut bytes);
    bytes
}

include!("over.rs");
