//! Dissects a conversation with tshark's RTMP dissector.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::tee::{Conversation, Sender};
use super::{finish_within, pcap};

/// The port of the server in the capture.
const SERVER: u16 = 1935;
const CLIENT: u16 = 40_000;

/// Counts of the messages of one side.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Dissection {
    /// The number of messages, by tshark's name for them.
    pub messages: BTreeMap<String, usize>,
    /// The number of malformed or unknown packets.
    pub malformed: Vec<String>,
}

/// Lets tshark dissect a conversation, and counts the messages of one side.
///
/// # Errors
/// tshark is missing or fails.
pub fn dissect(conversation: &Conversation, sender: Sender) -> Result<Dissection> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("conversation.pcap");
    fs::write(&path, pcap::write(conversation, CLIENT, SERVER))?;
    let mut command = Command::new("tshark");
    command.arg("-r").arg(&path).args(["-o", "tcp.desegment_tcp_streams:TRUE"]);
    // By default the dissector takes messages of more than 32,768 bytes for unknown ones.
    command.args(["-o", "rtmpt.max_packet_size:16777216", "-d", &format!("tcp.port=={SERVER},rtmpt"), "-Y", "rtmpt"]);
    command.args(["-T", "fields", "-e", "tcp.srcport", "-e", "_ws.col.Info", "-e", "_ws.malformed"]);
    let finished = finish_within(Duration::from_secs(120), &mut command)?.successful().context("tshark")?;
    let port = match sender {
        Sender::Client => CLIENT,
        Sender::Server => SERVER,
    };
    let mut dissection = Dissection::default();
    for line in String::from_utf8_lossy(&finished.stdout).lines() {
        let mut fields = line.split('\t');
        if fields.next() != Some(&port.to_string()) {
            continue;
        }
        let (info, malformed) = (fields.next().unwrap_or_default(), fields.next().unwrap_or_default());
        if !malformed.is_empty() || info.contains("Unknown") || info.contains("Malformed") {
            dissection.malformed.push(line.to_owned());
        }
        for message in info.split('|').map(str::trim).filter(|message| !message.is_empty()) {
            // Details may follow the name.
            let name = message.split(['(', '\'']).next().unwrap_or(message).trim();
            *dissection.messages.entry(name.to_owned()).or_default() += 1;
        }
    }
    Ok(dissection)
}
