//! Servers that say no, in their own ways.

mod support;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::thread;

use host_tests::peers::{Application, Nginx, NginxOptions, Program, finish_within, wait_until};
use support::{LIMIT, clip, publish, publish_well};

/// A web server that answers all requests with `status`, and notes them.
fn web_server(status: &'static str) -> (u16, Arc<Mutex<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (port, asked) = (listener.local_addr().unwrap().port(), Arc::<Mutex<String>>::default());
    let notes = Arc::clone(&asked);
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut request = [0; 4096];
            let length = stream.read(&mut request).unwrap_or(0);
            notes.lock().unwrap().push_str(&String::from_utf8_lossy(&request[..length]));
            let _ = write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
    });
    (port, asked)
}

#[test]
#[ignore = "needs nginx with its RTMP module: host-tests/run runs it"]
fn an_nginx_that_denies_is_believed() {
    let nginx = Nginx::start(NginxOptions::default()).unwrap();
    let denied = nginx.url(Application::Deny, "x");
    for url in [denied.clone(), denied.replace("/deny/", "/unknown/")] {
        let (status, _, stderr) = publish(&clip(), &url, &[]);
        assert_eq!(status, Some(1), "{url}: {stderr}");
        assert!(stderr.contains("publish: "), "{stderr}");
    }
}

#[test]
#[ignore = "needs nginx with its RTMP module: host-tests/run runs it"]
fn an_nginx_whose_callback_says_403_is_believed() {
    let (port, asked) = web_server("403 Forbidden");
    let nginx = Nginx::start(NginxOptions { callback: port, ..NginxOptions::default() }).unwrap();
    let (status, _, stderr) = publish(&clip(), &nginx.url(Application::Ask, "x?token=1"), &[]);
    assert_eq!(status, Some(1), "{stderr}");
    let asked = asked.lock().unwrap();
    assert!(asked.contains("/publish") && asked.contains("name=x") && asked.contains("token=1"), "{asked}");
}

#[test]
#[ignore = "needs nginx with its RTMP module: host-tests/run runs it"]
fn an_nginx_whose_callback_says_200_is_published_to() {
    let (port, asked) = web_server("200 OK");
    let nginx = Nginx::start(NginxOptions { callback: port, ..NginxOptions::default() }).unwrap();
    publish_well(&clip(), &nginx.url(Application::Ask, "x"), &["--fast"]);
    assert!(asked.lock().unwrap().contains("name=x"));
}

#[test]
#[ignore = "needs ffmpeg and rtmpdump: host-tests/run runs it"]
fn programs_hear_that_a_stream_is_taken() {
    let serve = support::Serve::start(&[]);
    let url = serve.url("live/x");
    let first = host_tests::peers::start(&mut Program::Ffmpeg.publisher(&clip(), &url, true)).unwrap();
    serve.wait_until_it_says("live/x goes to");
    for program in [Program::Ffmpeg, Program::Ffmpeg9, Program::Rtmp2] {
        let finished = finish_within(LIMIT, &mut program.publisher(&clip(), &url, true)).unwrap();
        assert!(!finished.status.success(), "{}", program.name());
    }
    first.finish_within(LIMIT).unwrap().successful().unwrap();
    wait_until("all were told", LIMIT, || serve.said().matches("is being published").count() == 3).unwrap();
}
