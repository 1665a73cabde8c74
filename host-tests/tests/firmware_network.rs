//! The firmware publishes to nginx over faulty networks. A TAP device is the board's Ethernet. nft and tc cause faults
//! between it and the server.

use std::time::Duration;

use host_tests::firmware::{Firmware, SERVER, Site, are_parts_of_the_clip, counted};

/// Long enough for a build of the firmware on a machine that is busy with other things, and then for the test.
const LIMIT: Duration = Duration::from_secs(300);

/// A network with nft rules, and nginx with RTMP on these ports.
fn site(rules: &str, ports: &[u16]) -> Site {
    let mut site = Site::new().unwrap();
    site.network.firewall(rules).unwrap();
    site.serve(ports).unwrap();
    site
}

fn url(port: &str) -> String {
    format!("rtmp://{SERVER}{port}/live/x")
}

/// Publishes. Returns the log of a successful end.
fn published(site: &Site, firmware: Firmware, loops: usize) -> String {
    let (status, log) = firmware.finish_within(LIMIT).unwrap();
    assert_eq!(status, Some(0), "{log}");
    let recordings = site.recordings().unwrap();
    are_parts_of_the_clip(&recordings, loops, &log).unwrap_or_else(|error| panic!("{error:?}: {log}"));
    log
}

/// Whether the log contains the events in this order.
fn tells(log: &str, events: &[&str]) -> bool {
    let mut rest = Some(log);
    for event in events {
        rest = rest.and_then(|rest| rest.split_once(event)).map(|(_, behind)| behind);
    }
    rest.is_some()
}

#[test]
#[ignore = "needs qemu-system-arm, network namespaces and nginx with its RTMP module: host-tests/run runs it"]
fn item_093_a_dropped_1935_falls_back_to_80() {
    let site = site("tcp dport 1935 drop", &[1935, 80]);
    let log = published(&site, site.start(&["publish", "--fast", &url("")]).unwrap(), 1);
    let story =
        ["dial port 1935\n", "no answer in time", "dial port 80\n", "window", "connected", "publishing", "published"];
    assert!(tells(&log, &story), "{log}");
    assert_eq!(counted(&log).unwrap(), [[174, 0], [100, 0]]);
}

#[test]
#[ignore = "needs qemu-system-arm, network namespaces and nginx with its RTMP module: host-tests/run runs it"]
fn item_093_a_refused_1935_falls_back_to_80() {
    let site = site("", &[80]);
    let log = published(&site, site.start(&["publish", "--fast", &url("")]).unwrap(), 1);
    assert!(tells(&log, &["dial port 1935\n", "failed: Refused", "dial port 80\n", "publishing"]), "{log}");
}

#[test]
#[ignore = "needs qemu-system-arm, network namespaces and nginx with its RTMP module: host-tests/run runs it"]
fn item_092_a_port_in_the_url_is_the_only_one() {
    let site = site("tcp dport 1935 drop", &[1935, 80]);
    let (status, log) = site.start(&["publish", &url(":1935")]).unwrap().finish_within(LIMIT).unwrap();
    assert_eq!(status, Some(1), "{log}");
    assert!(tells(&log, &["dial port 1935\n", "no answer in time", "Exhausted"]) && !log.contains("port 80"), "{log}");
}

#[test]
#[ignore = "needs qemu-system-arm, network namespaces and nginx with its RTMP module: host-tests/run runs it"]
fn item_093_the_port_test_distinguishes_dropped_refused_and_silent() {
    let site = site("tcp dport 1935 drop\ntcp dport 443 meta length > 200 drop", &[80, 443]);
    let (status, log) = site.start(&["ports", &url("")]).unwrap().finish_within(LIMIT).unwrap();
    let verdicts = [
        "RTMP 1935: dropped, no answer in time: the end after ",
        "RTMP 80: connected: TCP after ",
        "RTMP 443: connected, but no RTMP handshake in time: TCP after ",
    ];
    assert!(status == Some(0) && tells(&log, &verdicts), "{log}");
    assert!(site.recordings().is_err(), "something was published");

    let (status, log) = site.start(&["ports", &url(":7070")]).unwrap().finish_within(LIMIT).unwrap();
    assert!(status == Some(1) && tells(&log, &["RTMP 7070: refused: the end after "]), "{log}");
    assert!(!log.contains("RTMP 80"), "{log}");
}

