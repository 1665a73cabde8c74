//! Board: MPS2 AN386 in QEMU. The camera over TLS, to a server whose chain of certificates is verified with P-256 and RSA.
#![no_std]
#![no_main]

use embedded_rtmp_embassy::transport::tls::P256Rsa as Algorithms;

include!("roots.rs");
