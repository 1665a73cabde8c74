// Each image with TLS includes this file. It makes the connector with `Memory` and with the `Verifier` of the function `verifier`.

use embedded_rtmp_embassy::transport::tls::{Records, Tls, TlsOptions};

type Connector = Tls<'static, TcpConnect<'static>, Verifier, fn() -> [u8; 32]>;

fn connector(tcp: TcpConnect<'static>) -> Connector {
    static RECORDS: ConstStaticCell<Memory> = ConstStaticCell::new(Records::new());
    Tls::new(tcp, RECORDS.take(), verifier(), host::random, TlsOptions::DEFAULT)
}

include!("over.rs");
