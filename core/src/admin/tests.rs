//! Requests over HTTP and calls over RTMP, whole and cut, and answers in three encodings.

use core::cell::Cell;
use std::format;
use std::string::{String, ToString};
use std::time::Duration;
use std::vec::Vec;

use super::*;
use crate::amf0::{Decoder, Encoder, Token};
use crate::command::{self, ConnectOptions, PlayRequest, Status};
use crate::session::{Client, ClientConfig, ClientEvent, ServerConfig, SessionBuffers};
use crate::time::Instant;

const NOW: Instant = Instant::from_millis(1_000);
const ADDRESS: [u8; 16] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 192, 0, 2, 1];
const OTHER: [u8; 16] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 192, 0, 2, 2];
/// 2007-09-23 18:16:40 UTC.
const TIME: u64 = 1_190_571_400_000;
const LOGIN: &str = "auser=admin&apswd=s%26cret";

#[derive(Clone)]
struct Server {
    names: Vec<Vec<u8>>,
    stats: AdminStats,
    subscribers: usize,
}

impl Server {
    fn new(names: &[&[u8]]) -> Self {
        let stats = AdminStats { timestamp: Some(TIME), ..AdminStats::default() };
        Self { names: names.iter().map(|name| name.to_vec()).collect(), stats, subscribers: 0 }
    }
}

impl AdminData for Server {
    fn stats(&self) -> AdminStats {
        self.stats
    }

    fn stream(&self, index: usize) -> Option<AdminStream<'_>> {
        let client = AdminClient { id: 40 + index as u32, since: (index == 0).then_some(TIME - 1_000) };
        let publisher = (index < 2).then_some(AdminPublisher { client, stream_id: (index == 0).then_some(1) });
        Some(AdminStream { name: self.names.get(index)?, publisher })
    }

    fn subscriber(&self, stream: usize, index: usize) -> Option<AdminClient> {
        let since = (index == 0).then_some(TIME);
        (stream == 0 && index < self.subscribers).then_some(AdminClient { id: 90 + index as u32, since })
    }
}

fn access() -> AdminAccess<'static> {
    AdminAccess::new("admin", "s&cret")
}

/// What a request causes: the calls, and all output.
struct Exchange {
    calls: Vec<AdminCall>,
    output: String,
    is_over: bool,
}

impl Exchange {
    fn body(&self) -> &str {
        self.output.split_once("\r\n\r\n").unwrap().1
    }

    fn status(&self) -> &str {
        self.output.lines().next().unwrap().strip_prefix("HTTP/1.1 ").unwrap()
    }
}

/// Sends a request in pieces, and takes the answer in pieces.
fn exchange(request: &[u8], cuts: [usize; 2], data: &Server, outcome: Result<(), AdminFailure>) -> Exchange {
    let (mut connection, mut access) = (AdminConnection::<512>::new(NOW), access());
    let (mut calls, mut output) = (Vec::new(), Vec::new());
    let mut pieces = request.chunks(cuts[0]);
    let mut input: &[u8] = &[];
    loop {
        while let Some(event) = connection.next_event(NOW, &mut input) {
            match event {
                AdminEvent::Login(credentials) => match access.check(NOW, ADDRESS, credentials) {
                    Ok(()) => connection.accept_login(),
                    Err(failure) => connection.reject(NOW, failure),
                },
                AdminEvent::Call(call) => {
                    calls.push(call);
                    connection.answer(NOW, outcome);
                }
            }
        }
        while connection.wants_transmit() {
            let mut out = std::vec![0; cuts[1]];
            let length = connection.poll_transmit(NOW, &mut out, data);
            output.extend_from_slice(&out[..length]);
        }
        if connection.is_over() {
            break;
        }
        if input.is_empty() {
            let Some(piece) = pieces.next() else { break };
            input = piece;
        }
    }
    Exchange { calls, output: String::from_utf8(output).unwrap(), is_over: connection.is_over() }
}

fn whole(request: &str, data: &Server) -> Exchange {
    exchange(request.as_bytes(), [usize::MAX, 4_096], data, Ok(()))
}

/// A request and its answer are the same, wherever they are cut.
fn everywhere(request: &str, data: &Server) -> Exchange {
    let all = whole(request, data);
    for cut in 1..request.len() {
        let cuts = [cut, 1 + cut % 97];
        let other = exchange(request.as_bytes(), cuts, data, Ok(()));
        assert_eq!((&other.output, &other.calls), (&all.output, &all.calls), "{cuts:?}");
    }
    all
}

