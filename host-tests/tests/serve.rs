//! `serve` for people and for scripts: the status line, `--open` and the events of `--json`.

mod support;

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, SystemTime};

use host_tests::peers::{Program, finish_within, start, wait_until};
use serde_json::{Value, json};
use support::raw::RawClient;
use support::{LIMIT, Serve, clip, events, publish, publish_well, publisher};

fn serve() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_serve"));
    command.args(["--listen", "127.0.0.1:0", "--grace", "0"]);
    command
}

/// A terminal of 80 columns, and what was written to it.
struct Terminal {
    written: Arc<Mutex<Vec<u8>>>,
    name: PathBuf,
}

impl Terminal {
    fn new() -> Self {
        use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
        use rustix::termios::{Winsize, tcsetwinsize};
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        tcsetwinsize(&master, Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
        let name = PathBuf::from(ptsname(&master, Vec::new()).unwrap().into_string().unwrap());
        let written = Arc::new(Mutex::new(Vec::new()));
        let (copy, mut master) = (Arc::clone(&written), File::from(master));
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            // The last process that has the terminal open closes it.
            while let Ok(length) = master.read(&mut buffer) {
                copy.lock().unwrap().extend_from_slice(&buffer[..length]);
            }
        });
        Self { written, name }
    }

    fn open(&self) -> Stdio {
        File::options().read(true).write(true).open(&self.name).unwrap().into()
    }

    /// The lines that a person sees.
    fn lines(&self) -> Vec<String> {
        let written = self.written.lock().unwrap();
        let text = String::from_utf8_lossy(&written).into_owned();
        let (mut lines, mut column, mut rest) = (vec![Vec::new()], 0, text.chars());
        while let Some(char) = rest.next() {
            let line: &mut Vec<char> = lines.last_mut().unwrap();
            match char {
                '\r' => column = 0,
                '\n' => lines.push(Vec::new()),
                '\u{1b}' => {
                    let sequence: String = rest.by_ref().take_while(|char| !matches!(char, 'K' | 'h' | 'l')).collect();
                    match &*sequence {
                        "[2" => line.clear(),
                        "[" => line.truncate(column),
                        // The cursor is hidden or shown.
                        "[?25" => {}
                        other => panic!("{other:?} in {text:?}"),
                    }
                }
                char => {
                    line.resize(line.len().max(column + 1), ' ');
                    line[column] = char;
                    column += 1;
                }
            }
        }
        lines.into_iter().map(|line| String::from_iter(line).trim_end().to_owned()).collect()
    }
}

#[test]
fn item_360_a_terminal_has_one_status_line_below_the_log() {
    let terminal = Terminal::new();
    let output = tempfile::NamedTempFile::new().unwrap();
    let mut command = serve();
    command.args(["--json"]).stdin(Stdio::null()).stdout(output.reopen().unwrap()).stderr(terminal.open());
    let mut serve = command.spawn().unwrap();
    let port = || events(&fs::read_to_string(output.path()).unwrap()).first().map(port_of);
    wait_until("it listens", LIMIT, || port().is_some()).unwrap();
    let port = port().unwrap();
    let status = || terminal.lines().pop().unwrap();
    wait_until("an idle status", LIMIT, || status() == "0 streams, 0 players, 0 connections, 0.00 Mbit/s in")
        .unwrap_or_else(|error| panic!("{error}: {:?}", terminal.lines()));
    let publishing = start(&mut publisher(&clip(), &support::url(port, "live/x"), &[])).unwrap();
    let player = RawClient::player(port, "x");
    let begins = "1 stream, 1 player, 2 connections, ";
    wait_until("the bit rate is shown", LIMIT, || {
        let status = status();
        let rate = status.strip_prefix(begins).and_then(|rest| rest.strip_suffix(" Mbit/s in"));
        rate.is_some_and(|rate| rate.parse::<f64>().unwrap() > 0.1)
    })
    .unwrap_or_else(|error| panic!("{error}: {:?}", terminal.lines()));
    drop((publishing, player));
    wait_until("all have left", LIMIT, || status().starts_with("0 streams, 0 players, 0 connections, ")).unwrap();
    assert!(Command::new("sh").args(["-c", &format!("kill -INT {}", serve.id())]).status().unwrap().success());
    assert!(serve.wait().unwrap().success());
    // The log is whole, and the status line is gone.
    wait_until("the line is removed", LIMIT, || status().is_empty()).unwrap();
    let mut lines = terminal.lines();
    lines.pop();
    assert!(lines.iter().all(|line| line.starts_with("serve: ")), "{lines:?}");
    for part in ["listening on 127.0.0.1:", "live/x goes to players alone", "plays live/x", "played live/x"] {
        assert_eq!(lines.iter().filter(|line| line.contains(part)).count(), 1, "{part}: {lines:?}");
    }
}

