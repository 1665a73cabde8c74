//! Board: MPS2 AN386 in QEMU. The camera over TLS, to a server with a pinned key.
#![no_std]
#![no_main]

type Memory = Records;

include!("pin.rs");