fn get(method: &str, parameters: &str) -> String {
    format!("GET /admin/{method}?{LOGIN}{parameters} HTTP/1.1\r\nHost: h\r\n\r\n")
}

fn full() -> Server {
    let mut server = Server::new(&[b"live/camera", b"live/a/b", b"other/x", b"alone"]);
    server.subscribers = 2;
    server.stats = AdminStats {
        timestamp: Some(TIME),
        launch_time: Some(TIME - 86_400_000),
        uptime: Some(86_400),
        bytes_in: Some(u64::MAX),
        bytes_out: Some(0),
        connected: Some(3),
        total_connects: Some(10),
        total_disconnects: Some(7),
        players: Some(2),
    };
    server
}

#[test]
fn item_340_answers_are_the_xml_of_adobe() {
    let data = full();
    for (method, parameters, expected) in [
        ("ping", "", ""),
        (
            "getServerStats",
            "",
            "<launchTime>Sat 22 Sep 2007 06:16:40 PM UTC</launchTime><uptime>86400</uptime><io>\
             <bytes_in>18446744073709551615</bytes_in><bytes_out>0</bytes_out><connected>3</connected>\
             <total_connects>10</total_connects><total_disconnects>7</total_disconnects></io>\
             <streams>4</streams><players>2</players>",
        ),
        (
            "getActiveVHostStats",
            "&verbose=true",
            "<bytes_in>18446744073709551615</bytes_in><bytes_out>0</bytes_out><connected>3</connected>\
             <total_connects>10</total_connects><total_disconnects>7</total_disconnects><total_apps>3</total_apps>",
        ),
        ("getApps", "", "<_0>live</_0><_1>live/a</_1><_2>other</_2>"),
        ("getLiveStreams", "", "<_0>live/camera</_0><_1>live/a/b</_1><_2>other/x</_2><_3>alone</_3>"),
        ("getLiveStreams", "&appInst=live", "<_0>camera</_0>"),
        ("getLiveStreams", "&appInst=live%2F_definst_/", "<_0>camera</_0>"),
        ("getLiveStreams", "&appInst=", "<_0>alone</_0>"),
        ("getLiveStreams", "&appInst=none", ""),
        (
            "getLiveStreamStats",
            "&appInst=live&stream=camera",
            "<publisher><name>camera</name><time>Sun 23 Sep 2007 06:16:39 PM UTC</time><type>publishing</type>\
             <client>40</client><stream_id>1</stream_id><publish_time>Sun 23 Sep 2007 06:16:39 PM UTC</publish_time>\
             </publisher><subscribers><_0><client>90</client><subscribe_time>Sun 23 Sep 2007 06:16:40 PM UTC\
             </subscribe_time></_0><_1><client>91</client></_1></subscribers>",
        ),
        (
            "getLiveStreamStats",
            "&appInst=live&stream=a/b",
            "<publisher><name>b</name><type>publishing</type><client>41</client></publisher><subscribers></subscribers>",
        ),
        ("getLiveStreamStats", "&appInst=other/_definst_&stream=flv:x", "<subscribers></subscribers>"),
    ] {
        let answer = everywhere(&get(method, parameters), &data);
        let expected = format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<result><level>status</level>\
             <code>NetConnection.Call.Success</code><timestamp>Sun 23 Sep 2007 06:16:40 PM UTC</timestamp>\
             <data>{expected}</data></result>"
        );
        assert_eq!((answer.status(), answer.body()), ("200 OK", expected.as_str()), "{method}{parameters}");
        let length = format!("\r\nContent-Length: {}\r\n", expected.len());
        assert!(answer.output.contains(&length) && answer.output.contains("\r\nCache-Control: no-store\r\n"));
        assert!(!answer.is_over && answer.calls.len() == 1);
    }
}

