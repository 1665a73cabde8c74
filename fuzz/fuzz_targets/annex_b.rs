//! Converts start codes to lengths, in place and in parts, and back. The units are the same each time.
#![no_main]

use embedded_rtmp::media::avc::Message;
use embedded_rtmp::media::avc::annex_b::{Units, to_length_prefixed};
use embedded_rtmp::media::avc::prefixed::{self, to_annex_b};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&choice, stream)) = data.split_first() else { return };
    let units: Vec<&[u8]> = Units::new(stream).collect();
    assert!(units.iter().all(|unit| !unit.is_empty() && !unit.ends_with(&[0])));
    assert!(units.iter().all(|unit| !unit.windows(3).any(|three| three == [0, 0, 1])));

    // In place, with as much room as the first byte says.
    let mut buffer = [stream, &vec![0xEE; choice.into()]].concat();
    let before = buffer.clone();
    match to_length_prefixed(&mut buffer, stream.len()) {
        Ok(length) => {
            let picture = &mut buffer[..length];
            assert!(prefixed::Units::new(4, picture).eq(units.iter().copied()));
            if let Ok(message) = Message::<16>::new(Units::new(stream), 0) {
                assert_eq!(message.parts().skip(1).collect::<Vec<_>>().concat(), picture);
                assert_eq!(message.length() as usize, length + 5);
                let mut left = message.length();
                while left > 0 {
                    let rest = message.rest(left);
                    assert!(!rest.is_empty());
                    left -= rest.len() as u32;
                }
            } else {
                assert!(units.len() > 16);
            }
            to_annex_b(picture).expect("the picture is complete");
            assert!(Units::new(picture).eq(units.iter().copied()));
        }
        Err(error) => {
            assert_eq!(buffer, before, "changed, though there is no room");
            assert!(error.needed > buffer.len() && error.needed <= stream.len() + units.len());
        }
    }

    // The same bytes as lengths of every size.
    for size in 0..6 {
        let mut units = prefixed::Units::new(size, stream);
        let taken: usize = units.by_ref().map(|unit| unit.len() + size).sum();
        assert!(taken + units.rest().len() <= stream.len());
    }
    let mut picture = stream.to_vec();
    if to_annex_b(&mut picture).is_err() {
        assert_eq!(picture, stream);
    }
});
