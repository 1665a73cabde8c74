//! Administration of `serve` over HTTP and RTMP.

mod support;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::Command;

use embedded_rtmp::amf0::Token;
use embedded_rtmp::message::MessageKind;
use host_tests::peers::{Finished, Program, finish_within, wait_until};
use serde_json::Value;
use support::certificates::{Authority, Dates, NAME};
use support::raw::{RawClient, command};
use support::{LIMIT, Serve};

const LOGIN: &str = "auser=admin&apswd=s%26cret";

/// `serve` with administration for the user `admin`.
struct Server {
    serve: Serve,
    admin: u16,
    directory: tempfile::TempDir,
}

impl Server {
    fn start() -> Self {
        Self::with(&[])
    }

    /// Starts it with more arguments.
    fn with(more: &[String]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("password");
        std::fs::write(&file, "s&cret\n").unwrap();
        let file = file.to_str().unwrap();
        let own = ["--admin", "0", "--admin-user", "admin", "--admin-password-file", file];
        let serve = Serve::start(&own.into_iter().chain(more.iter().map(String::as_str)).collect::<Vec<_>>());
        serve.wait_until_it_says("administration at http://127.0.0.1:");
        let said = serve.said();
        let (_, rest) = said.split_once("administration at http://127.0.0.1:").unwrap();
        let admin = rest.split('/').next().unwrap().parse().unwrap();
        Self { serve, admin, directory }
    }