#[test]
fn item_340_the_same_answers_are_json_on_request() {
    let data = full();
    let expected = "{\"level\":\"status\",\"code\":\"NetConnection.Call.Success\",\
         \"timestamp\":\"2007-09-23T18:16:40Z\",\"data\":{\"publisher\":{\"name\":\"camera\",\
         \"time\":\"2007-09-23T18:16:39Z\",\"type\":\"publishing\",\"client\":40,\"stream_id\":1,\
         \"publish_time\":\"2007-09-23T18:16:39Z\"},\"subscribers\":[{\"client\":90,\
         \"subscribe_time\":\"2007-09-23T18:16:40Z\"},{\"client\":91}]}}\n";
    let answer = everywhere(&get("getLiveStreamStats", "&appInst=live&stream=camera&format=json"), &data);
    assert_eq!(answer.body(), expected);
    assert!(answer.output.contains("\r\nContent-Type: application/json\r\n"));
    let accepting = |accept: &str| {
        let request = get("getLiveStreamStats", "&appInst=live&stream=camera");
        whole(&request.replace("Host: h", &format!("Host: h\r\nACCEPT: {accept}")), &data)
    };
    assert_eq!(accepting("application/json").body(), expected);
    for xml in ["*/*", "text/html,application/xhtml+xml,application/xml;q=0.9", "application/json, text/xml"] {
        assert!(accepting(xml).body().starts_with("<?xml"), "{xml}");
    }
    let empty = everywhere(&get("getApps", "&format=json"), &Server::new(&[]));
    assert!(empty.body().ends_with("\"data\":[]}\n"));
    let empty = everywhere(&get("ping", "&format=json"), &Server::new(&[]));
    assert!(empty.body().ends_with("\"data\":{}}\n"));
}

#[test]
fn item_341_names_are_escaped_in_xml_and_in_json() {
    let hostile =
        b"a<b>&\"'\\]]>\x00\x01\x1F\t\n\r\xFF\xC3\xE2\x82\x7F\xEF\xBF\xBE\xEF\xBF\xBF\xEF\xBF\xBD\xF0\x9F\x98\x80";
    let data = Server::new(&[hostile]);
    let answer = everywhere(&get("getLiveStreams", ""), &data);
    assert!(
        answer.body().ends_with(
            "<_0>a&lt;b&gt;&amp;&quot;&apos;\\]]&gt;\u{FFFD}\u{FFFD}\u{FFFD}\t\n&#13;\u{FFFD}\u{FFFD}\u{FFFD}\u{7F}\
             \u{FFFD}\u{FFFD}\u{FFFD}\u{1F600}</_0></data></result>"
        ),
        "{}",
        answer.body()
    );
    let answer = everywhere(&get("getLiveStreams", "&format=json"), &data);
    assert!(
        answer.body().ends_with(
            "[\"a<b>&\\\"'\\\\]]>\\u0000\\u0001\\u001f\\u0009\\u000a\\u000d\u{FFFD}\u{FFFD}\u{FFFD}\u{7F}\
             \u{FFFE}\u{FFFF}\u{FFFD}\u{1F600}\"]}\n"
        ),
        "{}",
        answer.body()
    );
    // The name is found by its bytes.
    let escaped: String = hostile.iter().map(|byte| format!("%{byte:02X}")).collect();
    let answer = everywhere(&get("getLiveStreamStats", &format!("&appInst=&stream={escaped}")), &data);
    assert_eq!(answer.status(), "200 OK");
}

#[test]
fn item_342_failures_have_a_description_and_a_status_of_http() {
    let data = Server::new(&[b"live/camera"]);
    let error = |code: &str, description: &str| {
        format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<result><level>error</level><code>{code}</code>\
             <description>{description}</description><timestamp>Sun 23 Sep 2007 06:16:40 PM UTC</timestamp></result>"
        )
    };
    let failed = |description: &str| error("NetConnection.Call.Failed", description);
    for (method, parameters, status, expected) in [
        ("none", "", "404 Not Found", failed("there is no such method")),
        ("", "", "404 Not Found", failed("there is no such method")),
        ("ping/", "", "404 Not Found", failed("there is no such method")),
        ("getLiveStreamStats", "", "400 Bad Request", failed("missing or invalid parameter: appInst")),
        ("getLiveStreamStats", "&appInst=live", "400 Bad Request", failed("missing or invalid parameter: stream")),
        ("getLiveStreamStats", "&appInst=live&stream=x", "404 Not Found", failed("there is no such stream")),
        ("getLiveStreamStats", "&appInst=liv&stream=camera", "404 Not Found", failed("there is no such stream")),
        ("ping", "&format=yaml", "400 Bad Request", failed("missing or invalid parameter: format")),
        ("ping", "&appInst=%zz", "400 Bad Request", failed("the request cannot be parsed")),
        ("ping", "&appInst=%4", "400 Bad Request", failed("the request cannot be parsed")),
    ] {
        let answer = everywhere(&get(method, parameters), &data);
        assert_eq!((answer.status(), answer.body()), (status, &*expected), "{method}{parameters}");
    }
    for (request, status) in [
        ("PUT /admin/ping HTTP/1.1\r\n\r\n", "405 Method Not Allowed"),
        ("GET /admin/ping HTTP/1.1\r\nContent-Length: 1\r\n\r\nx", "400 Bad Request"),
        ("GET /admin/ping HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", "400 Bad Request"),
        ("GET /admin/ping HTTP/2.0\r\n\r\n", "400 Bad Request"),
        ("GET /admin/ping HTTP/1.1\r\nOrigin: a\r\nOrigin: a\r\n\r\n", "400 Bad Request"),
        ("POST /admin/ping HTTP/1.1\r\nContent-Length: 502\r\n\r\n", "431 Request Header Fields Too Large"),
    ] {
        let answer = everywhere(request, &data);
        assert!(answer.status() == status && answer.is_over && answer.calls.is_empty(), "{request}: {}", answer.output);
    }
    let long = "x".repeat(600);
    for request in [
        format!("GET /admin/ping?{long} HTTP/1.1\r\n\r\n"),
        format!("GET /admin/ping HTTP/1.1\r\nAuthorization: Basic {long}\r\n\r\n"),
        format!("GET /admin/ping?{} HTTP/1.1\r\nHost: {0}\r\n\r\n", &long[..400]),
    ] {
        let answer = whole(&request, &data);
        assert!(answer.status().starts_with("431") && answer.is_over, "{}", answer.output);
    }
}

