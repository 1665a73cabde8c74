//! A parsed chunk header is written, and parsed again to the same header.
#![no_main]

use embedded_rtmp::chunk::header::{ChunkHeader, EXTENDED, MAX_SIZE, size};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut window = [0; MAX_SIZE];
    let length = data.len().min(MAX_SIZE);
    window[..length].copy_from_slice(&data[..length]);
    let header = ChunkHeader::parse(&window);
    let extended = (header.message.time_field() == Some(EXTENDED)).then_some(0x0123_4567);
    let (bytes, length) = header.emit(extended);
    let without = length - if extended.is_some() { 4 } else { 0 };
    assert_eq!(ChunkHeader::parse(&bytes), header);
    assert_eq!(size(bytes[0]), without);
    assert!(without <= size(window[0]), "longer than the sender's");
    if without == size(window[0]) && window[0] & 0x3F > 1 {
        assert_eq!(bytes[..without], window[..without]);
    }
});
