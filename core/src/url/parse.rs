//! The grammar of the URL.
//!
//! Of nom's parsers, those that stop at a class of characters are the ones whose code has no panic path on text; single
//! separators are taken off by `str`'s own methods.

use nom::IResult;
use nom::bytes::complete::{take_till, take_while};

use super::{AppEnd, Lone, MAX_LENGTH, Options, Scheme, Url, UrlError};

/// The parsers here take what there is and never fail; the caller judges what they took.
type Taken<'a> = IResult<&'a str, &'a str, ()>;

pub(super) fn url(text: &str, options: Options) -> Result<Url<'_>, UrlError> {
    if text.len() > MAX_LENGTH {
        return Err(UrlError::TooLong);
    }
    if text.chars().any(|c| c <= ' ' || ('\x7F'..='\u{9F}').contains(&c)) {
        return Err(UrlError::Character);
    }
    let (rest, scheme) = scheme(text)?;
    let (path, authority) = or(until_slash(rest), UrlError::Host)?;
    let (userinfo, authority) = match authority.rsplit_once('@') {
        Some((userinfo, authority)) => (Some(userinfo), authority),
        None => (None, authority),
    };
    let (user, password) = match userinfo.and_then(|info| info.split_once(':')) {
        Some((user, password)) => (Some(user), Some(password)),
        None => (userinfo, None),
    };
    let (port, host) = host(authority)?;
    let port = self::port(port)?;
    let (app, key) = self::path(path.strip_prefix('/').unwrap_or(path), options)?;
    let default_port_in_tc_url = options.default_port_in_tc_url;
    Ok(Url { scheme, host, authority, port, user, password, app, key, default_port_in_tc_url })
}

fn or<'a>(taken: Taken<'a>, error: UrlError) -> Result<(&'a str, &'a str), UrlError> {
    taken.map_err(|_| error)
}

fn until_slash(text: &str) -> Taken<'_> {
    take_till(|c| c == '/')(text)
}

/// The scheme, its colon and the slashes.
fn scheme(text: &str) -> Result<(&str, Scheme), UrlError> {
    let (rest, name) = or(take_till(|c| c == ':')(text), UrlError::Scheme)?;
    let rest = rest.strip_prefix(":/").ok_or(UrlError::Scheme)?;
    let rest = rest.strip_prefix('/').unwrap_or(rest);
    const SCHEMES: [Scheme; 6] =
        [Scheme::Rtmp, Scheme::Rtmps, Scheme::Rtmpt, Scheme::Rtmpe, Scheme::Rtmpte, Scheme::Rtmpts];
    let known = SCHEMES.into_iter().find(|scheme| name.eq_ignore_ascii_case(scheme.as_str()));
    known.map(|scheme| (rest, scheme)).ok_or(UrlError::Scheme)
}

/// The host without brackets, and what stands behind it: nothing, or a colon and the port.
fn host(authority: &str) -> Result<(&str, &str), UrlError> {
    let (rest, host) = match authority.strip_prefix('[') {
        Some(inside) => {
            let (rest, host) =
                or(take_while(|c: char| c.is_ascii_hexdigit() || c == ':' || c == '.')(inside), UrlError::Host)?;
            let rest = rest.strip_prefix(']').filter(|_| host.contains(':')).ok_or(UrlError::Host)?;
            (rest, host)
        }
        None => or(
            take_while(|c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_'))(authority),
            UrlError::Host,
        )?,
    };
    if host.is_empty() || !(rest.is_empty() || rest.starts_with(':')) {
        return Err(UrlError::Host);
    }
    Ok((rest, host))
}

/// The number behind the colon; a colon with nothing behind it is an error, so that nobody's typing slip turns
/// `host:/app` into a tour of all the ports.
fn port(text: &str) -> Result<Option<u16>, UrlError> {
    let Some(digits) = text.strip_prefix(':') else {
        return Ok(None);
    };
    let mut port = Some(0u16);
    for digit in digits.chars() {
        let digit = digit.to_digit(10).ok_or(UrlError::Port)?;
        port = port.and_then(|port| port.checked_mul(10)?.checked_add(digit as u16));
    }
    match port {
        Some(0) | None => Err(UrlError::Port),
        port => Ok(port),
    }
}

/// Application and key of a path without its first slash.
fn path(path: &str, options: Options) -> Result<(&str, Option<&str>), UrlError> {
    let split = match options.app_end {
        AppEnd::FirstSlash => path.split_once('/'),
        AppEnd::LastSlash => last_slash(path),
    };
    let (app, key) = match split {
        Some(("", _)) => return Err(UrlError::App),
        Some((app, key)) => (app, key),
        None if options.lone == Lone::Key => ("", path),
        None => (path, ""),
    };
    Ok((app, Some(key).filter(|key| !key.is_empty())))
}

/// Parts a path at the last slash in front of its query; at the last of all if that leaves the application whole, for
/// `app?vhost=x/key`.
fn last_slash(path: &str) -> Option<(&str, &str)> {
    let before_query = path.split_once('?').map_or(path, |(before, _)| before);
    match before_query.rsplit_once('/') {
        Some((app, _)) => {
            path.split_at_checked(app.len()).map(|(app, key)| (app, key.strip_prefix('/').unwrap_or(key)))
        }
        None => path.rsplit_once('/'),
    }
}