#[test]
fn item_342_a_page_of_another_site_is_refused() {
    let data = Server::new(&[]);
    for (origin, is_own) in
        [("http://h", true), ("https://H", true), ("http://h:1111", false), ("http://x", false), ("null", false)]
    {
        let request = get("ping", "").replace("Host: h", &format!("Origin: {origin}\r\nHost: h"));
        let answer = everywhere(&request, &data);
        assert_eq!(answer.status(), if is_own { "200 OK" } else { "403 Forbidden" }, "{origin}");
    }
}

#[test]
fn item_343_own_methods_must_be_posted_and_answer_json() {
    let data = Server::new(&[]);
    let close = |id| std::vec![AdminCall::CloseSession { id }];
    for (request, calls) in [
        (format!("POST /admin/x/closeSession?{LOGIN}&id=7 HTTP/1.1\r\n\r\n"), close(7)),
        (format!("POST /admin/x/closeSession?id=7 HTTP/1.1\r\nContent-Length: 26\r\n\r\n{LOGIN}"), close(7)),
        (
            format!("POST /admin/x/restartListeners HTTP/1.1\r\nContent-Length: 37\r\n\r\n&&=&id&{LOGIN}&x=%"),
            std::vec![],
        ),
        (format!("POST /admin/x/restartListeners?{LOGIN} HTTP/1.1\r\n\r\n"), std::vec![AdminCall::RestartListeners]),
    ] {
        let answer = everywhere(&request, &data);
        assert_eq!(answer.calls.len(), 1, "{}", answer.output);
        assert!(calls.is_empty() || answer.calls == calls);
        assert!(answer.body().starts_with("{\"level\":\"status\"") && answer.body().ends_with("\"data\":{}}\n"));
    }
    for (method, parameters, status) in [
        ("GET", "id=7", "405 Method Not Allowed"),
        ("HEAD", "id=7", "405 Method Not Allowed"),
        ("POST", "", "400 Bad Request"),
        ("POST", "id=", "400 Bad Request"),
        ("POST", "id=-1", "400 Bad Request"),
        ("POST", "id=4294967296", "400 Bad Request"),
    ] {
        let request = format!("{method} /admin/x/closeSession?{LOGIN}&format=xml&{parameters} HTTP/1.1\r\n\r\n");
        let answer = everywhere(&request, &data);
        assert!(answer.status() == status && answer.calls.is_empty(), "{method} {parameters}: {}", answer.output);
        assert_eq!(answer.body().starts_with('{'), method != "HEAD");
        assert_eq!(answer.output.contains("\r\nAllow: POST\r\n"), status.starts_with("405"));
    }
    let request = format!("POST /admin/x/closeSession?{LOGIN}&id=7 HTTP/1.1\r\n\r\n");
    let answer = exchange(request.as_bytes(), [usize::MAX, 4_096], &data, Err(AdminFailure::Client));
    assert_eq!(answer.status(), "404 Not Found");
    assert!(answer.body().contains("\"description\":\"there is no such client\""));
}

#[test]
fn a_head_has_the_length_and_no_body() {
    let data = full();
    let (head, get) = (get("getApps", "").replacen("GET", "HEAD", 1), get("getApps", ""));
    let (head, get) = (everywhere(&head, &data), everywhere(&get, &data));
    assert_eq!(head.output, get.output[..get.output.len() - get.body().len()]);
}

