//! The grammar of the URL.
//!
//! Separators are searched among the bytes. The searches of `str` for a character have a panic path (in `memchr`).

use super::{AppEnd, KEY_PARTS, MAX_URL_LENGTH, Options, Scheme, SingleSegment, Url, UrlError};

pub(super) fn url(text: &str, options: Options) -> Result<Url<'_>, UrlError> {
    check(text)?;
    let mut rest = text;
    let scheme = scheme(&mut rest)?;
    of_scheme(scheme, &mut rest, options)
}

/// Parses the URL of an application: its whole path. It may be relative to `base`: `//host/app` or `/app`.
pub(super) fn application<'t>(text: &'t str, base: &Url<'t>) -> Result<Url<'t>, UrlError> {
    check(text)?;
    let mut rest = text;
    let is_relative = skip(&mut rest, b'/');
    let mut url = if is_relative && !skip(&mut rest, b'/') {
        *base
    } else {
        let scheme = if is_relative { base.scheme } else { scheme(&mut rest)? };
        let url = of_scheme(scheme, &mut { rest }, Options::new())?;
        rest = until(&mut rest, b'/').map_or("", |_| rest);
        url
    };
    while rest.as_bytes().last() == Some(&b'/') {
        rest = until_last(&mut { rest }, b'/').unwrap_or("");
    }
    url.app = rest;
    Ok(url)
}

/// Checks the length and the characters of a URL.
#[inline(always)]
fn check(text: &str) -> Result<(), UrlError> {
    if text.len() > MAX_URL_LENGTH {
        return Err(UrlError::TooLong);
    }
    if text.bytes().any(|byte| byte < b' ' || byte == 0x7F) {
        return Err(UrlError::Character);
    }
    Ok(())
}

/// Parses what follows the scheme and its slashes.
#[inline(always)]
fn of_scheme<'t>(scheme: Scheme, path: &mut &'t str, options: Options) -> Result<Url<'t>, UrlError> {
    let mut authority = until(path, b'/').unwrap_or_else(|| core::mem::take(path));
    let mut password = until_last(&mut authority, b'@');
    let user = password.as_mut().and_then(|userinfo| until(userinfo, b':')).or_else(|| password.take());
    let mut rest = authority;
    let host = host(&mut rest)?;
    let has_port = skip(&mut rest, b':');
    if !has_port && !rest.is_empty() {
        return Err(UrlError::Host);
    }
    let port = if has_port { Some(port(rest)?) } else { None };
    let (app, key) = self::path(path, options)?;
    let default_port_in_tc_url = options.default_port_in_tc_url;
    Ok(Url { scheme, host, authority, port, user, password, app, key, default_port_in_tc_url })
}

/// Takes the text before the first `separator`, and drops the separator. `text` does not change if it has none.
#[inline(never)]
fn until<'t>(text: &mut &'t str, separator: u8) -> Option<&'t str> {
    let at = text.bytes().position(|byte| byte == separator)?;
    split(text, at)
}

/// Takes the text before the last `separator`, and drops the separator. `text` does not change if it has none.
#[inline(never)]
fn until_last<'t>(text: &mut &'t str, separator: u8) -> Option<&'t str> {
    let at = text.bytes().rposition(|byte| byte == separator)?;
    split(text, at)
}

/// Takes the text before the byte `at`, and drops that byte.
fn split<'t>(text: &mut &'t str, at: usize) -> Option<&'t str> {
    let (before, behind) = (text.get(..at)?, text.get(at.wrapping_add(1)..)?);
    *text = behind;
    Some(before)
}

/// Drops the first byte of `text` if it is `byte`. Returns whether it was.
#[inline(never)]
fn skip(text: &mut &str, byte: u8) -> bool {
    text.as_bytes().first() == Some(&byte) && split(text, 0).is_some()
}

