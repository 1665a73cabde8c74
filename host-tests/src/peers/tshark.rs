//! What tshark's RTMP dissector makes of a conversation.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::tee::{Conversation, Sender};
use super::{finish_within, pcap};

/// The port that the server has in what tshark is shown.
const SERVER: u16 = 1935;
const CLIENT: u16 = 40_000;

/// What tshark counted of what one side sent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Dissection {
    /// Messages, by what tshark calls them.
    pub messages: BTreeMap<String, usize>,
    /// What it found malformed, or could not make sense of.
    pub malformed: Vec<String>,
}

/// Shows a conversation to tshark, and counts what one side sent.
///
/// # Errors
/// tshark is missing or fails.
pub fn dissect(conversation: &Conversation, sender: Sender) -> Result<Dissection> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("conversation.pcap");
    fs::write(&path, pcap::write(conversation, CLIENT, SERVER))?;
    let mut command = Command::new("tshark");
    command.arg("-r").arg(&path).args(["-o", "tcp.desegment_tcp_streams:TRUE"]);
    // Without it every message of more than 32,768 bytes is taken for an unknown one.
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
            // Behind the name there may be what is in it.
            let name = message.split(['(', '\'']).next().unwrap_or(message).trim();
            *dissection.messages.entry(name.to_owned()).or_default() += 1;
        }
    }
    Ok(dissection)
}
