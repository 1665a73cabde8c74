//! The first line of a request.

use crate::http::{HeadError, authority_and_path, digits, request_line};

/// The length of a tunnel's id in bytes. It is written with two digits for each.
pub(super) const ID: usize = 16;

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    Open,
    /// The id of a tunnel as stored, and the number of the request.
    Send([u8; ID], u32),
    Idle([u8; ID], u32),
    Close([u8; ID], u32),
    /// A tunnel whose id has another form than ours.
    UnknownTunnel,
    /// The path `/`.
    Page,
    /// Anything else.
    Other,
}

/// The first line of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) ask: Ask,
    /// The method does not allow a body in the response.
    pub(super) is_head: bool,
    /// Requests with this method usually have a body.
    pub(super) is_post: bool,
    /// The version is 1.0.
    pub(super) is_old: bool,
}

/// Parses a first line.
pub(super) fn parse(line: &[u8]) -> Result<Line, HeadError> {
    let (method, target, is_old) = request_line(line)?;
    let (is_post, is_head) = (method == b"POST", method == b"HEAD");
    let (_, path) = authority_and_path(target);
    let ask = match (is_post, path) {
        (true, _) => tunnel(path),
        (false, b"/" | b"") if is_head || method == b"GET" => Ask::Page,
        _ => Ask::Other,
    };
    Ok(Line { ask, is_head, is_post, is_old })
}

/// Whether a request of this method and path is one of RTMPT. Clients first send a POST to a path below `/fcs/`, which
/// is refused.
#[cfg(feature = "web")]
pub(crate) fn is_tunnel(method: &[u8], path: &[u8]) -> bool {
    method == b"POST" && (path.starts_with(b"/fcs/") || tunnel(path) != Ask::Other)
}

/// `/open/1`, `/send/ID/N`, `/idle/ID/N` and `/close/ID/N`.
fn tunnel(path: &[u8]) -> Ask {
    let mut parts = path.split(|byte| *byte == b'/').skip(1);
    let (Some(verb), Some(id), number, None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return Ask::Other;
    };
    let make = match verb {
        b"open" if number.is_none() => return Ask::Open,
        b"send" => Ask::Send,
        b"idle" => Ask::Idle,
        b"close" => Ask::Close,
        _ => return Ask::Other,
    };
    let number = number.and_then(digits).and_then(|number| u32::try_from(number).ok());
    match (unhex(id), number) {
        (Some(id), Some(number)) => make(id, number),
        _ => Ask::UnknownTunnel,
    }
}

/// Parses the hexadecimal digits of an id.
fn unhex(text: &[u8]) -> Option<[u8; ID]> {
    let mut id = [0; ID];
    if text.len() != 2 * ID {
        return None;
    }
    for (byte, pair) in id.iter_mut().zip(text.chunks_exact(2)) {
        for digit in pair {
            let value = match digit {
                b'0'..=b'9' => digit.wrapping_sub(b'0'),
                b'a'..=b'f' => digit.wrapping_sub(b'a' - 10),
                _ => return None,
            };
            *byte = *byte << 4 | value;
        }
    }
    Some(id)
}

/// Writes an id in hexadecimal digits.
pub(super) fn hex(id: &[u8; ID]) -> [u8; 2 * ID] {
    let mut text = [0; 2 * ID];
    let digit = |value: u8| if value < 10 { b'0'.wrapping_add(value) } else { (b'a' - 10).wrapping_add(value) };
    for (byte, pair) in id.iter().zip(text.chunks_exact_mut(2)) {
        if let [high, low] = pair {
            (*high, *low) = (digit(*byte >> 4), digit(*byte & 15));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;

    const STORED: [u8; ID] = [0x01, 0x9A, 0xF0, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 0xFF];

    fn ask(path: &str) -> Ask {
        parse(format!("POST {path} HTTP/1.1").as_bytes()).unwrap().ask
    }

    #[test]
    fn item_098_the_four_requests_of_a_tunnel() {
        let id = std::string::String::from_utf8(hex(&STORED).to_vec()).unwrap();
        assert_eq!(id, "019af0030405060708090a0b0c0d0eff");
        assert_eq!(ask("/open/1"), Ask::Open);
        assert_eq!(ask(&format!("/send/{id}/0")), Ask::Send(STORED, 0));
        assert_eq!(ask(&format!("/idle/{id}/4294967295")), Ask::Idle(STORED, u32::MAX));
        assert_eq!(ask(&format!("http://h:80/close/{id}/7")), Ask::Close(STORED, 7));
    }

    #[test]
    fn item_098_ids_and_numbers_that_are_none() {
        let id = std::string::String::from_utf8(hex(&STORED).to_vec()).unwrap();
        for path in [
            format!("/send/{id}"),
            format!("/send/{id}0/1"),
            format!("/send/{}/1", &id[1..]),
            format!("/send/{}G/1", &id[1..]),
            format!("/send/{id}/4294967296"),
            format!("/send/{id}/-1"),
            format!("/idle/{id}/"),
            "/close//1".into(),
        ] {
            assert_eq!(ask(&path), Ask::UnknownTunnel, "{path}");
        }
    }

    #[test]
    fn what_is_no_tunnel() {
        for path in ["/fcs/ident2", "/", "/open", "/open/1/2", "/send", "/x/y/1", "*", "http://h"] {
            assert_eq!(ask(path), Ask::Other, "{path}");
        }
        let line = parse(b"GET / HTTP/1.0").unwrap();
        assert_eq!(line, Line { ask: Ask::Page, is_head: false, is_post: false, is_old: true });
        assert_eq!(parse(b"HEAD http://h HTTP/1.1").unwrap().ask, Ask::Page);
        assert_eq!(parse(b"GET /open/1 HTTP/1.1").unwrap().ask, Ask::Other);
        for line in ["POST /open/1", "POST /open/1 HTTP/2.0", "POST /open/1 HTTP/1.1 ", "POST  / HTTP/1.1", "hello"] {
            assert_eq!(parse(line.as_bytes()), Err(HeadError::NotHttp), "{line}");
        }
    }
}
