//! A chunk stream, cut anywhere, gives the same messages as in one piece. The first byte chooses the cuts.
#![no_main]

use embedded_rtmp_fuzz::{Cuts, read};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&seed, stream)) = data.split_first() else { return };
    let whole = read::<8>(stream, || usize::MAX);
    let mut cuts = Cuts::new(seed);
    assert_eq!(read::<8>(stream, || cuts.length()), whole);
    assert_eq!(read::<8>(stream, || 1), whole);
    // A table so small that chunk streams evict each other.
    assert_eq!(read::<2>(stream, || cuts.length()), read::<2>(stream, || usize::MAX));
});
