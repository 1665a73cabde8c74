//! Name resolution, with a name server on the other device.

use std::time::Duration;

use embassy_futures::select::{Either, select};
use embassy_net::Stack;
use embassy_net::udp::{PacketMetadata, UdpSocket};
use embedded_rtmp_embassy::embedded_rtmp::port_plan::{Failure, Limits, Outcome, Plan};
use embedded_rtmp_embassy::embedded_rtmp::url::Url;
use embedded_rtmp_embassy::{ClientOptions, Error, Phase, Publisher, ResolveError, Stopped};

use super::live::{Bench, config_to, until};
use super::pair::{LIMITS, Recorded, TestMemory, targets, while_serving, with_devices};
use crate::wire::Wire;

/// The type of a query for IPv6 addresses.
const AAAA: u8 = 28;

/// Answers each query with the hosts that `hosts` returns for it: the last bytes of their addresses. Without any, the answer
/// is "no such name". With `None` there is no answer. The name begins at byte 13 of a query.
pub(crate) async fn answer_queries(stack: Stack<'_>, hosts: impl Fn(&[u8]) -> Option<Vec<u8>>) {
    let (mut rx, mut tx) = ([0; 512], [0; 512]);
    let (mut rx_meta, mut tx_meta) = ([PacketMetadata::EMPTY; 4], [PacketMetadata::EMPTY; 4]);
    let mut socket = UdpSocket::new(stack, &mut rx_meta, &mut rx, &mut tx_meta, &mut tx);
    socket.bind(53).unwrap();
    loop {
        let mut query = [0; 512];
        let (length, from) = socket.recv_from(&mut query).await.unwrap();
        let Some(hosts) = hosts(&query[..length]) else { continue };
        let mut answer = query[..length].to_vec();
        answer[2] = 0x81; // a response
        (answer[3], answer[7]) = (if hosts.is_empty() { 0x83 } else { 0x80 }, hosts.len() as u8);
        for host in hosts {
            answer.extend_from_slice(&[0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 0, 0, host]);
        }
        // The network may be down.
        let _ = socket.send_to(&answer, from).await;
    }
}

/// Answers queries for names that begin with `server` with 10.0.0.2, for names that begin with `several` with 10.0.0.9
/// (which no device has) and 10.0.0.2, and all others with "no such name". It does not answer queries for the IPv6
/// addresses of `serversilent`.
async fn name_server(stack: Stack<'_>) {
    answer_queries(stack, |query| match &query[13..] {
        name if name.starts_with(b"serversilent") && query[query.len() - 3] == AAAA => None,
        name if name.starts_with(b"server") => Some(vec![2]),
        name if name.starts_with(b"several") => Some(vec![9, 2]),
        _ => Some(vec![]),
    })
    .await;
}

/// Publishes to `host`, on port 1935.
fn publish_to(url: &str) -> (Result<(), Error>, Outcome) {
    let targets = targets([1935]);
    // At least a second for each attempt: smoltcp pauses a socket for that time if no neighbour answers.
    let limits = Limits { tcp: Duration::from_secs(6), ..LIMITS };
    let mut plan = Plan::new(&targets, limits).unwrap();
    let result = with_devices(&Wire::new(), async |first, second| {
        let (mut memory, options) = (TestMemory::new(), ClientOptions::default());
        let client = async {
            let url = Url::parse(url).unwrap();
            let connecting = Publisher::<8>::connect(first, &url, &mut plan, &options, &mut memory, || [2; 32]);
            connecting.await?.close().await
        };
        let recorded = Recorded::default();
        let served = while_serving(second, &[1935], &recorded, client);
        match select(served, name_server(second)).await {
            Either::First(result) => result,
            Either::Second(()) => unreachable!("the name server runs for ever"),
        }
    });
    (result, plan.reports().next().unwrap().outcome)
}

#[test]
fn a_name_is_looked_up() {
    assert_eq!(publish_to("rtmp://server.test/live/test"), (Ok(()), Outcome::Connected));
}

#[test]
fn every_address_of_a_name_is_tried() {
    assert_eq!(publish_to("rtmp://several.test/live/test"), (Ok(()), Outcome::Connected));
}

#[test]
fn an_address_needs_no_name_server() {
    assert_eq!(publish_to("rtmp://10.0.0.2/live/test"), (Ok(()), Outcome::Connected));
}

#[test]
fn a_name_is_resolved_even_if_the_query_for_the_other_address_family_is_not_answered() {
    assert_eq!(publish_to("rtmp://serversilent.test/live/test"), (Ok(()), Outcome::Connected));
}

#[test]
fn a_runner_keeps_the_addresses_that_it_has_found() {
    let mut bench = Bench::new(Wire::new());
    let (_recorded, stack) = (bench.serve(), bench.second);
    bench.spawn(async move { name_server(stack).await });
    let mut live = bench.live(config_to("rtmp://serversilent.test:1935/live/test"));
    bench.run(async move {
        until(&mut live, Phase::Live).await;
        assert_eq!(live.stop().await, Stopped::InOrder);
    });
}

#[test]
fn an_unknown_name_is_the_reason_of_every_port() {
    let failed = Outcome::Failed(Failure::Dns);
    assert_eq!(publish_to("rtmp://nobody.test/live/test"), (Err(Error::Resolve(ResolveError::NoAnswer)), failed));
    let long = format!("rtmp://{}.test/live/test", "n".repeat(64));
    assert_eq!(publish_to(&long), (Err(Error::Resolve(ResolveError::BadName)), failed));
}

#[test]
fn an_ipv6_address_needs_the_feature_and_a_route() {
    let expected = if cfg!(feature = "ipv6") {
        (Err(Error::Exhausted), Outcome::Failed(Failure::Unreachable))
    } else {
        (Err(Error::Resolve(ResolveError::Family)), Outcome::Failed(Failure::Dns))
    };
    assert_eq!(publish_to("rtmp://[2001:db8::1]/live/test"), expected);
}
