//! A firewall in QEMU's user networking. It needs no privileges. All frames from the board pass through it.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::Result;

use crate::peers::wait_until;

/// The firewall of a QEMU that was started with [`Self::options`].
#[derive(Debug)]
pub struct Filter {
    sent: PathBuf,
    passed: PathBuf,
}

impl Filter {
    /// A firewall on two sockets in `directory`. It passes nothing until [`Self::drop_port`] is called.
    pub fn new(directory: &Path) -> Self {
        Self { sent: directory.join("sent"), passed: directory.join("passed") }
    }

    /// The options for QEMU.
    pub fn options(&self) -> Vec<String> {
        let socket = |id: &str, path: &Path| format!("socket,id={id},path={},server=on,wait=off", path.display());
        let (sent, passed) = (socket("sent", &self.sent), socket("passed", &self.passed));
        let filter = "filter-redirector,id=filter,netdev=net0,queue=rx,outdev=sent,indev=passed";
        let words = ["-chardev", &sent, "-chardev", &passed, "-object", filter];
        words.iter().flat_map(|word| ["--qemu".to_owned(), (*word).to_owned()]).collect()
    }

    /// From now on, drops TCP to a port and passes everything else, until QEMU ends.
    ///
    /// # Errors
    /// QEMU is not running.
    pub fn drop_port(self, port: u16) -> Result<()> {
        wait_until("QEMU listens", Duration::from_secs(20), || self.sent.exists() && self.passed.exists())?;
        let (mut sent, mut passed) = (UnixStream::connect(self.sent)?, UnixStream::connect(self.passed)?);
        thread::spawn(move || while pass(&mut sent, &mut passed, port).is_ok() {});
        Ok(())
    }
}

/// Reads one frame, which its length precedes, and forwards it unless it goes to `port`.
fn pass(sent: &mut UnixStream, passed: &mut UnixStream, port: u16) -> std::io::Result<()> {
    let mut length = [0; 4];
    sent.read_exact(&mut length)?;
    let mut frame = vec![0; u32::from_be_bytes(length) as usize];
    sent.read_exact(&mut frame)?;
    if tcp_port(&frame) != Some(port) {
        passed.write_all(&[&length[..], &frame].concat())?;
    }
    Ok(())
}

/// The destination port of an Ethernet frame with TCP over IPv4.
fn tcp_port(frame: &[u8]) -> Option<u16> {
    const TCP: u8 = 6;
    let packet = frame.get(12..)?.strip_prefix(&[0x08, 0x00])?;
    let segment = packet.get(usize::from(packet.first()? & 0x0F) * 4..)?;
    (packet.get(9) == Some(&TCP)).then_some(u16::from_be_bytes([*segment.get(2)?, *segment.get(3)?]))
}
