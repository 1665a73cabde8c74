//! The parts of a parsed URL are within its text. Its tcUrl parses to the same host, port and application.
#![no_main]

use embedded_rtmp::url::{AppEnd, Options, SingleSegment, Url};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&choice, text)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let mut options = Options::new();
    options.app_end = match choice & 9 {
        0 => AppEnd::LastSlash,
        1 => AppEnd::FirstSlash,
        _ => AppEnd::Instance,
    };
    options.lone = if choice & 2 == 0 { SingleSegment::App } else { SingleSegment::Key };
    options.default_port_in_tc_url = choice & 4 != 0;
    let Ok(url) = Url::parse_with(text, options) else { return };
    assert!(!url.host().is_empty() && url.port() != Some(0));
    assert!(url.has_key() || url.key_parts().concat().is_empty());
    let tc_url = url.tc_url_parts().concat();
    let authority = tc_url.split('/').nth(2).unwrap_or_default();
    assert!(!authority.contains('@'), "user and password have no place in tcUrl");
    let mut as_app = Options::new();
    as_app.app_end = AppEnd::LastSlash;
    if let Ok(again) = Url::parse_with(&tc_url, as_app) {
        assert_eq!(
            (again.scheme(), again.host(), again.host_is_ipv6()),
            (url.scheme(), url.host(), url.host_is_ipv6())
        );
        assert_eq!((again.user(), again.password()), (None, None));
        assert!(again.port() == url.port() || options.default_port_in_tc_url);
    }
});
