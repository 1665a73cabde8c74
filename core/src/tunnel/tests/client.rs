//! Our client against scripted servers.

use super::*;

pub(super) const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Length: ";

/// A client that has sent `/open`.
pub(super) fn opening() -> TunnelClient {
    let mut client = TunnelClient::new("h", 80);
    assert!(client.poll_transmit(START, &mut [0; 1_000], 0, |_| panic!("no session is asked")) > 0);
    client
}

pub(super) fn response(body: &[u8]) -> Vec<u8> {
    [HEAD.as_bytes(), body.len().to_string().as_bytes(), b"\r\n\r\n", body].concat()
}

/// A client whose tunnel is open.
pub(super) fn open() -> TunnelClient {
    let mut client = opening();
    assert_eq!(take(&mut client, &response(b"cafe\n")), Ok(Vec::new()));
    client
}

/// Everything that a client lends of the input, all of which it must consume.
pub(super) fn take(client: &mut TunnelClient, input: &[u8]) -> Result<Vec<u8>, TunnelError> {
    let (mut rest, mut all) = (input, Vec::new());
    loop {
        let before = rest.len();
        client.receive(START, &mut rest, |bytes| all.extend_from_slice(core::mem::take(bytes)))?;
        if rest.len() == before {
            assert!(rest.is_empty());
            return Ok(all);
        }
    }
}

pub(super) fn sent(client: &mut TunnelClient, now: Instant, body: &[u8]) -> String {
    let (mut all, mut rest) = (Vec::new(), body);
    loop {
        let mut out = [0; 50];
        let written = client.poll_transmit(now, &mut out, rest.len(), |room| {
            let (now, later) = rest.split_at(room.len().min(rest.len()));
            room[..now.len()].copy_from_slice(now);
            rest = later;
            now.len()
        });
        if written == 0 {
            return String::from_utf8(all).unwrap();
        }
        all.extend_from_slice(&out[..written]);
    }
}

#[test]
fn a_layer_changes_bytes_in_place_and_bytes_that_it_does_not_consume_are_lent_again() {
    let mut client = open();
    assert!(!sent(&mut client, START, b"x").is_empty());
    let mut input = response(b"\x01abcdef");
    let (mut at, mut changed, mut taken) = (0, 0, Vec::new());
    // Each call consumes 2 bytes at most, and changes all that are lent.
    loop {
        let consumed = client
            .receive_in_place(START, &mut input[at..], |bytes| {
                bytes[changed..].make_ascii_uppercase();
                let count = bytes.len().min(2);
                changed = bytes.len() - count;
                taken.extend_from_slice(&bytes[..count]);
                count
            })
            .unwrap();
        if consumed == 0 {
            break;
        }
        at += consumed;
    }
    assert_eq!((at, &taken[..], client.is_under_way()), (input.len(), &b"ABCDEF"[..], false));
}

#[test]
fn item_098_the_requests_byte_for_byte() {
    let common = "Host: h:80\r\nUser-Agent: Shockwave Flash\r\nAccept: */*\r\nCache-Control: no-cache\r\n\
                  Connection: Keep-Alive\r\nContent-Type: application/x-fcs\r\n";
    let mut client = TunnelClient::new("h", 80);
    assert_eq!(
        sent(&mut client, START, b""),
        std::format!("POST /open/1 HTTP/1.1\r\n{common}Content-Length: 1\r\n\r\n\0")
    );
    assert_eq!(take(&mut client, &response(b"c9f0-F_.~\r\n")), Ok(Vec::new()));
    assert!(client.is_open());
    assert_eq!(
        sent(&mut client, START, b"RTMP"),
        std::format!("POST /send/c9f0-F_.~/0 HTTP/1.1\r\n{common}Content-Length: 4\r\n\r\nRTMP")
    );
    assert_eq!(take(&mut client, &response(b"\x01back")), Ok(b"back".to_vec()));
    let later = client.poll_timeout().unwrap();
    assert_eq!(
        sent(&mut client, later, b""),
        std::format!("POST /idle/c9f0-F_.~/1 HTTP/1.1\r\n{common}Content-Length: 1\r\n\r\n\0")
    );
    assert_eq!(take(&mut client, &response(b"\x01")), Ok(Vec::new()));
    client.close();
    assert_eq!(
        sent(&mut client, later, b""),
        std::format!("POST /close/c9f0-F_.~/2 HTTP/1.1\r\n{common}Content-Length: 1\r\n\r\n\0")
    );
    assert!(!client.is_closed());
    assert_eq!(take(&mut client, &response(b"\0")), Ok(Vec::new()));
    assert!(client.is_closed() && client.poll_timeout().is_none());
}

#[test]
fn an_address_of_ipv6_stands_in_brackets() {
    let mut client = TunnelClient::new("2001:db8::1", 8080);
    assert!(sent(&mut client, START, b"").contains("\r\nHost: [2001:db8::1]:8080\r\n"));
}

#[test]
fn a_body_has_at_most_64_kib_and_the_rest_waits() {
    let mut client = open();
    let request = sent(&mut client, START, &[b'x'; MAX_BODY + 1]);
    assert!(request.contains("Content-Length: 65536\r\n"));
    assert_eq!(request.matches('x').count(), MAX_BODY + 1, "x-fcs, and the body");
    assert!(!client.wants_transmit(START, 1));
    assert_eq!(take(&mut client, &response(b"\x01")), Ok(Vec::new()));
    assert!(client.wants_transmit(START, 1));
}

