//! A server that lets nobody publish or play, or plays what stands in a script.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use embedded_rtmp::command::code;
use embedded_rtmp::session::{Server, ServerConfig, ServerEvent, SessionBuffers};
use embedded_rtmp::time::Instant;

/// The answer of the server to every client.
#[derive(Debug, Clone)]
pub enum Refusal {
    /// There is no such application.
    Application,
    /// The stream may be neither published nor played.
    Stream,
    /// The client must connect to another server. This is the URL of an application there.
    Elsewhere(String),
    /// The client must authenticate itself in the same way as with Limelight's servers, until the application contains
    /// an answer to the challenge.
    Limelight,
    /// The client must not announce Enhanced RTMP. It is refused, or its connection is closed.
    Announcement { closes: bool },
    /// A player gets these chunks, and then nothing.
    Play(&'static [u8]),
}

/// The server.
pub struct Refusing {
    pub port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Refusing {
    pub fn start(refusal: Refusal) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (port, asked) = (listener.local_addr().unwrap().port(), Arc::<Mutex<Vec<String>>>::default());
        let notes = Arc::clone(&asked);
        thread::spawn(move || {
            for socket in listener.incoming().map_while(Result::ok) {
                let (refusal, notes) = (refusal.clone(), Arc::clone(&notes));
                thread::spawn(move || refuse(socket, &refusal, &mut |what| notes.lock().unwrap().push(what)));
            }
        });
        Self { port, asked }
    }

    /// What it was asked, and whether anyone sent media all the same.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// How long a client may be silent: GStreamer's librtmp knows no refusal of a publisher, and waits until it is hung up on.
const PATIENCE: Duration = Duration::from_secs(2);

/// Returns the refusal of Limelight's servers for a client without an answer.
fn limelight(app: &str) -> &'static str {
    if app.contains("authmod=llnw&user=cam") {
        "[ AccessManager.Reject ] : [ authmod=llnw ] : ?reason=needauth&user=cam&nonce=N1=&x=y"
    } else {
        "[ AccessManager.Reject ] : [ code=403 need auth; authmod=llnw ] : "
    }
}

/// Answers one client, until either closes.
fn refuse(mut socket: TcpStream, refusal: &Refusal, note: &mut dyn FnMut(String)) {
    let (mut scratch, mut control) = ([0; 1_536], [0; 512]);
    let buffers = SessionBuffers { scratch: &mut scratch, control: &mut control };
    let mut server = Server::<8>::new(buffers, ServerConfig::new(), &[1; 32]).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let (now, mut received, mut out) = (Instant::from_millis(1), [0; 4_096], [0; 4_096]);
    while !server.is_closed() {
        let Ok(length @ 1..) = socket.read(&mut received) else { return };
        let mut input = &received[..length];
        loop {
            let (mut connects, mut wants, mut none) = (None, None, false);
            match server.next_event(now, &mut input).unwrap() {
                Some(ServerEvent::Connect(request)) => {
                    // Every publisher announces requests to reconnect.
                    let is_enhanced = request.property("fourCcList").is_some();
                    let announcement = if is_enhanced { ", and announces Enhanced RTMP" } else { "" };
                    note(format!("connect {}{announcement}", request.app));
                    connects = Some((request.app.to_string(), is_enhanced));
                }
                Some(ServerEvent::Publish { stream, request }) => {
                    note(format!("publish {}", request.key));
                    wants = Some((stream, code::PUBLISH_DENIED));
                }
                Some(ServerEvent::Play { stream, request }) => {
                    note(format!("play {}", request.name));
                    wants = Some((stream, code::PLAY_FAILED));
                }
                Some(ServerEvent::Media(_)) => note("media".into()),
                Some(_) => {}
                None => none = true,
            }
            match (connects, refusal) {
                (None, _) => {}
                (Some(_), Refusal::Application) => server.reject_connect("There is no such application.").unwrap(),
                (Some(_), Refusal::Elsewhere(url)) => server.redirect_connect(url).unwrap(),
                (Some((_, true)), Refusal::Announcement { closes: true }) => return,
                (Some((_, true)), Refusal::Announcement { closes: false }) => {
                    server.reject_connect("Unsupported parameter.").unwrap();
                }
                (Some((app, _)), Refusal::Limelight) if !app.contains("&response=") => {
                    server.reject_connect(limelight(&app)).unwrap();
                }
                (Some(_), _) => server.accept_connect().unwrap(),
            }
            let mut chunks = &[][..];
            match (wants, refusal) {
                (Some((stream, _)), Refusal::Play(script)) => {
                    server.accept_play(stream, true).unwrap();
                    chunks = script;
                }
                (Some((stream, code)), _) => server.reject(stream, code, "You may not.").unwrap(),
                (None, _) => {}
            }
            let written = server.poll_transmit(now, &mut out);
            if socket.write_all(&out[..written]).and_then(|()| socket.write_all(chunks)).is_err() {
                return;
            }
            if none && written == 0 {
                break;
            }
        }
    }
}
