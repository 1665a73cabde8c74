//! The port test.

use embassy_futures::join::join;
use embassy_futures::select::{Either, select};
use embassy_net::Stack;
use embassy_net::tcp::TcpSocket;
use embedded_rtmp_embassy::embedded_rtmp::port_plan::{Failure, MAX_TARGETS, Outcome, PlanError, Target};
use embedded_rtmp_embassy::{ClientOptions, Error, ResolveError, test_ports};

use super::pair::{LIMITS, Recorded, TestMemory, while_serving, with_devices};
use crate::wire::{Rule, Wire};

/// A web server on port 80.
async fn web_server(stack: Stack<'_>) {
    let (mut rx, mut tx) = ([0; 2048], [0; 2048]);
    loop {
        let mut socket = TcpSocket::new(stack, &mut rx, &mut tx);
        socket.accept(80).await.unwrap();
        let _ = socket.read(&mut [0; 100]).await;
        let _ = socket.write(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        while socket.read(&mut [0; 100]).await.is_ok_and(|length| length > 0) {}
    }
}

#[test]
fn every_port_gets_a_result_and_nothing_is_published() {
    let wire = Wire { rules: vec![(1935, Rule::Drop), (8080, Rule::Silence)], ..Wire::new() };
    let wanted = [1935, 80, 443, 8080, 7070].map(Target::rtmp).into_iter().chain([Target::rtmpt(80)]);
    let (wanted, mut reports, recorded) = (wanted.collect::<Vec<_>>(), Vec::new(), Recorded::default());
    with_devices(&wire, async |first, second| {
        let mut memory = TestMemory::new();
        let test = test_ports(
            first,
            "10.0.0.2",
            &wanted,
            LIMITS,
            &ClientOptions::DEFAULT,
            &mut memory,
            || [7; 32],
            |row| reports.push(row),
        );
        let others = async {
            let forever = std::future::pending::<()>();
            join(web_server(second), while_serving(second, &[1935, 443, 8080], &recorded, forever)).await
        };
        match select(test, others).await {
            Either::First(result) => result.unwrap(),
            Either::Second(_) => unreachable!("the servers run for ever"),
        }
    });
    let outcomes: Vec<_> = reports.iter().map(|report| report.outcome).collect();
    let failed = Outcome::Failed;
    let tunnel = if cfg!(feature = "rtmpt") { Failure::NotRtmp } else { Failure::Unsupported };
    let expected = [
        failed(Failure::TimedOut),
        failed(Failure::NotRtmp),
        Outcome::Connected,
        failed(Failure::HandshakeTimedOut),
        failed(Failure::Refused),
        failed(tunnel),
    ];
    assert_eq!(outcomes, expected);
    assert!(reports.iter().map(|report| report.target).eq(wanted));
    assert!(reports[2].to_tcp.is_some_and(|to_tcp| to_tcp <= reports[2].took));
    assert!(recorded.files.borrow().is_empty());
}

#[test]
fn a_host_without_an_address_is_an_error() {
    with_devices(&Wire::new(), async |first, _| {
        let mut memory = TestMemory::new();
        let host = "n".repeat(64);
        let rows = |report| panic!("{report}");
        let result = test_ports(
            first,
            &host,
            &[Target::rtmp(80)],
            LIMITS,
            &ClientOptions::DEFAULT,
            &mut memory,
            || [7; 32],
            rows,
        )
        .await;
        assert_eq!(result, Err(Error::Resolve(ResolveError::BadName)));
    });
}

#[test]
fn more_ports_than_a_plan_has_room_for_are_tested_and_none_is_an_error() {
    with_devices(&Wire::new(), async |first, _| {
        let (mut memory, options) = (TestMemory::new(), ClientOptions::DEFAULT);
        let targets: Vec<_> = (1..=2 * MAX_TARGETS as u16).map(Target::rtmp).collect();
        for targets in [&targets[..], &[]] {
            let mut refused = 0;
            let test = test_ports(
                first,
                "10.0.0.2",
                targets,
                LIMITS,
                &options,
                &mut memory,
                || [7; 32],
                |report| {
                    refused += usize::from(report.outcome == Outcome::Failed(Failure::Refused));
                },
            );
            let expected = if targets.is_empty() { Err(Error::Plan(PlanError::NoTargets)) } else { Ok(()) };
            assert_eq!(test.await, expected);
            assert_eq!(refused, targets.len());
        }
    });
}
