//! Tests of RTMP URLs.

use proptest::prelude::*;
use std::format;
use std::string::String;

use super::*;

fn parse(text: &str) -> Url<'_> {
    Url::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn app_and_key(text: &str) -> (&str, Option<String>) {
    with(Options::new(), text)
}

fn with(options: Options, text: &str) -> (&str, Option<String>) {
    let url = Url::parse_with(text, options).unwrap_or_else(|error| panic!("{text}: {error}"));
    (url.app(), url.has_key().then(|| url.key_parts().concat()))
}

/// An application and a key to compare with.
fn parts<'t>(app: &'t str, key: &str) -> (&'t str, Option<String>) {
    (app, Some(key.into()).filter(|key: &String| !key.is_empty()))
}

const FIRST: Options = Options { app_end: AppEnd::FirstSlash, ..Options::new() };
const LAST: Options = Options { app_end: AppEnd::LastSlash, ..Options::new() };
const LONE_KEY: Options = Options { lone: SingleSegment::Key, ..Options::new() };

#[test]
fn item_091_item_161_a_path_is_split_as_ffmpeg_splits_it() {
    for (path, app, key) in [
        ("app/key", "app", "key"),
        ("app/instance/key", "app/instance", "key"),
        ("app/_definst_/key", "app/_definst_", "key"),
        ("app/instance/a/b", "app/instance", "a/b"),
        ("app/instance/key?token=a/b:c/d", "app/instance", "key?token=a/b:c/d"),
        ("app/key/", "app/key", ""),
        ("app//key", "app/", "key"),
        // A colon before the second slash.
        ("app/mp4:a/b", "app", "mp4:a/b"),
        ("a:p/i/key", "a:p", "i/key"),
        ("app/instance/mp4:a/b", "app/instance", "mp4:a/b"),
        // Spaces.
        ("my app/my key", "my app", "my key"),
    ] {
        assert_eq!(app_and_key(&format!("rtmp://h/{path}")), parts(app, key), "{path}");
    }
}

#[test]
fn item_161_a_slash_in_a_query_does_not_split_unless_the_path_has_one_segment() {
    for (path, app, key) in [
        ("live/key?token=a/b", "live", "key?token=a/b"),
        ("live/key?token=a/b:c/d", "live", "key?token=a/b:c/d"),
        ("live/key?u=http://x/y", "live", "key?u=http://x/y"),
        ("app?vhost=x/key", "app?vhost=x", "key"),
        ("app?u=http://x/y/key?z", "app?u=http://x/y", "key?z"),
        ("app?vhost=x/", "app?vhost=x", ""),
        ("app?vhost=x", "app?vhost=x", ""),
    ] {
        for options in [Options::new(), FIRST, LAST, LONE_KEY] {
            if options == LONE_KEY && !path.contains('/') {
                continue;
            }
            let text = format!("rtmp://h/{path}");
            assert_eq!(with(options, &text), parts(app, key), "{path}");
        }
    }
    assert_eq!(with(LONE_KEY, "rtmp://h/key?vhost=x"), parts("", "key?vhost=x"));
}

#[test]
fn item_161_the_type_of_a_file_is_in_the_prefix() {
    for (path, app, key) in [
        ("live/k.flv", "live", "k"),
        ("live/k.flv?token=1", "live", "k?token=1"),
        ("live/k.flv?f=x.flv", "live", "k?f=x.flv"),
        ("live/flv:k.flv", "live", "flv:k"),
        ("live/k.flv.flv", "live", "k.flv"),
        ("live/.flv", "live", ""),
        ("live/k.mp4", "live", "mp4:k.mp4"),
        ("live/k.f4v?token=a:b", "live", "mp4:k.f4v?token=a:b"),
        ("live/a/k.mp4", "live/a", "mp4:k.mp4"),
        ("live/mp4:k.mp4", "live", "mp4:k.mp4"),
        ("live/x:k.f4v", "live", "x:k.f4v"),
        ("app?vhost=x/k.flv", "app?vhost=x", "k"),
        // Not such names.
        ("live/k.mp3", "live", "k.mp3"),
        ("live/k.FLV", "live", "k.FLV"),
        ("live/kflv", "live", "kflv"),
        ("live/flv", "live", "flv"),
        ("live/ключ.flv", "live", "ключ"),
        ("live.flv", "live.flv", ""),
    ] {
        let text = format!("rtmp://h/{path}");
        let url = parse(&text);
        assert_eq!((url.app(), url.key_parts().concat()), (app, key.into()), "{path}");
    }
}

