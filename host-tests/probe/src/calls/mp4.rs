// The functions of `media::mp4`, which needs the feature `mp4`.
calls! {
    #[cfg(feature = "mp4")]
    mp4:
    drive {
        media::mp4::Codecs::as_str,
        media::mp4::Configuration::audio,
        media::mp4::Configuration::codecs,
        media::mp4::Configuration::length,
        media::mp4::Configuration::video,
        media::mp4::Configuration::write,
        media::mp4::Fragment::total,
        media::mp4::Fragment::write_head,
        media::mp4::Muxer::begin,
        media::mp4::Muxer::configure,
        media::mp4::Muxer::has_begun,
        media::mp4::Muxer::is_configured_as,
        media::mp4::Muxer::new,
        <media::mp4::Muxer as Default>::default,
    }
    drive_as {
        media::mp4::Configuration::new => |messages: [(message::MessageKind, &'static [u8]); 3]| {
            media::mp4::Configuration::new(messages)
        },
    }
    display {
        media::mp4::NoTrack,
    }
    format {
        media::mp4::Codecs,
        media::mp4::Configuration,
        media::mp4::Fragment,
        media::mp4::Muxer,
        media::mp4::NoTrack,
        media::mp4::Skip,
        media::mp4::Step,
    }
}