#[test]
fn several_requests_follow_one_another_on_a_connection() {
    let data = full();
    let requests = [get("ping", ""), get("none", ""), get("getApps", "&format=json")].concat();
    let answers = everywhere(&requests, &data);
    assert_eq!(answers.output.matches("HTTP/1.1 ").count(), 3);
    assert!(answers.output.ends_with("\"data\":[\"live\",\"live/a\",\"other\"]}\n") && !answers.is_over);
    for (from, to) in [("HTTP/1.1\r\n", "HTTP/1.0\r\n"), ("Host: h", "Connection: close")] {
        let answers = whole(&requests.replace(from, to), &data);
        assert!(answers.is_over && answers.output.matches("HTTP/1.1 ").count() == 1);
    }
}

#[test]
fn item_344_an_address_with_wrong_passwords_waits_and_others_do_not() {
    let mut access = access();
    let wrong = AdminCredentials { user: "admin".into(), password: "s&cres".into() };
    let right = AdminCredentials { user: "admin".into(), password: "s&cret".into() };
    let (mut now, mut tried, mut longest) = (NOW, 0, 0);
    for attempt in 0..1_000 {
        assert_eq!(access.check(now, OTHER, Some(right)), Ok(()), "{attempt}");
        match access.check(now, ADDRESS, Some(wrong)) {
            Err(AdminFailure::Login) => tried += 1,
            Err(AdminFailure::Wait { seconds }) => {
                longest = longest.max(seconds);
                assert_eq!(access.check(now, ADDRESS, Some(right)), Err(AdminFailure::Wait { seconds }));
            }
            other => panic!("{other:?}"),
        }
        now = now + Duration::from_millis(100);
    }
    // 5 at once, then after 1, 2, 4, 8, 16 and 32 s, and the last wait is not over.
    assert_eq!((tried, longest), (11, 60));
    for (user, password) in
        [("admin", ""), ("", "s&cret"), ("Admin", "s&cret"), ("admin", "s&cret "), ("s&cret", "admin")]
    {
        let mut access = self::access();
        let credentials = AdminCredentials { user: user.into(), password: password.into() };
        assert_eq!(access.check(NOW, ADDRESS, Some(credentials)), Err(AdminFailure::Login), "{user} {password}");
    }
    for (user, password) in [("", ""), ("admin", ""), ("", "x")] {
        let mut access = AdminAccess::<16>::new(user, password);
        let credentials = AdminCredentials { user: user.into(), password: password.into() };
        assert_eq!(access.check(NOW, ADDRESS, Some(credentials)), Err(AdminFailure::Login), "{user} {password}");
    }
}

#[test]
fn item_344_the_user_and_the_password_come_in_parameters_or_in_a_field() {
    let data = Server::new(&[]);
    let basic = |text: &str| format!("GET /admin/ping HTTP/1.1\r\nauthorization: {text}\r\n\r\n");
    for (request, status) in [
        (basic("Basic YWRtaW46cyZjcmV0"), "200 OK"),
        (basic("bAsIc   YWRtaW46cyZjcmV0  "), "200 OK"),
        (basic("Basic YWRtaW46cyZjcmVz"), "401 Unauthorized"),
        (basic("Basic YWRtaW4="), "401 Unauthorized"),
        (basic("Basic !!!!"), "401 Unauthorized"),
        (basic("Bearer YWRtaW46cyZjcmV0"), "401 Unauthorized"),
        ("GET /admin/ping HTTP/1.1\r\n\r\n".to_string(), "401 Unauthorized"),
        // The parameters count.
        (
            "GET /admin/ping?auser=x HTTP/1.1\r\nAuthorization: Basic YWRtaW46cyZjcmV0\r\n\r\n".to_string(),
            "401 Unauthorized",
        ),
        ("GET /admin/ping?auser=admin&apswd=s%26cret&apswd=x HTTP/1.1\r\n\r\n".to_string(), "200 OK"),
        ("GET /admin/ping?apswd=x&auser=admin&apswd=s%26cret HTTP/1.1\r\n\r\n".to_string(), "401 Unauthorized"),
        ("GET http://h/admin/ping?auser=admin&apswd=s%26cret HTTP/1.1\r\n\r\n".to_string(), "200 OK"),
        // Whether a method exists is told only after the login.
        ("GET /admin/none HTTP/1.1\r\n\r\n".to_string(), "401 Unauthorized"),
    ] {
        let answer = everywhere(&request, &data);
        assert_eq!(answer.status(), status, "{request}");
        let asks = answer.output.contains("\r\nWWW-Authenticate: Basic realm=\"admin\", charset=\"UTF-8\"\r\n");
        assert_eq!(asks, status.starts_with("401"));
    }
    let mut connection = AdminConnection::<512>::new(NOW);
    connection.next_event(NOW, &mut get("ping", "").as_bytes());
    connection.reject(NOW, AdminFailure::Wait { seconds: 17 });
    let mut out = [0; 1_024];
    let length = connection.poll_transmit(NOW, &mut out, &data);
    let answer = String::from_utf8(out[..length].to_vec()).unwrap();
    assert!(answer.starts_with("HTTP/1.1 429 ") && answer.contains("\r\nRetry-After: 17\r\n"), "{answer}");
    assert!(!format!("{connection:?}").contains("cret"));
}