#[test]
fn item_091_with_an_option_the_app_ends_at_the_first_slash() {
    assert_eq!(with(FIRST, "rtmp://h/app/key"), parts("app", "key"));
    assert_eq!(with(FIRST, "rtmp://h/app/a/b"), parts("app", "a/b"));
    assert_eq!(with(FIRST, "rtmp://h/app//key"), parts("app", "/key"));
    assert_eq!(with(FIRST, "rtmp://h/app/key/"), parts("app", "key/"));
}

#[test]
fn item_091_with_an_option_the_app_ends_at_the_last_slash() {
    assert_eq!(with(LAST, "rtmp://h/app/key"), parts("app", "key"));
    assert_eq!(with(LAST, "rtmp://h/app/instance/key"), parts("app/instance", "key"));
    assert_eq!(with(LAST, "rtmp://h/app/instance/a/key"), parts("app/instance/a", "key"));
    assert_eq!(with(LAST, "rtmp://h/app/instance/"), parts("app/instance", ""));
    assert_eq!(with(LAST, "rtmp://h/app/instance/key?u=http://x/y"), parts("app/instance", "key?u=http://x/y"));
}

#[test]
fn item_091_one_segment_is_the_app_or_with_an_option_the_key() {
    for text in ["rtmp://h/app", "rtmp://h/app/"] {
        assert_eq!(app_and_key(text), ("app", None));
        assert_eq!(with(LAST, text), ("app", None));
    }
    assert_eq!(with(LONE_KEY, "rtmp://h/key?a=b"), parts("", "key?a=b"));
    assert_eq!(with(LONE_KEY, "rtmp://h/app/"), ("app", None));
    assert_eq!(with(LONE_KEY, "rtmp://h/app/key"), parts("app", "key"));
    for text in ["rtmp://h", "rtmp://h/"] {
        assert_eq!(app_and_key(text), ("", None));
        assert_eq!(with(LONE_KEY, text), ("", None));
        assert_eq!(parse(text).tc_url_parts().concat(), "rtmp://h/");
    }
}

#[test]
fn item_161_another_application_is_in_tc_url() {
    let url = parse("rtmp://h:80/live/a/b").with_app("live");
    assert_eq!((url.app(), url.tc_url_parts().concat()), ("live", "rtmp://h:80/live".into()));
}

#[test]
fn item_091_a_query_stays_with_its_part() {
    assert_eq!(app_and_key("rtmp://h/app/key?a=b&c=/d?e"), parts("app", "key?a=b&c=/d?e"));
    assert_eq!(app_and_key("rtmp://h/app?x=y"), ("app?x=y", None));
    assert_eq!(app_and_key("rtmp://h/app?x=y/key?z"), parts("app?x=y", "key?z"));
    assert_eq!(app_and_key("rtmp://h/app/?x=y"), parts("app", "?x=y"));
}

#[test]
fn item_091_number_sign_percent_and_other_scripts_stay_verbatim() {
    assert_eq!(app_and_key("rtmp://h/a%20pp/k#e%2Fy#"), parts("a%20pp", "k#e%2Fy#"));
    assert_eq!(app_and_key("rtmp://h/app/ключ"), parts("app", "ключ"));
    assert_eq!(app_and_key("rtmp://h/app/mp4:a@b:1"), parts("app", "mp4:a@b:1"));
}

#[test]
fn item_091_ipv6_hosts_stand_in_brackets() {
    let url = parse("rtmp://[2001:db8::1]/app/key");
    assert_eq!((url.host(), url.host_is_ipv6(), url.port()), ("2001:db8::1", true, None));
    let url = parse("rtmp:/[::ffff:1.2.3.4]:80/app/key");
    assert_eq!((url.host(), url.host_is_ipv6(), url.port()), ("::ffff:1.2.3.4", true, Some(80)));
    assert_eq!(url.tc_url_parts().concat(), "rtmp://[::ffff:1.2.3.4]:80/app");
    let url = parse("rtmp://192.0.2.7:1/app/key");
    assert_eq!((url.host(), url.host_is_ipv6(), url.port()), ("192.0.2.7", false, Some(1)));
}

