//! The grammar of the URL.
//!
//! Separators are searched among the bytes. The searches of `str` for a character have a panic path (in `memchr`).

use super::{AppEnd, MAX_URL_LENGTH, Options, Scheme, SingleSegment, Url, UrlError};

pub(super) fn url(text: &str, options: Options) -> Result<Url<'_>, UrlError> {
    if text.len() > MAX_URL_LENGTH {
        return Err(UrlError::TooLong);
    }
    if text.bytes().any(|byte| byte <= b' ' || byte == 0x7F) {
        return Err(UrlError::Character);
    }
    let mut path = text;
    let scheme = scheme(&mut path)?;
    let mut authority = until(&mut path, b'/').unwrap_or_else(|| core::mem::take(&mut path));
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
    const SCHEMES: [Scheme; 6] =
        [Scheme::Rtmp, Scheme::Rtmps, Scheme::Rtmpt, Scheme::Rtmpe, Scheme::Rtmpte, Scheme::Rtmpts];
    let name = until(text, b':').filter(|_| skip(text, b'/')).ok_or(UrlError::Scheme)?;
    skip(text, b'/');
    SCHEMES.into_iter().find(|scheme| name.eq_ignore_ascii_case(scheme.as_str())).ok_or(UrlError::Scheme)
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
fn path(mut path: &str, options: Options) -> Result<(&str, Option<&str>), UrlError> {
    let app = match options.app_end {
        AppEnd::FirstSlash => until(&mut path, b'/'),
        AppEnd::LastSlash => until_last_slash(&mut path),
    };
    let (app, key) = match app {
        Some("") => return Err(UrlError::App),
        Some(app) => (app, path),
        None if options.lone == SingleSegment::Key => ("", path),
        None => (path, ""),
    };
    Ok((app, Some(key).filter(|key| !key.is_empty())))
}

/// Takes the path before the last slash before its query. If there is none, takes the path before the very last slash, for
/// `app?vhost=x/key`.
fn until_last_slash<'t>(path: &mut &'t str) -> Option<&'t str> {
    let mut behind = *path;
    let mut before_query = until(&mut behind, b'?').unwrap_or(path);
    match until_last(&mut before_query, b'/') {
        Some(app) => split(path, app.len()),
        None => until_last(path, b'/'),
    }
}