#[test]
fn item_360_without_a_terminal_there_is_no_status_line() {
    let serve = Serve::start(&[]);
    publish_well(&clip(), &serve.url("live/x"), &["--fast"]);
    serve.recording("live-x.flv");
    // The status is shown ten times a second.
    thread::sleep(Duration::from_millis(300));
    let said = serve.said();
    assert!(said.lines().all(|line| line.starts_with("serve: ")) && !said.contains(['\r', '\u{1b}']), "{said:?}");
}

/// A program that writes its arguments into a file.
fn recorder(directory: &Path) -> (PathBuf, PathBuf) {
    let (program, file) = (directory.join("browser"), directory.join("arguments"));
    fs::write(&program, format!("#!/bin/sh\nprintf '%s|' \"$@\" > {0}.part\nmv {0}.part {0}\n", file.display()))
        .unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    (program, file)
}

#[test]
fn item_361_the_browser_gets_the_address_of_the_page() {
    let directory = tempfile::tempdir().unwrap();
    let (program, file) = recorder(directory.path());
    let program = program.display();
    for (browser, listen, expected) in [
        (format!("{program}"), "127.0.0.1:0", "URL|"),
        // The first program is not installed. All addresses include that of this machine.
        (format!("/nonexistent/browser:{program} --new-tab %s --private"), "0.0.0.0:0", "--new-tab|URL|--private|"),
        (format!("{program}:/nonexistent/browser"), "192.0.2.1:0,127.0.0.1:0", "URL|"),
    ] {
        let mut command = serve();
        command.args(["--json", "--listen", listen, "--open"]).env("BROWSER", &browser);
        let running = start(&mut command).unwrap();
        wait_until("the browser is started", LIMIT, || file.exists())
            .unwrap_or_else(|error| panic!("{error}: {}", running.errors()));
        let url = events(&running.output())[0]["web"][0].as_str().unwrap().to_owned();
        assert!(url.starts_with("http://127.0.0.1:"), "{url}");
        assert_eq!(fs::read_to_string(&file).unwrap(), expected.replace("URL", &url));
        fs::remove_file(&file).unwrap();
        running.interrupt().unwrap();
        let finished = running.finish_within(LIMIT).unwrap().successful().unwrap();
        assert!(!finished.stderr.contains("browser"), "{}", finished.stderr);
    }
}

#[test]
fn item_361_a_browser_that_cannot_be_opened_is_reported_and_the_server_serves() {
    let directory = tempfile::tempdir().unwrap();
    let failing = directory.path().join("failing");
    fs::write(&failing, "#!/bin/sh\nexit 3\n").unwrap();
    fs::set_permissions(&failing, fs::Permissions::from_mode(0o755)).unwrap();
    for (browser, expected) in [
        (failing.to_str().unwrap(), "the browser was not opened: "),
        // There is no program in the path.
        ("", "there is no browser: none of "),
        (directory.path().to_str().unwrap(), "the browser cannot be started: "),
    ] {
        let mut command = serve();
        command.args(["--json", "--open", "--quiet"]).env("BROWSER", browser).env("PATH", "/nonexistent");
        let running = start(&mut command).unwrap();
        wait_until("it is reported", LIMIT, || running.errors().contains(expected))
            .unwrap_or_else(|error| panic!("{error}: {}", running.errors()));
        wait_until("it is an event", LIMIT, || events(&running.output()).len() > 1).unwrap();
        let events = events(&running.output());
        assert_eq!((&events[1]["event"], &events[1]["peer"]), (&json!("error"), &Value::Null));
        assert!(events[1]["text"].as_str().unwrap().starts_with(expected));
        publish_well(&clip(), &support::url(port_of(&events[0]), "live/x"), &["--fast"]);
    }
}

#[test]
fn item_361_the_page_must_be_on() {
    let directory = tempfile::tempdir().unwrap();
    let (program, file) = recorder(directory.path());
    // This is no loopback address, and this machine has no other one in each environment.
    let address = std::net::UdpSocket::bind("0.0.0.0:0").and_then(|socket| {
        socket.connect("192.0.2.1:9")?;
        socket.local_addr()
    });
    let Ok(address) = address else { return println!("this machine has no address but loopback") };
    let mut command = Command::new(env!("CARGO_BIN_EXE_serve"));
    command.args(["--listen", &format!("{}:0", address.ip()), "--open"]).env("BROWSER", &program);
    let finished = finish_within(LIMIT, &mut command).unwrap();
    assert_eq!(finished.status.code(), Some(2));
    assert!(finished.stderr.contains("--open: the page is on for none of the addresses"), "{}", finished.stderr);
    let running = start(command.arg("--web")).unwrap();
    wait_until("the browser is started", LIMIT, || file.exists())
        .unwrap_or_else(|error| panic!("{error}: {}", running.errors()));
    let url = fs::read_to_string(&file).unwrap();
    assert!(url.starts_with(&format!("http://{}:", address.ip())), "{url}");
}