#[test]
fn item_091_user_and_password_are_kept_apart() {
    let url = parse("rtmp://me:p:w@rd@host:81/app/key@x");
    assert_eq!((url.user(), url.password()), (Some("me"), Some("p:w@rd")));
    assert_eq!((url.host(), url.port(), url.key_parts().concat()), ("host", Some(81), "key@x".into()));
    assert_eq!(url.tc_url_parts().concat(), "rtmp://host:81/app");
    let url = parse("rtmp://me@[::1]/app");
    assert_eq!((url.user(), url.password(), url.host()), (Some("me"), None, "::1"));
    assert_eq!((parse("rtmp://h/app").user(), parse("rtmp://h/app").password()), (None, None));
}

#[test]
fn secrets_are_not_in_debug_output() {
    let url = parse("rtmp://me:PASS@host:81/app?TOKEN/KEY?TOKEN");
    assert_eq!(format!("{url:?}"), "Url(rtmp://..@host:81/app?../..)");
    assert_eq!(format!("{:?}", parse("rtmp://h/app")), "Url(rtmp://h/app)");
}

#[test]
fn schemes_in_any_case_behind_one_slash_or_two() {
    let schemes = [
        ("rtmp", Scheme::Rtmp),
        ("RTMPS", Scheme::Rtmps),
        ("RtmpT", Scheme::Rtmpt),
        ("rtmpE", Scheme::Rtmpe),
        ("rtmpte", Scheme::Rtmpte),
        ("rtmpts", Scheme::Rtmpts),
    ];
    for (name, scheme) in schemes {
        for slashes in ["/", "//"] {
            let text = format!("{name}:{slashes}h:80/app");
            assert_eq!(parse(&text).scheme(), scheme);
            assert_eq!(parse(&text).tc_url_parts().concat(), format!("{scheme}://h:80/app"));
        }
    }
}

#[test]
fn item_221_a_redirect_never_leads_to_less_than_the_scheme_asks_for() {
    use Scheme::*;
    for (from, to) in [
        (Rtmps, &[Rtmps, Rtmpts][..]),
        (Rtmpts, &[Rtmps, Rtmpts]),
        (Rtmpe, &[Rtmpe, Rtmpte, Rtmps, Rtmpts]),
        (Rtmpte, &[Rtmpe, Rtmpte, Rtmps, Rtmpts]),
        (Rtmp, &[Rtmp, Rtmpt, Rtmpe, Rtmpte, Rtmps, Rtmpts]),
        (Rtmpt, &[Rtmp, Rtmpt, Rtmpe, Rtmpte, Rtmps, Rtmpts]),
    ] {
        for other in [Rtmp, Rtmps, Rtmpt, Rtmpe, Rtmpte, Rtmpts] {
            assert_eq!(from.permits(other), to.contains(&other), "{from} to {other}");
        }
    }
}

#[test]
fn item_092_default_ports() {
    let ports = [("rtmp", 1935), ("rtmps", 443), ("rtmpt", 80), ("rtmpe", 1935), ("rtmpte", 80), ("rtmpts", 443)];
    for (name, port) in ports {
        let text = format!("{name}://h/app");
        assert_eq!((parse(&text).port(), parse(&text).scheme().default_port()), (None, port));
        assert_eq!(parse(&text).tc_url_parts().concat(), text);
        let options = Options { default_port_in_tc_url: true, ..Options::new() };
        let named = Url::parse_with(&text, options).unwrap();
        assert_eq!(named.tc_url_parts().concat(), format!("{name}://h:{port}/app"));
        let text = format!("{name}://h:0081/app");
        assert_eq!(Url::parse_with(&text, options).unwrap().tc_url_parts().concat(), text);
    }
}

#[test]
fn item_092_an_explicit_port_stays_as_written() {
    for (text, port) in [("1935", 1935), ("80", 80), ("0080", 80), ("65535", 65535)] {
        let text = format!("rtmp://h:{text}/app");
        assert_eq!(parse(&text).port(), Some(port));
        assert_eq!(parse(&text).tc_url_parts().concat(), text);
    }
    for bad in ["", "0", "000", "65536", "99999999999999999999", "-1", "+80", "8o", "80:80", "８０"] {
        assert_eq!(Url::parse(&format!("rtmp://h:{bad}/app")), Err(UrlError::Port), "{bad}");
    }
}

