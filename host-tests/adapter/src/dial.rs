//! Connecting with the port plan.

use std::time::Duration;

use embassy_futures::select::{Either, select};
use embassy_net::Stack;
use embassy_net::tcp::TcpSocket;
use embedded_rtmp_embassy::embedded_rtmp::port_plan::{Failure, Outcome, Plan, PlanError};
use embedded_rtmp_embassy::embedded_rtmp::session::ClientConfig;
use embedded_rtmp_embassy::embedded_rtmp::url::Url;
use embedded_rtmp_embassy::{ClientOptions, Error, Publisher};

use super::pair::{LIMITS, Recorded, TestMemory, URL, connect, targets, while_serving, with_devices};
use crate::wire::{Rule, Wire};

/// Dials `ports` on a wire that drops segments to the ports `dropped`, while `serve` runs on the other device.
fn dial<const N: usize>(
    dropped: &[u16],
    ports: [u16; N],
    serve: impl AsyncFnOnce(Stack<'_>),
) -> (Result<(), Error>, Vec<Outcome>) {
    let wire = Wire { dropped_ports: dropped.to_vec(), ..Wire::new() };
    let targets = targets(ports);
    let mut plan = Plan::new(&targets, LIMITS).unwrap();
    let result = with_devices(&wire, async |first, second| {
        let mut memory = TestMemory::new();
        let client = async {
            let mut publisher = connect(first, &mut plan, &mut memory).await?;
            publisher.close().await
        };
        match select(client, serve(second)).await {
            Either::First(result) => result,
            Either::Second(()) => panic!("the other device has stopped"),
        }
    });
    (result, plan.reports().map(|report| report.outcome).collect())
}

/// A server on these ports.
fn rtmp(ports: &'static [u16]) -> impl AsyncFnOnce(Stack<'_>) {
    async move |stack| while_serving(stack, ports, &Recorded::default(), std::future::pending()).await
}

/// On port 80, a service that accepts TCP, reads `first` bytes, answers, and closes or stays open. On port 443, an RTMP
/// server.
fn other(answer: &'static [u8], stays: bool) -> impl AsyncFnOnce(Stack<'_>) {
    async move |stack: Stack<'_>| {
        let (mut rx, mut tx) = ([0; 2048], [0; 2048]);
        let proxy = async {
            let mut socket = TcpSocket::new(stack, &mut rx, &mut tx);
            socket.accept(80).await.unwrap();
            socket.read(&mut [0; 100]).await.unwrap();
            socket.write(answer).await.unwrap();
            if !stays {
                socket.close();
            }
            while socket.read(&mut [0; 100]).await.is_ok_and(|length| length > 0) {}
            std::future::pending::<()>().await
        };
        select(proxy, rtmp(&[443])(stack)).await;
    }
}

#[test]
fn item_093_a_dropped_port_leads_to_the_next() {
    let (result, outcomes) = dial(&[1935], [1935, 80, 443], rtmp(&[1935, 80]));
    assert_eq!(result, Ok(()));
    assert_eq!(outcomes, [Outcome::Failed(Failure::TimedOut), Outcome::Connected, Outcome::NotStarted]);
}

#[test]
fn item_093_a_refused_port_leads_to_the_next() {
    let (result, outcomes) = dial(&[], [1935, 80], rtmp(&[80]));
    assert_eq!(result, Ok(()));
    assert_eq!(outcomes, [Outcome::Failed(Failure::Refused), Outcome::Connected]);
}

#[test]
fn item_093_with_every_port_dropped_each_has_its_reason() {
    let (result, outcomes) = dial(&[1935, 80], [1935, 80, 443], rtmp(&[1935, 80]));
    assert_eq!(result, Err(Error::Exhausted));
    let timed_out = Outcome::Failed(Failure::TimedOut);
    assert_eq!(outcomes, [timed_out, timed_out, Outcome::Failed(Failure::Refused)]);
}

#[test]
fn item_094_a_web_server_is_not_rtmp() {
    let (result, outcomes) = dial(&[], [80, 443], other(b"HTTP/1.1 400 Bad Request\r\n\r\n", true));
    assert_eq!(result, Ok(()));
    assert_eq!(outcomes, [Outcome::Failed(Failure::NotRtmp), Outcome::Connected]);
}

#[test]
fn item_093_a_port_that_closes_or_is_silent_leads_to_the_next() {
    let (result, outcomes) = dial(&[], [80, 443], other(b"\x03", false));
    assert_eq!((result, outcomes[0]), (Ok(()), Outcome::Failed(Failure::Closed)));
    let (result, outcomes) = dial(&[], [80, 443], other(b"\x03", true));
    assert_eq!((result, outcomes[0]), (Ok(()), Outcome::Failed(Failure::HandshakeTimedOut)));
}

#[test]
fn a_connection_that_is_cut_off_after_the_handshake_leads_to_the_next_port() {
    let wire = Wire { rules: vec![(1935, Rule::CutOff)], ..Wire::new() };
    let targets = targets([1935, 80]);
    let mut plan = Plan::new(&targets, LIMITS).unwrap();
    let mut session = ClientConfig::new();
    session.response_timeout = Some(Duration::from_secs(1));
    let options = ClientOptions { session, ..ClientOptions::default() };
    let result = with_devices(&wire, async |first, second| {
        let (mut memory, url) = (TestMemory::new(), Url::parse(URL).unwrap());
        let client = async {
            let connecting = Publisher::<8>::connect(first, &url, &mut plan, &options, &mut memory, || [7; 32]);
            connecting.await?.close().await
        };
        while_serving(second, &[1935, 80], &Recorded::default(), client).await
    });
    assert_eq!(result, Ok(()));
    let outcomes: Vec<_> = plan.reports().map(|report| report.outcome).collect();
    assert_eq!(outcomes, [Outcome::Failed(Failure::CutOff), Outcome::Connected]);
}

#[test]
fn item_221_an_rtmps_url_is_not_dialled_without_tls() {
    for url in ["rtmps://10.0.0.2/live/test", "rtmpts://10.0.0.2:1935/live/test"] {
        let targets = targets([1935]);
        let mut plan = Plan::new(&targets, LIMITS).unwrap();
        let result = with_devices(&Wire::new(), async |stack, _| {
            let (mut memory, url, options) = (TestMemory::new(), Url::parse(url).unwrap(), ClientOptions::default());
            Publisher::<8>::connect(stack, &url, &mut plan, &options, &mut memory, || [7; 32]).await.map(drop)
        });
        assert_eq!(result, Err(Error::Plan(PlanError::Scheme)));
        assert_eq!(plan.reports().next().unwrap().outcome, Outcome::NotStarted);
    }
}
