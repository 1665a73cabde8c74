//! Tags of an FLV file, as messages of a stream. A fragment is inside of its message, and the times of a track increase.
//! All output is the same in pieces, and the boxes are closed.
#![no_main]

use embedded_rtmp::media::FrameClass;
use embedded_rtmp::media::flv::Tags;
use embedded_rtmp::media::mp4::{Configuration, Fragment, Muxer, Step};
use embedded_rtmp::message::{MessageHeader, MessageKind, StreamId, Timestamp};
use embedded_rtmp_fuzz::Cuts;
use libfuzzer_sys::fuzz_target;

/// The output of `write`, in pieces.
fn output(length: u32, cuts: &mut Cuts, write: impl Fn(u32, &mut [u8]) -> usize) -> Vec<u8> {
    let (mut output, mut room) = (Vec::new(), vec![0; length as usize]);
    let mut rest = &mut room[..];
    while !rest.is_empty() {
        let size = cuts.piece(&mut &*rest).len();
        let written = write(output.len() as u32, &mut rest[..size]);
        assert_eq!(written, size, "the output is shorter than its length");
        output.extend_from_slice(&rest[..size]);
        rest = &mut rest[size..];
    }
    assert_eq!(write(length, &mut [0]), 0, "the output is longer than its length");
    let mut whole = vec![0; length as usize + 1];
    assert_eq!(write(0, &mut whole), length as usize);
    assert_eq!(output, whole[..length as usize]);
    output
}

/// The types of the outermost boxes. The last one may end behind the bytes.
fn kinds(mut bytes: &[u8], beyond: u32) -> Vec<[u8; 4]> {
    let mut kinds = Vec::new();
    while let [a, b, c, d, kind @ ..] = bytes {
        kinds.push(kind[..4].try_into().expect("four bytes"));
        let size = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        assert!(size >= 8 && size <= bytes.len() + beyond as usize, "the size of a box");
        bytes = &bytes[size.min(bytes.len())..];
    }
    kinds
}

fuzz_target!(|data: &[u8]| {
    let Some((&seed, bytes)) = data.split_first() else { return };
    let (mut cuts, mut muxer, mut last) = (Cuts::new(seed), Muxer::new(), [None, None]);
    // What a relay has cached: the last message of each kind that configures something.
    let mut cached: Vec<(MessageKind, &[u8])> = Vec::new();
    for tag in Tags::aggregate(Timestamp(0), bytes) {
        let (kind, length) = (tag.kind, tag.data.len() as u32);
        let header = MessageHeader { timestamp: tag.timestamp, length, kind, stream: StreamId::CONNECTION };
        if kind == MessageKind::DATA || FrameClass::of(kind, tag.data) == FrameClass::Configuration {
            cached.retain(|(one, _)| *one != kind);
            cached.push((kind, tag.data));
        }
        let mut arrived = 0;
        let fragment = loop {
            let (one, other) = tag.data[..arrived].split_at(arrived / 2);
            match muxer.begin(&header, [one, other]) {
                None => {
                    assert!(arrived < tag.data.len(), "a whole message has a step");
                    arrived += cuts.piece(&mut &tag.data[arrived..]).len();
                }
                Some(Step::Init) => {
                    let configuration = Configuration::new(cached.iter().copied());
                    let begins = muxer.configure(&configuration);
                    assert!(!begins || muxer.is_configured_as(&configuration));
                    let segment = output(configuration.length(), &mut cuts, |at, out| configuration.write(at, out));
                    assert_eq!(kinds(&segment, 0), [*b"ftyp", *b"moov"]);
                    assert!(configuration.codecs().as_str().len() <= 64);
                }
                Some(Step::Fragment(fragment)) => break Some(fragment),
                Some(_) => break None,
            }
        };
        let Some(fragment) = fragment else { continue };
        assert!(fragment.length > 0 && fragment.start + fragment.length <= length);
        let head = output(Fragment::HEAD, &mut cuts, |at, out| fragment.write_head(at, out));
        assert_eq!(kinds(&head, fragment.length), [*b"moof", *b"mdat"]);
        let last = &mut last[usize::from(kind == MessageKind::AUDIO)];
        assert!(last.is_none_or(|last| last < fragment.time), "the time goes back");
        *last = Some(fragment.time);
    }
});