/// The port of the event `listening`.
fn port_of(listening: &Value) -> u16 {
    listening["addresses"][0].as_str().unwrap().rsplit_once(':').unwrap().1.parse().unwrap()
}

/// Connects to a port, and sends text.
fn sending(port: u16, text: &str) -> TcpStream {
    let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    socket.write_all(text.as_bytes()).unwrap();
    socket
}

/// The names of the fields of an event.
fn fields(event: &Value) -> Vec<&str> {
    event.as_object().unwrap().keys().map(String::as_str).collect()
}

/// The first event of a kind. Its fields are those that are documented.
fn first<'e>(events: &'e [Value], kind: &str) -> &'e Value {
    let documentation = include_str!("../README.md");
    let row = documentation.lines().find(|line| line.starts_with(&format!("| `{kind}` |")));
    let row = row.unwrap_or_else(|| panic!("{kind} is not documented"));
    let cells: Vec<_> = row.split('|').collect();
    // The parts of a field stand in parentheses.
    let named: String = cells[3].split(['(', ')']).step_by(2).collect();
    let documented = named.split('`').skip(1).step_by(2);
    let event = events.iter().find(|event| event["event"] == kind).unwrap_or_else(|| panic!("no {kind}: {events:?}"));
    assert_eq!(fields(event), ["event"].into_iter().chain(documented).chain(["time"]).collect::<Vec<_>>(), "{kind}");
    event
}

