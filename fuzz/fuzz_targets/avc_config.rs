//! The parameter sets of a decoder configuration are within its bytes. A configuration that is made of them is parsed
//! again.
#![no_main]

use embedded_rtmp::media::avc::{AvcConfig, AvcConfigError, Sps, sequence_header, sequence_header_size};
use embedded_rtmp::media::{aac, video};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Some(sps) = Sps::parse(data) {
        assert!(sps.width > 0 && sps.height > 0 && sps.chroma_format <= 3);
        assert!((8..=14).contains(&sps.luma_depth) && (8..=14).contains(&sps.chroma_depth));
    }
    let _ = aac::AacConfig::parse(data);
    let Ok(config) = AvcConfig::parse(data) else { return };
    let (sps, pps): (Vec<_>, Vec<_>) = (config.sps().collect(), config.pps().collect());
    let bytes: usize = sps.iter().chain(&pps).map(|set| set.len() + 2).sum();
    assert!(bytes + 7 <= data.len() && sps.len() <= 31 && pps.len() <= 255);

    let needed = sequence_header_size(&sps, &pps);
    let mut buffer = vec![0; needed];
    match sequence_header(&sps, &pps, &mut buffer) {
        Ok(payload) => {
            assert_eq!(payload.len(), needed);
            let (header, record) = video::VideoTagHeader::parse(payload).expect("the payload has a header");
            assert_eq!(header, video::VideoTagHeader::AVC_SEQUENCE_HEADER);
            let again = AvcConfig::parse(record).expect("the record is complete");
            assert!(again.sps().eq(sps.iter().copied()) && again.pps().eq(pps.iter().copied()));
            let short = sequence_header(&sps, &pps, &mut buffer[1..]).err();
            assert_eq!(short, Some(AvcConfigError::BufferFull { needed }));
        }
        Err(error) => assert!(matches!(error, AvcConfigError::Sps | AvcConfigError::Pps), "{error}"),
    }
});