#[test]
fn item_098_a_chunk_may_lie_in_two_responses_and_be_cut_anywhere() {
    let responses = [response(b"\x01first"), response(b"\x01"), response(b"\x21second")];
    for cut in 1..responses[0].len() {
        let (mut client, mut all) = (open(), Vec::new());
        for (number, response) in responses.iter().enumerate() {
            let now = client.poll_timeout().unwrap();
            assert!(sent(&mut client, now, b"").starts_with(&std::format!("POST /idle/cafe/{number} ")));
            for piece in response.chunks(cut) {
                assert!(!client.wants_transmit(START, 1));
                all.extend(take(&mut client, piece).unwrap());
            }
        }
        assert_eq!(all, b"firstsecond", "{cut}");
    }
}

#[test]
fn item_098_polls_follow_the_servers_hint_and_the_shortest_pause() {
    let mut client = open();
    let mut now = START;
    let mut pauses = |hint: u8, body: &[u8], client: &mut TunnelClient| {
        let at = client.poll_timeout().unwrap().max(now);
        assert!(sent(client, at, b"").starts_with("POST /idle/"));
        let mut input = &response(&[&[hint], body].concat())[..];
        while !input.is_empty() {
            client.receive(at, &mut input, |bytes| *bytes = &[]).unwrap();
        }
        now = at;
        client.poll_timeout().unwrap().as_millis() - at.as_millis()
    };
    assert_eq!([1, 1, 1, 1, 1].map(|hint| pauses(hint, b"", &mut client)), [64, 128, 256, 256, 256]);
    assert_eq!(pauses(33, b"", &mut client), 500);
    assert_eq!(pauses(255, b"", &mut client), 3_968);
    assert_eq!(pauses(0, b"", &mut client), 256);
    assert_eq!(pauses(1, b"data", &mut client), 4);
    assert_eq!(pauses(9, b"data", &mut client), 125);
    assert_eq!(pauses(1, b"", &mut client), 32);
}

#[test]
fn bytes_that_are_not_a_response_end_the_tunnel() {
    let long_id = response(&[b'a'; MAX_ID + 1]);
    let huge_id = response(&[b'a'; 1_000]);
    let cases: [(&[u8], TunnelError); 16] = [
        (b"\x03\0\0\0\0\n", TunnelError::Head(HeadError::NotHttp)),
        (b"SSH-2.0-x\r\n", TunnelError::Head(HeadError::NotHttp)),
        (b"HTTP/2 200\r\n", TunnelError::Head(HeadError::NotHttp)),
        (b"HTTP/1.1 404 Not Found\r\n", TunnelError::Status(404)),
        (b"HTTP/1.1 302 Found\r\nLocation: x\r\n\r\n", TunnelError::Status(302)),
        (b"HTTP/1.1 200 OK\r\n\r\n", TunnelError::Head(HeadError::LengthMissing)),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", TunnelError::Head(HeadError::LengthInvalid)),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", TunnelError::Head(HeadError::LengthInvalid)),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775808\r\n\r\n",
            TunnelError::Head(HeadError::LengthTooLarge),
        ),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", TunnelError::Head(HeadError::Chunked)),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n\n", TunnelError::IdInvalid),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\na\rb\n", TunnelError::IdInvalid),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\na/b", TunnelError::IdInvalid),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\na b", TunnelError::IdInvalid),
        (&long_id, TunnelError::IdTooLong),
        (&huge_id, TunnelError::IdTooLong),
    ];
    for (bytes, error) in cases {
        for cut in 1..bytes.len() {
            let mut client = opening();
            let result = bytes.chunks(cut).try_for_each(|piece| take(&mut client, piece).map(drop));
            assert_eq!(result, Err(error), "{} in pieces of {cut}", String::from_utf8_lossy(bytes));
            assert_eq!(take(&mut client, b""), Err(error), "an error is final");
            assert_eq!(client.handle_timeout(START), Err(error));
            assert_eq!(client.poll_transmit(START, &mut [0; 99], 9, |_| 0), 0);
            assert!(!client.wants_transmit(START, 9) && client.poll_timeout().is_none());
        }
    }
}

#[test]
fn an_id_of_64_bytes_fits_with_its_line_end() {
    let mut client = opening();
    take(&mut client, &response(&[&[b'a'; MAX_ID][..], b"\r\n"].concat())).unwrap();
    assert!(sent(&mut client, START, b"x").contains(&std::format!("/send/{}/0 ", "a".repeat(MAX_ID))));
}

#[test]
fn bytes_that_answer_no_request_end_the_tunnel() {
    let mut client = open();
    assert_eq!(take(&mut client, b"H"), Err(TunnelError::Unasked));
    let mut client = TunnelClient::new("h", 80);
    assert_eq!(take(&mut client, b"HTTP/1.1 200 OK\r\n"), Err(TunnelError::Unasked));
}

#[test]
fn provisional_responses_are_skipped() {
    let mut client = opening();
    take(&mut client, b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 x\r\nA: b\r\n\r\n").unwrap();
    take(&mut client, &response(b"cafe")).unwrap();
    assert!(client.is_open());
}
