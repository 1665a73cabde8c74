//! Board: MPS2 AN386 in QEMU. The camera over TLS, to a server whose chain of certificates is verified with P-256, RSA and P-384.
#![no_std]
#![no_main]

use embedded_rtmp_embassy::transport::tls::P256RsaP384 as Algorithms;

include!("roots.rs");
