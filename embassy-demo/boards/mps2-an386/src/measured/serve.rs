//! Board: MPS2 AN386 in QEMU. The image whose flash and RAM are measured: a server that relays one stream to three players.
#![no_std]
#![no_main]

fn prepare(_: Spawner, server: Served) -> Served {
    server
}

include!("serving.rs");