#[test]
#[ignore = "needs qemu-system-arm, network namespaces and nginx with its RTMP module: host-tests/run runs it"]
fn one_packet_in_twenty_is_lost_and_the_clip_arrives_whole() {
    let site = site("tcp dport 1935 numgen random mod 100 < 5 drop", &[1935]);
    let way_back = "table inet way_back {\nchain output {\ntype filter hook output priority 0\n\
                    tcp sport 1935 numgen random mod 100 < 5 drop\n}\n}\n";
    site.network.server.shell("nft -f -", way_back).unwrap();
    let log = published(&site, site.start(&["publish", "--fast", &url(":1935")]).unwrap(), 1);
    assert_eq!(counted(&log).unwrap(), [[174, 0], [100, 0]]);
}

#[test]
#[ignore = "needs qemu-system-arm, network namespaces and nginx with its RTMP module: host-tests/run runs it"]
fn a_path_of_one_megabit_carries_the_clip_in_real_time() {
    let site = site("", &[1935]);
    site.limit("1mbit").unwrap();
    let log = published(&site, site.start(&["publish", &url(":1935")]).unwrap(), 1);
    let [[audio, _], [video, _]] = counted(&log).unwrap();
    assert!(audio + video > 200, "{log}");
}

#[test]
#[ignore = "needs qemu-system-arm, network namespaces and nginx with its RTMP module: host-tests/run runs it"]
fn on_a_path_that_is_too_slow_video_is_dropped_before_audio() {
    let site = site("", &[1935]);
    // The clip has 250 kbit/s, of which audio has 50.
    site.limit("150kbit").unwrap();
    let log = published(&site, site.start(&["publish", &url(":1935"), "--loops", "4"]).unwrap(), 4);
    let [[sound, lost_sound], [pictures, lost_pictures]] = counted(&log).unwrap();
    // Audio is dropped when TCP has lost packets and its retransmission time-out grows.
    assert!(pictures > 100 && lost_pictures > 100 && lost_sound < sound / 4, "{log}");
}

#[test]
#[ignore = "needs qemu-system-arm, network namespaces and nginx with its RTMP module: host-tests/run runs it"]
fn a_silent_peer_is_disconnected_and_connected_again() {
    let site = site("", &[1935]);
    let mut firmware = site.start(&["publish", &url(":1935"), "--loops", "10"]).unwrap();
    firmware.wait_for("publishing", LIMIT).unwrap();
    std::thread::sleep(Duration::from_secs(2));
    site.network.server.shell("nft add rule inet firewall input tcp dport 1935 drop", "").unwrap();
    firmware.wait_for("off the air: Stalled", LIMIT).unwrap();
    site.network.server.shell("nft flush chain inet firewall input; ss -K sport = :1935 >/dev/null", "").unwrap();
    let log = published(&site, firmware, 10);
    assert!(log.contains("2 connections"), "{log}");
}

#[test]
#[ignore = "needs qemu-system-arm, network namespaces and nginx with its RTMP module: host-tests/run runs it"]
fn item_198_a_frozen_nginx_is_given_up_and_gets_the_stream_again_when_it_is_back() {
    let site = site("", &[1935]);
    let mut firmware = site.start(&["publish", &url(":1935"), "--loops", "10"]).unwrap();
    firmware.wait_for("publishing", LIMIT).unwrap();
    std::thread::sleep(Duration::from_secs(2));
    site.signal_nginx("STOP").unwrap();
    let gave_up = firmware.wait_for("off the air: Stalled", LIMIT);
    // The firmware must end before the test fails.
    site.signal_nginx("CONT").unwrap();
    gave_up.unwrap();
    let log = published(&site, firmware, 10);
    assert!(log.contains("2 connections"), "{log}");
}

#[test]
#[ignore = "needs qemu-system-arm, network namespaces, udhcpd and nginx with its RTMP module: host-tests/run runs it"]
fn the_image_reconnects_after_dhcp_withdraws_its_address() {
    let mut site = site("", &[1935]);
    let mut firmware = site.start(&["publish", &url(":1935"), "--loops", "12"]).unwrap();
    firmware.wait_for("publishing", LIMIT).unwrap();
    site.stop_dhcp();
    firmware.wait_for("off the air", LIMIT).unwrap();
    site.network.server.shell("ss -K sport = :1935 >/dev/null", "").unwrap();
    site.start_dhcp().unwrap();
    let log = published(&site, firmware, 12);
    assert!(log.contains("2 connections"), "{log}");
}
