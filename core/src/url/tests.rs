//! Tests of RTMP URLs.

use proptest::prelude::*;
use std::format;
use std::string::String;

use super::*;

fn parse(text: &str) -> Url<'_> {
    Url::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn app_and_key(text: &str) -> (&str, Option<&str>) {
    let url = parse(text);
    (url.app(), url.key())
}

fn with(options: Options, text: &str) -> (&str, Option<&str>) {
    let url = Url::parse_with(text, options).unwrap_or_else(|error| panic!("{text}: {error}"));
    (url.app(), url.key())
}

const LAST: Options = Options { app_end: AppEnd::LastSlash, ..Options::new() };
const LONE_KEY: Options = Options { lone: SingleSegment::Key, ..Options::new() };

#[test]
fn item_091_the_app_ends_at_the_first_slash() {
    assert_eq!(app_and_key("rtmp://h/app/key"), ("app", Some("key")));
    assert_eq!(app_and_key("rtmp://h/app/a/b"), ("app", Some("a/b")));
    assert_eq!(app_and_key("rtmp://h/app//key"), ("app", Some("/key")));
    assert_eq!(app_and_key("rtmp://h/app/key/"), ("app", Some("key/")));
}

#[test]
fn item_091_with_an_option_the_app_ends_at_the_last_slash() {
    assert_eq!(with(LAST, "rtmp://h/app/key"), ("app", Some("key")));
    assert_eq!(with(LAST, "rtmp://h/app/instance/key"), ("app/instance", Some("key")));
    assert_eq!(with(LAST, "rtmp://h/app/instance/"), ("app/instance", None));
    assert_eq!(with(LAST, "rtmp://h/app/instance/key?u=http://x/y"), ("app/instance", Some("key?u=http://x/y")));
    assert_eq!(with(LAST, "rtmp://h/app?vhost=x/key"), ("app?vhost=x", Some("key")));
}

#[test]
fn item_091_one_segment_is_the_app_or_with_an_option_the_key() {
    for text in ["rtmp://h/app", "rtmp://h/app/"] {
        assert_eq!(app_and_key(text), ("app", None));
        assert_eq!(with(LAST, text), ("app", None));
    }
    assert_eq!(with(LONE_KEY, "rtmp://h/key?a=b"), ("", Some("key?a=b")));
    assert_eq!(with(LONE_KEY, "rtmp://h/app/"), ("app", None));
    assert_eq!(with(LONE_KEY, "rtmp://h/app/key"), ("app", Some("key")));
    for text in ["rtmp://h", "rtmp://h/"] {
        assert_eq!(app_and_key(text), ("", None));
        assert_eq!(with(LONE_KEY, text), ("", None));
        assert_eq!(parse(text).tc_url_parts().concat(), "rtmp://h/");
    }
}

#[test]
fn item_091_a_query_stays_with_its_part() {
    assert_eq!(app_and_key("rtmp://h/app/key?a=b&c=/d?e"), ("app", Some("key?a=b&c=/d?e")));
    assert_eq!(app_and_key("rtmp://h/app?x=y"), ("app?x=y", None));
    assert_eq!(app_and_key("rtmp://h/app?x=y/key?z"), ("app?x=y", Some("key?z")));
    assert_eq!(app_and_key("rtmp://h/app/?x=y"), ("app", Some("?x=y")));
}

#[test]
fn item_091_number_sign_percent_and_other_scripts_stay_verbatim() {
    assert_eq!(app_and_key("rtmp://h/a%20pp/k#e%2Fy#"), ("a%20pp", Some("k#e%2Fy#")));
    assert_eq!(app_and_key("rtmp://h/app/ключ"), ("app", Some("ключ")));
    assert_eq!(app_and_key("rtmp://h/app/mp4:a@b:1"), ("app", Some("mp4:a@b:1")));
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
    assert_eq!((url.host(), url.port(), url.key()), ("host", Some(81), Some("key@x")));
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
    ];
    for (text, error) in cases {
        assert_eq!(Url::parse(text), Err(error), "{text}");
    }
    for c in ['\0', '\r', '\n', '\t', ' ', '\x1B', '\x7F'] {
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
    assert_eq!(parse(&text).key().map(str::len), Some(MAX_URL_LENGTH - 13));
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
    fn any_text_is_parsed_or_refused_and_nothing_gets_lost(text in any_url(), last: bool, lone: bool) {
        let options = Options {
            app_end: if last { AppEnd::LastSlash } else { AppEnd::FirstSlash },
            lone: if lone { SingleSegment::Key } else { SingleSegment::App },
            default_port_in_tc_url: false,
        };
        if let Ok(url) = Url::parse_with(&text, options) {
            prop_assert!(!url.host().is_empty() && url.port() != Some(0) && url.key() != Some(""));
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
            let path = match (url.app(), url.key()) {
                ("", key) => key.unwrap_or("").into(),
                (app, None) => String::from(app),
                (app, Some(key)) => format!("{app}/{key}"),
            };
            let (whole, without_slash) = (format!("{again}/{path}"), format!("{again}{path}"));
            prop_assert!([whole.clone(), whole + "/", without_slash].iter().any(|made| made == rest), "{} {:?}", rest, url);
        }
    }
}