#[test]
fn each_state_has_a_deadline() {
    let after = |millis| NOW + Duration::from_millis(millis);
    let data = Server::new(&[]);
    for sent in ["", "G", "GET /admin/ping HTTP/1.1\r\n", "POST /admin/ping HTTP/1.1\r\nContent-Length: 9\r\n\r\nx"] {
        let mut connection = AdminConnection::<512>::new(NOW);
        assert_eq!(connection.next_event(NOW, &mut sent.as_bytes()), None);
        let limit = if sent.is_empty() { 30_000 } else { 10_000 };
        assert_eq!(connection.poll_timeout(), Some(after(limit)), "{sent}");
        connection.handle_timeout(after(limit - 1));
        assert!(!connection.wants_transmit() && !connection.is_over());
        connection.handle_timeout(after(limit));
        if !sent.is_empty() {
            let mut out = [0; 1_024];
            let length = connection.poll_transmit(after(limit), &mut out, &data);
            assert!(out[..length].starts_with(b"HTTP/1.1 408 "), "{sent}");
        }
        assert!(connection.is_over() && connection.poll_timeout().is_none(), "{sent}");
    }
    // The client does not read.
    let mut connection = AdminConnection::<512>::new(NOW);
    connection.next_event(NOW, &mut get("ping", "").as_bytes());
    connection.accept_login();
    connection.next_event(NOW, &mut &b""[..]);
    connection.answer(NOW, Ok(()));
    assert_eq!(connection.poll_transmit(NOW, &mut [0; 10], &data), 10);
    connection.handle_timeout(after(29_999));
    assert!(!connection.is_over());
    connection.handle_timeout(after(30_000));
    assert!(connection.is_over());
}

/// A server on which something changes after some calls.
struct Changing(Server, Cell<usize>);

impl AdminData for Changing {
    fn stats(&self) -> AdminStats {
        self.1.set(self.1.get() + 1);
        AdminStats { uptime: Some(if self.1.get() > 4 { 11 } else { 10 }), ..self.0.stats }
    }

    fn stream(&self, index: usize) -> Option<AdminStream<'_>> {
        self.0.stream(index)
    }

    fn subscriber(&self, stream: usize, index: usize) -> Option<AdminClient> {
        self.0.subscriber(stream, index)
    }
}

#[test]
fn item_345_an_answer_whose_content_changes_is_not_continued() {
    let data = Changing(full(), Cell::new(0));
    let mut connection = AdminConnection::<512>::new(NOW);
    connection.next_event(NOW, &mut get("getServerStats", "").as_bytes());
    connection.accept_login();
    connection.next_event(NOW, &mut &b""[..]);
    connection.answer(NOW, Ok(()));
    let mut output = Vec::new();
    while connection.wants_transmit() {
        let mut out = [0; 100];
        let length = connection.poll_transmit(NOW, &mut out, &data);
        output.extend_from_slice(&out[..length]);
    }
    let output = String::from_utf8(output).unwrap();
    assert!(connection.is_over() && !output.contains("</result>"), "{output}");
}

/// A session of an administrator, and a client.
struct Pair {
    client: Client<'static, 8, 1, 4>,
    session: AdminSession<'static>,
    access: AdminAccess<'static>,
    /// The sizes of the pieces that are passed on.
    cut: usize,
    calls: Vec<AdminCall>,
    /// The transaction, whether it succeeded, and the value.
    answers: Vec<(u32, bool, Vec<u8>)>,
    refused: Option<String>,
}