#[test]
fn an_invalid_url_is_refused_with_the_reason() {
    let cases = [
        ("", UrlError::Scheme),
        ("rtmp", UrlError::Scheme),
        ("rtmp:", UrlError::Scheme),
        ("rtmp:h/app", UrlError::Scheme),
        ("rtmp:///app", UrlError::Host),
        ("rtmp//h/app", UrlError::Scheme),
        ("rtmp::/h/app", UrlError::Scheme),
        ("http://h/app", UrlError::Scheme),
        ("rtmpx://h/app", UrlError::Scheme),
        ("//h/app", UrlError::Scheme),
        ("rtmp://", UrlError::Host),
        ("rtmp://:80/app", UrlError::Host),
        ("rtmp://me@/app", UrlError::Host),
        ("rtmp://::1/app", UrlError::Host),
        ("rtmp://[]/app", UrlError::Host),
        ("rtmp://[::1/app", UrlError::Host),
        ("rtmp://[::1]80/app", UrlError::Host),
        ("rtmp://[cafe]/app", UrlError::Host),
        ("rtmp://[fe80::1%25eth0]/app", UrlError::Host),
        ("rtmp://h?x=y", UrlError::Host),
        ("rtmp://h%41/app", UrlError::Host),
        ("rtmp://höst/app", UrlError::Host),
        ("rtmp://h//key", UrlError::App),
        ("rtmp://h///", UrlError::App),
        ("rtmp://h//a/b", UrlError::App),
        (" rtmp://h/app", UrlError::Scheme),
        ("rtmp://h /app", UrlError::Host),
    ];
    for (text, error) in cases {
        assert_eq!(Url::parse(text), Err(error), "{text}");
    }
    for c in ['\0', '\r', '\n', '\t', '\x1B', '\x7F'] {
        for text in [format!("{c}rtmp://h/app"), format!("rtmp://h{c}/app"), format!("rtmp://h/app/key{c}")] {
            assert_eq!(Url::parse(&text), Err(UrlError::Character), "{text:?}");
        }
    }
}

#[test]
fn the_length_is_bounded() {
    let mut text = String::from("rtmp://h/app/");
    while text.len() < MAX_URL_LENGTH {
        text.push('k');
    }
    assert_eq!(parse(&text).key_parts().concat().len(), MAX_URL_LENGTH - 13);
    text.push('k');
    assert_eq!(Url::parse(&text), Err(UrlError::TooLong));
    assert!(format!("{}", UrlError::TooLong).contains(&format!("{MAX_URL_LENGTH}")));
}

fn any_url() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "(rtmp|RTMPS|rtmpt)?:?/{0,3}([a-z]{0,2}(:[a-z@]{0,2})?@)?(\\[[0-9a-f:.]{0,4}\\]|[a-z.]{0,3})(:[0-9]{0,6})?[/?#%a-zé]{0,9}",
    ]
}

proptest! {
    #[test]
    fn any_text_is_parsed_or_refused_and_nothing_gets_lost(text in any_url(), end in 0_usize..3, lone: bool) {
        let options = Options {
            app_end: [AppEnd::Instance, AppEnd::FirstSlash, AppEnd::LastSlash][end],
            lone: if lone { SingleSegment::Key } else { SingleSegment::App },
            default_port_in_tc_url: false,
        };
        if let Ok(url) = Url::parse_with(&text, options) {
            prop_assert!(!url.host().is_empty() && url.port() != Some(0));
            let rest = text.split_once(":/").unwrap().1;
            let rest = rest.strip_prefix('/').unwrap_or(rest);
            let mut again = String::new();
            if let Some(user) = url.user() {
                again += user;
                if let Some(password) = url.password() {
                    again += &format!(":{password}");
                }
                again += "@";
            }
            again += url.authority;
            let path = match (url.app(), url.key) {
                ("", key) => key.into(),
                (app, "") => String::from(app),
                (app, key) => format!("{app}/{key}"),
            };
            let (whole, without_slash) = (format!("{again}/{path}"), format!("{again}{path}"));
            prop_assert!([whole.clone(), whole + "/", without_slash].iter().any(|made| made == rest), "{} {:?}", rest, url);
        }
    }
}
