//! The grammar of the URL.
//!
//! nom's `take_while` has no panic path on text. The searches of `str` for a character have one (in `memchr`), and so have
//! nom's parsers for a tag. Therefore single separators are searched among the bytes.

use nom::IResult;
use nom::bytes::complete::take_while;

use super::{AppEnd, MAX_URL_LENGTH, Options, Scheme, SingleSegment, Url, UrlError};

pub(super) fn url(text: &str, options: Options) -> Result<Url<'_>, UrlError> {
    if text.len() > MAX_URL_LENGTH {
        return Err(UrlError::TooLong);
    }
    if text.bytes().any(|byte| byte <= b' ' || byte == 0x7F) {
        return Err(UrlError::Character);
    }
    let (rest, scheme) = scheme(text)?;
    let (authority, path) = first(rest, b'/').unwrap_or((rest, ""));
    let (userinfo, authority) = match last(authority, b'@') {
        Some((userinfo, authority)) => (Some(userinfo), authority),
        None => (None, authority),
    };
    let (user, password) = match userinfo.and_then(|info| first(info, b':')) {
        Some((user, password)) => (Some(user), Some(password)),
        None => (userinfo, None),
    };
    let (behind_host, host) = host(authority)?;
    let port = port(behind_host)?;
    let (app, key) = self::path(path, options)?;
    let default_port_in_tc_url = options.default_port_in_tc_url;
    Ok(Url { scheme, host, authority, port, user, password, app, key, default_port_in_tc_url })
}

/// Splits `text` at the first `separator`.
fn first(text: &str, separator: u8) -> Option<(&str, &str)> {
    without_byte(text, text.bytes().position(|byte| byte == separator)?)
}

/// Splits `text` at the last `separator`.
fn last(text: &str, separator: u8) -> Option<(&str, &str)> {
    without_byte(text, text.bytes().rposition(|byte| byte == separator)?)
}

/// Splits `text` at the byte `at` and drops that byte.
fn without_byte(text: &str, at: usize) -> Option<(&str, &str)> {
    Some((text.get(..at)?, text.get(at.wrapping_add(1)..)?))
}

/// Splits off the scheme, its colon and one or two slashes. Returns the rest and the scheme.
fn scheme(text: &str) -> Result<(&str, Scheme), UrlError> {
    let (name, rest) = first(text, b':').ok_or(UrlError::Scheme)?;
    let rest = rest.strip_prefix('/').ok_or(UrlError::Scheme)?;
    let rest = rest.strip_prefix('/').unwrap_or(rest);
    const SCHEMES: [Scheme; 6] =
        [Scheme::Rtmp, Scheme::Rtmps, Scheme::Rtmpt, Scheme::Rtmpe, Scheme::Rtmpte, Scheme::Rtmpts];
    let known = SCHEMES.into_iter().find(|scheme| name.eq_ignore_ascii_case(scheme.as_str()));
    known.map(|scheme| (rest, scheme)).ok_or(UrlError::Scheme)
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_')
}

fn is_ipv6(c: char) -> bool {
    c.is_ascii_hexdigit() || matches!(c, ':' | '.')
}

/// Splits off the host. Returns the rest, which is empty or a colon and the port, and the host without brackets.
fn host(authority: &str) -> Result<(&str, &str), UrlError> {
    let bracketed = authority.strip_prefix('[');
    let allowed: fn(char) -> bool = if bracketed.is_some() { is_ipv6 } else { is_name };
    let taken: IResult<&str, &str, ()> = take_while(allowed)(bracketed.unwrap_or(authority));
    let (mut rest, host) = taken.map_err(|_| UrlError::Host)?;
    if bracketed.is_some() {
        rest = rest.strip_prefix(']').filter(|_| first(host, b':').is_some()).ok_or(UrlError::Host)?;
    }
    if host.is_empty() || !(rest.is_empty() || rest.starts_with(':')) {
        return Err(UrlError::Host);
    }
    Ok((rest, host))
}

/// Parses the port after the colon. A colon without a number is an error: with `host:/app` the user meant one port, and
/// all ports would be tried.
fn port(text: &str) -> Result<Option<u16>, UrlError> {
    let Some(digits) = text.strip_prefix(':') else {
        return Ok(None);
    };
    let mut port = 0u16;
    for byte in digits.bytes() {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return Err(UrlError::Port);
        }
        let larger = port.checked_mul(10).and_then(|port| port.checked_add(u16::from(digit)));
        port = larger.ok_or(UrlError::Port)?;
    }
    if port == 0 { Err(UrlError::Port) } else { Ok(Some(port)) }
}

/// Splits a path without its first slash into application and key.
fn path(path: &str, options: Options) -> Result<(&str, Option<&str>), UrlError> {
    let split = match options.app_end {
        AppEnd::FirstSlash => first(path, b'/'),
        AppEnd::LastSlash => last_slash(path),
    };
    let (app, key) = match split {
        Some(("", _)) => return Err(UrlError::App),
        Some((app, key)) => (app, key),
        None if options.lone == SingleSegment::Key => ("", path),
        None => (path, ""),
    };
    Ok((app, Some(key).filter(|key| !key.is_empty())))
}

/// Splits a path at the last slash before its query. If there is none, splits it at the very last slash, for
/// `app?vhost=x/key`.
fn last_slash(path: &str) -> Option<(&str, &str)> {
    let before_query = first(path, b'?').map_or(path, |(before, _)| before);
    match last(before_query, b'/') {
        Some((app, _)) => without_byte(path, app.len()),
        None => last(path, b'/'),
    }
}