/// Takes the scheme, its colon and one or two slashes.
fn scheme(text: &mut &str) -> Result<Scheme, UrlError> {
    static SCHEMES: [Scheme; 6] =
        [Scheme::Rtmp, Scheme::Rtmps, Scheme::Rtmpt, Scheme::Rtmpe, Scheme::Rtmpte, Scheme::Rtmpts];
    let name = until(text, b':').filter(|_| skip(text, b'/')).ok_or(UrlError::Scheme)?;
    skip(text, b'/');
    SCHEMES.iter().find(|scheme| name.eq_ignore_ascii_case(scheme.as_str())).copied().ok_or(UrlError::Scheme)
}

/// Takes the host, and returns it without its brackets. What is left should be empty, or a colon and the port.
fn host<'t>(text: &mut &'t str) -> Result<&'t str, UrlError> {
    let is_bracketed = skip(text, b'[');
    let is_allowed = |byte: u8| match byte {
        b'.' => true,
        b':' => is_bracketed,
        _ if is_bracketed => byte.is_ascii_hexdigit(),
        _ => byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'),
    };
    let end = text.bytes().position(|byte| !is_allowed(byte)).unwrap_or(text.len());
    let (host, rest) = text.split_at_checked(end).filter(|_| end > 0).ok_or(UrlError::Host)?;
    *text = rest;
    if is_bracketed && !(host.bytes().any(|byte| byte == b':') && skip(text, b']')) {
        return Err(UrlError::Host);
    }
    Ok(host)
}

/// Parses the port after the colon. A colon without a number is an error: with `host:/app` the user meant one port, and
/// all ports would be tried.
fn port(digits: &str) -> Result<u16, UrlError> {
    let mut port = 0u16;
    for byte in digits.bytes() {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return Err(UrlError::Port);
        }
        let larger = port.checked_mul(10).and_then(|port| port.checked_add(u16::from(digit)));
        port = larger.ok_or(UrlError::Port)?;
    }
    if port == 0 { Err(UrlError::Port) } else { Ok(port) }
}

/// Splits a path without its first slash into application and key.
fn path(mut path: &str, options: Options) -> Result<(&str, &str), UrlError> {
    if path.as_bytes().first() == Some(&b'/') {
        return Err(UrlError::App);
    }
    let own = before(path, b'?');
    let app = match options.app_end {
        AppEnd::Instance => instance(own),
        AppEnd::FirstSlash => until(&mut { own }, b'/'),
        AppEnd::LastSlash => until_last(&mut { own }, b'/'),
    };
    let app = match app {
        Some(app) => split(&mut path, app.len()),
        // `app?vhost=x/key`
        None => until_last(&mut path, b'/'),
    };
    Ok(match app {
        Some(app) => (app, path),
        None if options.lone == SingleSegment::Key => ("", path),
        None => (path, ""),
    })
}

/// The path before the second slash if there is one and no colon is before it, otherwise before the first.
fn instance(path: &str) -> Option<&str> {
    let mut rest = path;
    let first = until(&mut rest, b'/')?;
    let Some(second) = until(&mut rest, b'/') else { return Some(first) };
    let both = first.len().wrapping_add(1).wrapping_add(second.len());
    path.get(..both).filter(|app| before(app, b':').len() == both).or(Some(first))
}

/// The text before the first `separator`, or all of it.
#[inline(never)]
fn before(text: &str, separator: u8) -> &str {
    until(&mut { text }, separator).unwrap_or(text)
}

/// Splits a key into a prefix for its type, the name without `.flv`, and the query.
#[inline(never)]
pub(super) fn key_parts(key: &str) -> [&str; KEY_PARTS] {
    let (mut name, mut prefix) = (before(key, b'?'), "");
    let query = key.get(name.len()..).unwrap_or("");
    // A comparison of numbers takes less flash than one of strings.
    match name.as_bytes().last_chunk().map_or(0, |suffix| u32::from_be_bytes(*suffix)) {
        FLV => name = until_last(&mut { name }, b'.').unwrap_or(name),
        MP4 | F4V if before(name, b':').len() == name.len() => prefix = "mp4:",
        _ => {}
    }
    [prefix, name, query]
}

const FLV: u32 = u32::from_be_bytes(*b".flv");
const MP4: u32 = u32::from_be_bytes(*b".mp4");
const F4V: u32 = u32::from_be_bytes(*b".f4v");