#[test]
fn item_362_each_event_is_a_json_object_on_a_line_and_has_neither_keys_nor_tokens() {
    let directory = tempfile::tempdir().unwrap();
    let password = directory.path().join("password");
    fs::write(&password, "PASSWORD").unwrap();
    let password = password.to_str().unwrap();
    let begun = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let admin = ["--admin", "0", "--admin-user", "admin", "--admin-password-file", password];
    let serve = Serve::listening(&format!("{taken},127.0.0.1:0"), 1, &admin);
    let url = serve.url("live?pass=SECRET/x?token=SECRET");
    let publishing = start(&mut publisher(&clip(), &url, &[])).unwrap();
    serve.wait_until_it_says("live/x goes to");
    let player = RawClient::player(serve.port(), "x?token=SECRET");
    let (status, ..) = publish(&clip(), &url, &["--fast"]);
    assert_eq!(status, Some(1));
    let viewer = sending(serve.port(), "GET /live/x.flv?token=SECRET HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let _broken = sending(serve.port(), "\0SECRET");
    serve.wait_until_it_says("is not an RTMP version");
    wait_until("both play", LIMIT, || serve.said().matches("plays live/x").count() == 2).unwrap();
    drop(viewer);
    serve.wait_until_it_says("played live/x");
    let administration = serve.events()[0]["admin"].as_str().unwrap().to_owned();
    let (_, admin) = administration.strip_suffix("/admin/").unwrap().rsplit_once(':').unwrap();
    let call = "POST /admin/x/restartListeners?auser=admin&apswd=PASSWORD HTTP/1.0\r\n\r\n";
    let _call = sending(admin.parse().unwrap(), call);
    serve.wait_until_it_says("an administrator opened the listeners again");
    publishing.finish_within(LIMIT).unwrap().successful().unwrap();
    serve.recording("live-x.flv");
    // The player stays until it leaves.
    serve.signal("USR1");
    serve.wait_until_it_says("asked 0 of 1 clients to connect again");
    drop(player);
    wait_until("the player has left", LIMIT, || serve.said().matches("played live/x").count() == 2).unwrap();
    let (said, port) = (serve.said(), serve.port());
    let file = serve.directory().join("live-x.flv").display().to_string();
    let events = serve.finish();
    let output = json!(events).to_string();
    for secret in ["SECRET", "PASSWORD", "token", "pass="] {
        assert!(!output.contains(secret) && !said.contains(secret), "{secret}: {output} {said}");
    }
    assert_eq!(events[0]["event"], "listening");
    let times: Vec<_> = events.iter().map(|event| event["time"].as_u64().unwrap()).collect();
    assert!(times.is_sorted() && u128::from(times[0]) >= begun.as_millis(), "{times:?}");

    let listening = first(&events, "listening");
    assert_eq!(listening["addresses"], json!([format!("127.0.0.1:{port}")]));
    assert_eq!(listening["failed"][0]["address"], taken);
    assert!(listening["failed"][0]["error"].is_string());
    assert_eq!(listening["web"], json!([format!("http://127.0.0.1:{port}/")]));
    let published = first(&events, "published");
    let peer = &published["peer"];
    assert!(peer.as_str().unwrap().starts_with("127.0.0.1:"));
    assert_eq!((&published["stream"], &published["file"]), (&json!("live/x"), &json!(file)));
    let unpublished = first(&events, "unpublished");
    assert_eq!((&unpublished["peer"], &unpublished["stream"]), (peer, &json!("live/x")));
    assert_eq!((&unpublished["end"], &unpublished["too_long"]), (&json!("unpublished"), &json!(0)));
    let recorded = first(&events, "recorded");
    assert_eq!((&recorded["peer"], &recorded["stream"], &recorded["file"]), (peer, &json!("live/x"), &json!(file)));
    assert_eq!(recorded["recorded"]["video"], 102);
    let playing = first(&events, "playing");
    assert_eq!(playing["stream"], "live/x");
    let played = first(&events, "played");
    assert_eq!(played["stream"], "live/x");
    assert!(played["sent"].as_u64().unwrap() > 0 && played["skipped"] == 0, "{played}");
    let refused = first(&events, "refused");
    assert_eq!(refused["text"], "turned away: live/x is being published");
    let error = first(&events, "error");
    assert_eq!(error["text"], "handshake: the peer's first byte, 0x00, is not an RTMP version");
    assert!(error["peer"].is_string());
    assert_eq!(first(&events, "administered")["text"], "opened the listeners again");
    let asked = first(&events, "asked_to_reconnect");
    assert_eq!((&asked["asked"], &asked["clients"]), (&json!(0), &json!(1)));
    assert_eq!(first(&events, "stopped")["error"], Value::Null);
}

#[test]
fn item_362_a_reader_that_leaves_does_not_end_the_server() {
    let mut command = serve();
    command.arg("--json").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let (mut output, mut line) = (BufReader::new(child.stdout.take().unwrap()), String::new());
    output.read_line(&mut line).unwrap();
    let port = port_of(&serde_json::from_str(&line).unwrap());
    drop(output);
    for key in ["live/x", "live/y"] {
        publish_well(&clip(), &support::url(port, key), &["--fast"]);
    }
    assert!(Command::new("sh").args(["-c", &format!("kill -INT {}", child.id())]).status().unwrap().success());
    let finished = child.wait_with_output().unwrap();
    let errors = String::from_utf8(finished.stderr).unwrap();
    assert!(finished.status.success(), "{errors}");
    assert_eq!(errors.matches("events are not printed any longer: standard output: ").count(), 1, "{errors}");
}

#[test]
fn a_reader_of_the_log_that_leaves_does_not_end_the_server() {
    let mut command = serve();
    command.arg("--json").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(child.stderr.take());
    let (mut output, mut line) = (BufReader::new(child.stdout.take().unwrap()), String::new());
    output.read_line(&mut line).unwrap();
    let port = port_of(&serde_json::from_str(&line).unwrap());
    publish_well(&clip(), &support::url(port, "live/x"), &["--fast"]);
    assert!(Command::new("sh").args(["-c", &format!("kill -INT {}", child.id())]).status().unwrap().success());
    output.read_to_string(&mut line).unwrap();
    assert!(child.wait().unwrap().success(), "{line}");
    assert!(line.contains("\"published\"") && line.contains("\"stopped\""), "{line}");
}

#[test]
#[ignore = "needs ffmpeg: host-tests/run runs it"]
fn item_362_the_events_follow_ffmpeg() {
    let serve = Serve::start(&[]);
    let directory = tempfile::tempdir().unwrap();
    let (url, file) = (serve.url("live/x?token=SECRET"), directory.path().join("played.flv"));
    let mut command = Program::Ffmpeg.ffmpeg();
    command.args(["-i", &url, "-c", "copy"]).arg(&file);
    let playing = start(&mut command).unwrap();
    let has = |kind: &str| serve.events().iter().any(|event| event["event"] == kind);
    wait_until("ffmpeg plays", LIMIT, || has("playing")).unwrap();
    let mut command = Program::Ffmpeg.ffmpeg();
    command.args(["-re", "-i"]).arg(clip()).args(["-c", "copy", "-f", "flv", &url]);
    finish_within(LIMIT, &mut command).unwrap().successful().unwrap();
    playing.finish_within(LIMIT).unwrap().successful().unwrap();
    wait_until("the player has left", LIMIT, || has("played")).unwrap();
    let events = serve.finish();
    let output = json!(events).to_string();
    assert!(!output.contains("SECRET"), "{output}");
    let kinds: Vec<_> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(kinds[..3], ["listening", "playing", "published"], "{output}");
    assert_eq!(first(&events, "recorded")["recorded"]["video"], 102);
    assert!(first(&events, "played")["sent"].as_u64() > Some(200), "{output}");
}