impl Pair {
    fn new(app: &'static str, arguments: &[Token<'_>], cut: usize) -> Self {
        let buffers = || SessionBuffers { scratch: std::vec![0; 1_536].leak(), control: std::vec![0; 2_048].leak() };
        let mut client = Client::new(buffers(), ClientConfig::new(), &[1; 32]).unwrap();
        let mut buffer = [0; 128];
        let mut encoder = Encoder::new(&mut buffer);
        encoder.put_all(arguments).unwrap();
        let mut options = ConnectOptions::new(app, &["rtmp://h/admin"]);
        options.arguments = encoder.finish();
        client.connect(&options).unwrap();
        let session = AdminSession::new(buffers(), ServerConfig::new(), &[2; 32]).unwrap();
        Self { client, session, access: access(), cut, calls: Vec::new(), answers: Vec::new(), refused: None }
    }

    fn run(&mut self, data: &dyn AdminData) {
        let (mut to_server, mut to_client) = (Vec::new(), Vec::new());
        for _ in 0..40_000 {
            let mut out = std::vec![0; self.cut];
            let length = self.client.poll_transmit(NOW, &mut out);
            to_server.extend_from_slice(&out[..length]);
            let mut input = &to_server[..to_server.len().min(self.cut)];
            let before = input.len();
            while let Some(event) = self.session.next_event(NOW, &mut input).unwrap() {
                match event {
                    AdminEvent::Login(credentials) => match self.access.check(NOW, ADDRESS, credentials) {
                        Ok(()) => self.session.accept_login(),
                        Err(failure) => self.session.reject(failure),
                    },
                    AdminEvent::Call(call) => {
                        self.calls.push(call);
                        self.session.answer(Ok(()));
                    }
                }
            }
            let taken = before - input.len();
            to_server.drain(..taken);
            let mut out = std::vec![0; self.cut];
            let written = self.session.poll_transmit(NOW, &mut out, data);
            to_client.extend_from_slice(&out[..written]);
            let mut input = &to_client[..];
            while let Some(event) = self.client.next_event(NOW, &mut input).unwrap() {
                match event {
                    ClientEvent::Answer { transaction, succeeded, values } => {
                        self.answers.push((transaction, succeeded, values.rest().to_vec()));
                    }
                    ClientEvent::Refused(_, status) => {
                        self.refused = Some(format!("{} {}", status.code, status.description))
                    }
                    _ => {}
                }
            }
            let rest = input.len();
            to_client.drain(..to_client.len() - rest);
            if length + taken + written == 0 {
                break;
            }
        }
    }
}

