//! Board: MPS2 AN386 in QEMU. The camera over TLS in records of 512 bytes, to a server with a pinned key.
#![no_std]
#![no_main]

type Memory = Records<640, 640>;

include!("pin.rs");