    /// Sends a request over HTTP/1.0, and returns the answer.
    fn send_from(&self, from: Ipv4Addr, request: &str) -> String {
        use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
        let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        bind(&socket, &SocketAddr::from((from, 0))).unwrap();
        connect(&socket, &SocketAddr::from((Ipv4Addr::LOCALHOST, self.admin))).unwrap();
        let (mut stream, mut answer) = (TcpStream::from(socket), String::new());
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// The body of an answer as JSON.
    fn json(&self, verb: &str, target: &str) -> Value {
        let mark = if target.contains('?') { '&' } else { '?' };
        let request = format!("{verb} /admin/{target}{mark}{LOGIN}&format=json HTTP/1.0\r\n\r\n");
        let answer = self.send_from(Ipv4Addr::LOCALHOST, &request);
        serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

/// Whether the server closes a connection.
fn is_closed(client: &mut RawClient) -> bool {
    client.stream.set_read_timeout(Some(LIMIT)).unwrap();
    let mut rest = Vec::new();
    client.stream.read_to_end(&mut rest).is_ok()
}

#[test]
fn item_344_a_thousand_wrong_passwords_delay_only_their_address() {
    let server = Server::start();
    let [guesser, other] = [Ipv4Addr::new(127, 0, 0, 2), Ipv4Addr::new(127, 0, 0, 3)];
    let mut statuses = std::collections::BTreeMap::new();
    for guess in 0..1000 {
        let request = format!("GET /admin/ping?auser=admin&apswd=guess{guess} HTTP/1.0\r\n\r\n");
        let answer = server.send_from(guesser, &request);
        *statuses.entry(answer[9..12].to_owned()).or_insert(0) += 1;
    }
    let is_right = format!("GET /admin/ping?{LOGIN} HTTP/1.0\r\n\r\n");
    assert!(server.send_from(guesser, &is_right).contains("\r\nRetry-After: "));
    assert!(server.send_from(other, &is_right).starts_with("HTTP/1.1 200 OK\r\n"));
    assert!(statuses["401"] >= 5 && statuses["429"] >= 900 && statuses.len() == 2, "{statuses:?}");
    let said = server.serve.said();
    assert!(said.contains("administration: wrong user or password"), "{said}");
    assert!(!said.contains("guess") && !said.contains("cret") && !said.contains("apswd"), "{said}");
}

#[test]
fn item_343_a_session_is_closed_by_the_id_that_is_listed() {
    let server = Server::start();
    let mut publisher = RawClient::publisher(server.serve.port(), "camera?token=secret");
    let mut player = RawClient::player(server.serve.port(), "camera");
    let list = || server.json("GET", "getLiveStreamStats?appInst=live&stream=camera");
    wait_until("the player is listed", LIMIT, || list()["data"]["subscribers"][0].is_object()).unwrap();
    let stats = list();
    assert_eq!(stats["data"]["publisher"]["name"], "camera");
    assert_eq!(stats["data"]["publisher"]["stream_id"], 1);
    let close = |id: &Value| server.json("POST", &format!("x/closeSession?id={id}"));
    assert_eq!(close(&stats["data"]["subscribers"][0]["client"])["level"], "status");
    assert!(is_closed(&mut player));
    assert_eq!(server.json("GET", "getLiveStreams")["data"], serde_json::json!(["live/camera"]));
    assert_eq!(close(&stats["data"]["publisher"]["client"])["level"], "status");
    assert!(is_closed(&mut publisher));
    assert_eq!(close(&stats["data"]["publisher"]["client"])["description"], "there is no such client");
    assert_eq!(server.json("GET", "getLiveStreams")["data"], serde_json::json!([]));
    let io = &server.json("GET", "getServerStats")["data"]["io"];
    assert_eq!((&io["total_connects"], &io["total_disconnects"], &io["connected"]), (&2.into(), &2.into(), &0.into()));
    assert!(io["bytes_in"].as_u64() > Some(2 * 3073) && io["bytes_out"].as_u64() > Some(2 * 3073), "{io}");
}

#[test]
fn item_343_listeners_are_opened_again_and_sessions_stay() {
    let server = Server::start();
    let _publisher = RawClient::publisher(server.serve.port(), "camera");
    for _ in 0..3 {
        assert_eq!(server.json("POST", "x/restartListeners")["level"], "status");
        RawClient::connected(server.serve.port());
    }
    assert_eq!(server.json("GET", "getLiveStreams?appInst=live")["data"], serde_json::json!(["camera"]));
}

#[test]
fn item_347_the_port_of_administration_is_for_nothing_else() {
    let server = Server::start();
    for target in ["/", "/live/camera.flv", "/status.json", "/open/1"] {
        let answer = server.send_from(Ipv4Addr::LOCALHOST, &format!("POST {target}?{LOGIN} HTTP/1.0\r\n\r\n"));
        assert!(answer.starts_with("HTTP/1.1 404 Not Found\r\n"), "{answer}");
    }
    let mut client = RawClient::connect(server.admin);
    let connect =
        [Token::ObjectStart, Token::Key("app".into()), "admin".into(), Token::End, "admin".into(), "s&cret".into()];
    client.send(0, MessageKind::COMMAND, &command("connect", 1.0, &connect));
    client.wait_for("NetConnection.Connect.Success");
    client.call(0, "createStream", &[]);
    client.call(1, "publish", &["x".into()]);
    client.wait_for("NetStream.Publish.Denied");
    client.call(1, "play", &["x".into()]);
    client.wait_for("NetStream.Play.Failed");
    let mut client = RawClient::connect(server.admin);
    let connect = [Token::ObjectStart, Token::Key("app".into()), "admin".into(), Token::End];
    client.send(0, MessageKind::COMMAND, &command("connect", 1.0, &connect));
    client.wait_for("NetConnection.Connect.Rejected");
    assert!(is_closed(&mut client));
}

/// Runs a program, and returns its status, its output and its errors.
fn run(command: &mut Command) -> (Option<i32>, String, String) {
    let Finished { status, stdout, stderr } = finish_within(LIMIT, command).unwrap();
    (status.code(), String::from_utf8_lossy(&stdout).into_owned(), stderr)
}

#[test]
#[ignore = "needs curl, xmllint, Python, rtmpdump, a C compiler and librtmp: host-tests/run runs it"]
fn item_340_item_341_item_346_programs_read_the_answers() {
    let server = Server::start();
    let _publishers =
        ["plain", "a<b>&\"']]>\u{1}\u{1F}\r\n\u{FFFE}é"].map(|key| RawClient::publisher(server.serve.port(), key));
    let base = format!("http://127.0.0.1:{}/admin/", server.admin);
    let curl = |arguments: &[&str], target: &str| {
        let mut command = Command::new("curl");
        command.args(["-sS", "-f", "-u", "admin:s&cret"]).args(arguments).arg(format!("{base}{target}"));
        run(&mut command)
    };
    let xml = server.file("answer.xml");
    for target in ["ping", "getServerStats", "getActiveVHostStats", "getApps", "getLiveStreams"] {
        let (status, answer, errors) = curl(&[], target);
        assert_eq!(status, Some(0), "{errors}");
        std::fs::write(&xml, answer).unwrap();
        let (status, _, errors) = run(Command::new("xmllint").arg("--noout").arg(&xml));
        assert_eq!(status, Some(0), "{target}: {errors}");
    }
    let path = "string(/result/data/_0)";
    let (_, name, _) = run(Command::new("xmllint").args(["--xpath", path]).arg(&xml));
    assert_eq!(name.trim_end_matches('\n'), "live/a<b>&\"']]>\u{FFFD}\u{FFFD}\r\n\u{FFFD}é");
    let (_, json, _) = curl(&["-H", "Accept: application/json"], "getLiveStreams");
    let file = server.file("answer.json");
    std::fs::write(&file, json).unwrap();
    let script = "import json, sys; print(ascii(json.load(open(sys.argv[1]))['data']))";
    let (_, names, errors) = run(Command::new("python3").args(["-c", script]).arg(&file));
    let expected = r#"['live/a<b>&"\']]>\x01\x1f\r\n\ufffe\xe9', 'live/plain']"#;
    assert_eq!(names.trim(), expected, "{errors}");
    // The exit status for an answer of 400 or more is 22.
    assert_eq!(curl(&["-u", "admin:wrong"], "ping").0, Some(22));
    assert_eq!(curl(&[], "x/closeSession?id=1").0, Some(22));
    let (_, head, _) = curl(&["-I"], "getServerStats");
    assert!(head.contains("\r\nContent-Length: ") && head.ends_with("\r\n\r\n"), "{head}");

    let url = format!("rtmp://127.0.0.1:{}/admin", server.admin);
    for (password, expected) in [("s&cret", "NetStream.Play.Failed"), ("wrong", "rtmp server sent error")] {
        let mut command = Command::new("rtmpdump");
        command.args(["-r", &url, "-y", "x", "-C", "S:admin", "-C", &format!("S:{password}"), "-o", "/dev/null"]);
        let (_, _, errors) = run(&mut command);
        assert!(errors.contains(expected), "{password}: {errors}");
    }
    let program = server.file("admin_calls");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/admin_calls.c");
    let (status, _, errors) = run(Command::new("cc").args(["-Wall", "-o"]).arg(&program).args([source, "-lrtmp"]));
    assert_eq!(status, Some(0), "{errors}");
    for (scheme, password, call, expected) in [
        ("rtmp", "s&cret", &["ping"][..], "_result [null,{level=status,code=NetConnection.Call.Success,timestamp=@"),
        ("rtmp", "s&cret", &["getLiveStreams", "live"], "data=[a<b>&\"']]>\u{1}\u{1F}\r\n\u{FFFE}é,plain]}]"),
        ("rtmp", "s&cret", &["getLiveStreamStats", "live", "plain"], "data={publisher={name=plain,time=@"),
        ("rtmpe", "s&cret", &["getApps"], "data=[live]}]"),
        ("rtmp", "s&cret", &["none"], "_error [null,{level=error,code=NetConnection.Call.Failed,description="),
        ("rtmp", "wrong", &["ping"], "_error [null,{level=error,code=NetConnection.Connect.Rejected,description="),
    ] {
        let url = format!("{scheme}://127.0.0.1:{}/admin conn=S:admin conn=S:{password}", server.admin);
        let (_, answer, errors) = run(Command::new(&program).arg(url).args(call));
        assert!(answer.contains(expected), "{call:?}: {answer} {errors}");
    }
}

#[test]
#[ignore = "needs curl and ffmpeg: host-tests/run runs it"]
fn item_363_administration_inside_tls() {
    let (authority, directory) = (Authority::new("root"), tempfile::tempdir().unwrap());
    let ca = authority.file(&directory);
    let server = Server::with(&authority.identity(NAME, Dates::Valid, &[]).arguments());
    let _publisher = RawClient::publisher(server.serve.port(), "camera");
    let curl = |arguments: &[&str], scheme: &str| {
        let mut command = Command::new("curl");
        command.args(["-sS", "-w", "\n%{http_code} %{ssl_verify_result}"]).args(arguments);
        run(command.arg(format!("{scheme}://{NAME}:{}/admin/getLiveStreams?format=json", server.admin)))
    };
    let (right, trust) = (["-u", "admin:s&cret"], ["--cacert", &ca]);
    // The same port also speaks HTTP without TLS.
    for (more, scheme) in
        [(&["--tlsv1.3"][..], "https"), (&["--tlsv1.2", "--tls-max", "1.2"], "https"), (&[][..], "http")]
    {
        let (status, answer, errors) = curl(&[&right[..], &trust, more].concat(), scheme);
        assert_eq!(status, Some(0), "{errors}");
        let (json, code) = answer.rsplit_once('\n').unwrap();
        let json: Value = serde_json::from_str(json).unwrap();
        assert_eq!((&json["data"], code), (&serde_json::json!(["live/camera"]), "200 0"));
    }
    for wrong in [&["-u", "admin:wrong"][..], &["-u", "nobody:s&cret"], &[]] {
        let (status, answer, errors) = curl(&[wrong, &trust].concat(), "https");
        assert_eq!(status, Some(0), "{errors}");
        assert!(answer.ends_with("\n401 0") && !answer.contains("camera"), "{wrong:?}: {answer}");
    }
    // The exit status for a certificate that is not trusted is 60.
    assert_eq!(curl(&right, "https").0, Some(60));
    for (password, expected) in [("s&cret", "Nothing is played here."), ("wrong", "wrong user or password")] {
        let mut command = Program::Ffmpeg.ffmpeg();
        command.args(["-tls_verify", "1", "-ca_file", &ca, "-rtmp_conn", &format!("S:admin S:{password}")]);
        command.args(["-i", &format!("rtmps://{NAME}:{}/admin/x", server.admin), "-f", "null", "-"]);
        let (_, _, errors) = run(&mut command);
        assert!(errors.contains(expected), "{password}: {errors}");
    }
    let said = server.serve.said();
    assert_eq!(said.matches("administration: wrong user or password").count(), 3, "{said}");
    assert!(!said.contains("cret"), "{said}");
}