const RIGHT: [Token<'static>; 2] =
    [Token::String(crate::amf0::Text::new(b"admin")), Token::String(crate::amf0::Text::new(b"s&cret"))];

/// A value as text, of which nothing is left out.
fn shown(values: &[u8]) -> String {
    let (mut decoder, mut text) = (Decoder::new(values), String::new());
    while let Some(token) = decoder.next_token().unwrap() {
        text += &match token {
            Token::Null => "null ".to_string(),
            Token::ObjectStart => "{".to_string(),
            Token::StrictArrayStart { len } => format!("[{len}:"),
            Token::Key(key) => format!("{key}="),
            Token::End => "}".to_string(),
            Token::String(text) => format!("{text:?},"),
            Token::Number(number) => format!("{number},"),
            Token::Date { ms, tz: 0 } => format!("@{ms},"),
            other => panic!("{other:?}"),
        };
    }
    text
}

#[test]
fn item_346_calls_over_rtmp_are_answered_with_objects() {
    let mut data = full();
    data.names.push(b"live/\xFF".to_vec());
    for cut in [1, 2, 13, 128, 4_096] {
        let mut pair = Pair::new("admin", &RIGHT, cut);
        pair.run(&data);
        assert_eq!(pair.refused, None);
        for (name, arguments) in [
            ("ping", &[][..]),
            ("getServerStats", &[]),
            ("getLiveStreams", &[Token::String("live".into())]),
            ("getLiveStreamStats", &[Token::String("live".into()), Token::String("camera".into())]),
            ("getLiveStreamStats", &[Token::String("live".into())]),
            ("none", &[]),
            ("x/closeSession", &[Token::String("7".into())]),
        ] {
            pair.client.call(name, arguments).unwrap();
            pair.run(&data);
        }
        let answers: Vec<_> = pair.answers.iter().map(|(_, is_success, values)| (*is_success, shown(values))).collect();
        let success = format!("null {{level=\"status\",code=\"NetConnection.Call.Success\",timestamp=@{TIME},data=");
        let failure = |description: &str| {
            format!(
                "null {{level=\"error\",code=\"NetConnection.Call.Failed\",description=\"{description}\",\
                 timestamp=@{TIME},}}"
            )
        };
        let stats = format!(
            "{success}{{launchTime=@{},uptime=86400,io={{bytes_in=18446744073709550000,bytes_out=0,connected=3,\
             total_connects=10,total_disconnects=7,}}streams=5,players=2,}}}}",
            TIME - 86_400_000
        );
        let stream = format!(
            "{success}{{publisher={{name=\"camera\",time=@{0},type=\"publishing\",client=40,stream_id=1,\
             publish_time=@{0},}}subscribers=[2:{{client=90,subscribe_time=@{TIME},}}{{client=91,}}}}}}}}",
            TIME - 1_000
        );
        let [ping, server, names, found, missing, unknown, own] = &answers[..] else { panic!("{answers:?}") };
        assert_eq!(*ping, (true, format!("{success}{{}}}}")));
        assert_eq!(*server, (true, stats.replace("18446744073709550000", &format!("{}", 18446744073709549568.0_f64))));
        assert_eq!(*names, (true, format!("{success}[2:\"camera\",\"\\xff\",}}}}")));
        assert_eq!(*found, (true, stream));
        assert_eq!(*missing, (false, failure("missing or invalid parameter: stream")));
        assert_eq!(*unknown, (false, failure("there is no such method")));
        assert_eq!(*own, (false, failure("there is no such method")));
        assert_eq!(pair.calls.len(), 4);
    }
}

#[test]
fn item_346_an_answer_may_be_longer_than_all_buffers() {
    let names: Vec<Vec<u8>> =
        (0..500).map(|number| format!("live/a-stream-with-number-{number}").into_bytes()).collect();
    let data = Server { names, ..full() };
    let mut pair = Pair::new("admin", &RIGHT, 1_000);
    pair.run(&data);
    // Several calls wait for their answers.
    for _ in 0..3 {
        pair.client.call("getLiveStreams", &[]).unwrap();
    }
    pair.run(&data);
    // The client stores only the start of such an answer.
    assert_eq!(pair.answers.len(), 3);
    assert!(pair.client.bytes_received() > 3 * 500 * 26);
}

#[test]
fn item_347_without_a_login_nothing_can_be_called() {
    let data = full();
    let wrong = [Token::String("admin".into()), Token::String("wrong".into())];
    let only_user = [Token::String("admin".into())];
    let numbers = [Token::Number(1.0), Token::Number(2.0)];
    for (app, arguments) in
        [("admin", &wrong[..]), ("admin", &only_user), ("admin", &numbers), ("admin", &[]), ("live", &RIGHT)]
    {
        let mut pair = Pair::new(app, arguments, 4_096);
        pair.run(&data);
        let expected = "NetConnection.Connect.Rejected wrong user or password";
        assert_eq!(pair.refused.as_deref(), Some(expected), "{app} {arguments:?}");
        assert!(pair.session.is_closed() && pair.calls.is_empty());
    }
}

#[test]
fn item_347_an_administrator_cannot_publish_or_play() {
    let data = full();
    for publishes in [true, false] {
        let mut pair = Pair::new("admin", &RIGHT, 4_096);
        if publishes {
            pair.client.publish("camera").unwrap();
        } else {
            pair.client.play(&PlayRequest::new("camera")).unwrap();
        }
        pair.run(&data);
        let refused = pair.refused.take().unwrap();
        assert!(refused.contains(if publishes { "Publish.Denied" } else { "Play.Failed" }), "{refused}");
        pair.client.call("ping", &[]).unwrap();
        pair.run(&data);
        assert_eq!(pair.answers.len(), 1);
    }
}

#[test]
fn a_call_that_wants_no_answer_gets_none() {
    let data = full();
    let mut pair = Pair::new("admin", &RIGHT, 4_096);
    pair.run(&data);
    let mut buffer = [0; 64];
    let mut encoder = Encoder::new(&mut buffer);
    command::put(&mut encoder, "ping", 0.0, &[Token::Null]).unwrap();
    let payload = encoder.finish();
    let message = [&[3, 0, 0, 0, 0, 0, payload.len() as u8, 20, 0, 0, 0, 0], payload].concat();
    let mut input = &message[..];
    assert_eq!(pair.session.next_event(NOW, &mut input), Ok(None));
    assert!(input.is_empty() && !pair.session.wants_transmit());
}

#[test]
fn a_failure_is_a_status_of_rtmp() {
    let mut pair = Pair::new("admin", &RIGHT, 4_096);
    pair.run(&full());
    pair.client.call("none", &[]).unwrap();
    pair.run(&full());
    let (_, _, values) = &pair.answers[0];
    let status = Status::parse(Decoder::new(values));
    assert!(status.is_error() && status.description == *"there is no such method");
}
