//! The part of a server that answers a connection.

use std::format;
use std::string::String;

use crate::http::HeadError;
use crate::web::{FirstRequest, WebRoute};

/// Reads a first request in pieces of `piece` bytes. Returns the route, and how many bytes were left then.
fn read(request: &str, piece: usize, has_web: bool) -> Result<Option<(WebRoute, usize)>, HeadError> {
    let (mut first, mut left) = (FirstRequest::<128>::new(has_web), request.len());
    for bytes in request.as_bytes().chunks(piece) {
        let mut input = bytes;
        let route = first.read(&mut input)?;
        left -= bytes.len() - input.len();
        if let Some(route) = route {
            return Ok(Some((route, left)));
        }
        assert!(input.is_empty());
    }
    Ok(None)
}

fn route(request: &str) -> Result<Option<WebRoute>, HeadError> {
    let whole = read(request, usize::MAX, true);
    for piece in 1..request.len() {
        assert_eq!(read(request, piece, true), whole, "{request:?} in pieces of {piece} bytes");
    }
    whole.map(|route| route.map(|(route, _)| route))
}

#[test]
fn item_350_the_first_request_decides_who_answers() {
    use WebRoute::{Other, Tunnel, Web};
    for (line, expected) in [
        ("POST /open/1", Tunnel),
        ("POST /send/019af0030405060708090a0b0c0d0eff/3", Tunnel),
        ("POST /idle/x/3", Tunnel),
        ("POST /fcs/ident2", Tunnel),
        ("POST http://camera/close/x/4", Tunnel),
        ("GET /", Web),
        ("GET http://camera", Web),
        ("HEAD /live/x.flv?token=1", Web),
        ("GET /live/x.mp4", Web),
        ("GET /status.json", Web),
        ("GET /page.js", Web),
        ("POST /", Other),
        ("POST /status.json", Other),
        ("GET /open/1", Other),
        ("GET /x.flv/y", Other),
        ("GET /?x.flv", Web),
        ("GET /x?y.flv", Other),
        ("OPTIONS *", Other),
    ] {
        assert_eq!(route(&format!("{line} HTTP/1.1\r\nHost: h\r\n\r\n")), Ok(Some(expected)), "{line}");
    }
    // Without the page, the other server may have one.
    assert_eq!(read("GET / HTTP/1.1\r\n\r\n", 7, false), Ok(Some((Other, 0))));
}

#[test]
fn item_350_a_request_is_handed_over_when_its_head_is_complete() {
    let request = "POST /x HTTP/1.1\r\nContent-Length: 4294967295\r\n\r\nbody";
    assert_eq!(read(request, usize::MAX, true), Ok(Some((WebRoute::Other, 4))));
    for length in 0..request.len() - 4 {
        assert_eq!(read(&request[..length], usize::MAX, true), Ok(None));
    }
    assert_eq!(route("PUT /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"), Ok(Some(WebRoute::Other)));
}

#[test]
fn item_350_ambiguous_requests_are_not_handed_over() {
    let request = |fields: &str| route(&format!("POST /x HTTP/1.1\r\nHost: h\r\n{fields}\r\n\r\n"));
    for (fields, error) in [
        ("Content-Length: 3\r\nTransfer-Encoding: chunked", HeadError::LengthInvalid),
        ("Transfer-Encoding: chunked\r\nContent-Length: 3", HeadError::LengthInvalid),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", HeadError::LengthInvalid),
        ("Content-Length: 3\r\nContent-Length: 3", HeadError::LengthInvalid),
        ("Content-Length: 3\r\nContent-Length: 4", HeadError::LengthInvalid),
        ("Content-Length: 3, 3", HeadError::LengthInvalid),
        ("Content-Length : 3", HeadError::NotHttp),
        ("X: a\rContent-Length: 3", HeadError::NotHttp),
        ("X: a\r\n Content-Length: 3", HeadError::NotHttp),
        ("X: a\0", HeadError::NotHttp),
    ] {
        assert_eq!(request(fields), Err(error), "{fields:?}");
    }
    let old = "POST /x HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(route(old), Err(HeadError::LengthInvalid));
    // The stored part of a line does not show the end of the path.
    let long: String = "a".repeat(128);
    assert_eq!(route(&format!("GET /{long}.flv HTTP/1.1\r\n\r\n")), Err(HeadError::TooLong));
}
