//! Port plans with several sockets, behind firewalls.

use std::cell::Cell;
use std::time::Duration;

use embassy_futures::join::join;
use embassy_futures::select::{Either, select};
use embassy_net::Stack;
use embassy_net::tcp::TcpSocket;
use embedded_rtmp_embassy::embedded_rtmp::port_plan::{Failure, Limits, Outcome, Plan, Target};
use embedded_rtmp_embassy::embedded_rtmp::session::ClientConfig;
use embedded_rtmp_embassy::embedded_rtmp::url::Url;
use embedded_rtmp_embassy::{ClientOptions, Error, Publisher};

use super::pair::{LIMITS, Recorded, TestMemory, URL, targets, while_serving, with_devices};
use crate::wire::{Rule, Wire};

/// Options with a short time limit for a silent server.
fn options() -> ClientOptions<'static> {
    let mut session = ClientConfig::new();
    session.response_timeout = Some(Duration::from_secs(1));
    ClientOptions { session, ..ClientOptions::default() }
}

fn limits(at_once: u8) -> Limits {
    Limits { stagger: Some(Duration::from_millis(20)), max_at_once: at_once, ..LIMITS }
}

/// Publishes with N sockets, while `serve` runs on the other device.
fn race<const N: usize>(
    wire: Wire,
    targets: &[Target],
    serve: impl AsyncFnOnce(Stack<'_>),
) -> (Result<(), Error>, Vec<Outcome>) {
    let mut plan = Plan::new(targets, limits(N as u8)).unwrap();
    let result = with_devices(&wire, async |first, second| {
        let mut memory: Box<[TestMemory; N]> = Box::new([const { TestMemory::new() }; N]);
        let client = async {
            let (url, options) = (Url::parse(URL).unwrap(), options());
            let racing = Publisher::<8>::race(first, &url, &mut plan, &options, &mut memory, || [7; 32]);
            racing.await?.close().await
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

fn behind(rules: &[(u16, Rule)]) -> Wire {
    Wire { rules: rules.to_vec(), delay: embassy_time::Duration::from_millis(5), ..Wire::new() }
}

#[test]
fn item_093_a_dropped_port_does_not_hold_up_the_next() {
    let (result, outcomes) = race::<2>(behind(&[(1935, Rule::Drop)]), &targets([1935, 80, 443]), rtmp(&[1935, 80]));
    assert_eq!(result, Ok(()));
    assert_eq!(outcomes[..2], [Outcome::Lost, Outcome::Connected]);
}

#[test]
fn item_093_one_socket_tries_one_port_after_the_other() {
    let (result, outcomes) = race::<1>(behind(&[(1935, Rule::Drop)]), &targets([1935, 443, 80]), rtmp(&[1935, 80]));
    assert_eq!(result, Ok(()));
    let failed = |why| Outcome::Failed(why);
    assert_eq!(outcomes, [failed(Failure::TimedOut), failed(Failure::Refused), Outcome::Connected]);
}

#[test]
fn item_093_every_port_has_a_reason_if_all_fail() {
    let wire = behind(&[(1935, Rule::Drop), (80, Rule::Silence), (443, Rule::Drop)]);
    let wanted = [Target::rtmp(1935), Target::rtmp(80), Target::rtmp(8080), Target::rtmp(443), Target::rtmpt(80)];
    let (result, outcomes) = race::<2>(wire, &wanted, rtmp(&[1935, 80]));
    assert_eq!(result, Err(Error::Exhausted));
    let tunnel = if cfg!(feature = "rtmpt") { Failure::HandshakeTimedOut } else { Failure::Unsupported };
    let reasons = [Failure::TimedOut, Failure::HandshakeTimedOut, Failure::Refused, Failure::TimedOut, tunnel];
    assert_eq!(outcomes, reasons.map(Outcome::Failed));
}

#[test]
fn item_093_losers_are_reset_and_get_nothing_but_the_handshake() {
    let (heard, ended) = (Cell::new(0), Cell::new(false));
    let silent = async |stack: Stack<'_>| {
        let (mut rx, mut tx) = ([0; 4096], [0; 2048]);
        let mut socket = TcpSocket::new(stack, &mut rx, &mut tx);
        socket.accept(1935).await.unwrap();
        let mut bytes = [0; 100];
        while let Ok(length @ 1..) = socket.read(&mut bytes).await {
            heard.set(heard.get() + length);
        }
        ended.set(true);
        std::future::pending::<()>().await
    };
    let (result, outcomes) = race::<3>(behind(&[]), &targets([1935, 80, 443]), async |stack| {
        join(silent(stack), rtmp(&[443])(stack)).await;
    });
    assert_eq!(result, Ok(()));
    assert_eq!(outcomes, [Outcome::Lost, Outcome::Failed(Failure::Refused), Outcome::Connected]);
    assert_eq!((heard.get(), ended.get()), (1 + 1536, true));
}

#[test]
fn item_093_one_of_two_open_ports_is_published_on() {
    let recorded = Recorded::default();
    let (result, outcomes) = race::<2>(behind(&[]), &targets([80, 1935]), async |stack| {
        while_serving(stack, &[1935, 80], &recorded, std::future::pending()).await
    });
    assert_eq!(result, Ok(()));
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Outcome::Connected).count(), 1);
    assert_eq!(recorded.files.borrow().len(), 1);
}

#[test]
fn a_connection_that_is_cut_off_after_the_handshake_leads_to_the_next_port() {
    let cut_off = Outcome::Failed(Failure::CutOff);
    let (result, outcomes) = race::<1>(behind(&[(1935, Rule::CutOff)]), &targets([1935, 80]), rtmp(&[1935, 80]));
    assert_eq!((result, &*outcomes), (Ok(()), &[cut_off, Outcome::Connected][..]));
    let (result, outcomes) = race::<2>(behind(&[(1935, Rule::CutOff)]), &targets([1935, 80]), rtmp(&[1935, 80]));
    // The other attempt may have been first.
    assert!(matches!(outcomes[..], [first, Outcome::Connected] if first == cut_off || first == Outcome::Lost));
    assert_eq!(result, Ok(()));
}
