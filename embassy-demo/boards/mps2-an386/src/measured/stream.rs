//! Board: MPS2 AN386 in QEMU. The camera over TCP, with the same connector as the images with TLS.
#![no_std]
#![no_main]

type Connector = TcpConnect<'static>;

fn connector(tcp: TcpConnect<'static>) -> Connector {
    tcp
}

include!("over.rs");
