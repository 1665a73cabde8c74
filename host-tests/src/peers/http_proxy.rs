//! nginx as an HTTP proxy, as stands at the border of a network that lets nothing through but well-formed HTTP: it reads
//! each request whole, and brings each to the server on a connection of its own.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result};
use tempfile::TempDir;

use super::{Running, free_port, start, wait_for_listener};

/// A running proxy, with a directory of its own. Both are gone when it is dropped.
#[derive(Debug)]
pub struct HttpProxy {
    // Before the directory, so that it has ended when that is removed.
    process: Running,
    directory: TempDir,
    port: u16,
}

/// A request that went through.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// When it was answered, in seconds.
    pub at: f64,
    /// Its method and path.
    pub line: String,
    /// The status of its answer.
    pub status: u16,
    /// How many there had been on the client's connection, itself included.
    pub on_connection: u32,
}

impl HttpProxy {
    /// Starts a proxy on a port of 127.0.0.1 that leads to `server` there. It ends each of the clients' connections after
    /// `requests`, as all proxies do after some.
    ///
    /// # Errors
    /// nginx is not installed, or does not come to listen.
    pub fn start(server: u16, requests: u32) -> Result<Self> {
        let port = free_port()?;
        let (mut command, directory) = command(port, server, requests)?;
        let mut process = start(&mut command)?;
        wait_for_listener(port, &mut process)?;
        Ok(Self { process, directory, port })
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The requests that went through, in order.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn requests(&self) -> Result<Vec<Request>> {
        let path = self.directory.path().join("access.log");
        let log = fs::read_to_string(path).with_context(|| self.process.errors())?;
        log.lines()
            .map(|line| {
                let fields: Vec<_> = line.splitn(4, ' ').collect();
                let [at, status, on_connection, line] = fields[..] else { anyhow::bail!("what the log says: {line}") };
                let (at, status, on_connection) = (at.parse()?, status.parse()?, on_connection.parse()?);
                Ok(Request { at, status, on_connection, line: line.to_owned() })
            })
            .collect()
    }
}

fn command(port: u16, server: u16, requests: u32) -> Result<(Command, TempDir)> {
    let directory = tempfile::Builder::new().prefix("proxy-").tempdir()?;
    let path = directory.path().join("nginx.conf");
    let shown = directory.path().display();
    fs::write(
        &path,
        format!(
            "daemon off; master_process off; pid {shown}/nginx.pid; error_log {shown}/error.log;
events {{ worker_connections 256; }}
http {{ log_format times '$msec $status $connection_requests $request_method $uri';
access_log {shown}/access.log times; keepalive_requests {requests}; client_max_body_size 1m;
client_body_temp_path {shown}/body; proxy_temp_path {shown}/proxy;
fastcgi_temp_path {shown}/f; uwsgi_temp_path {shown}/u; scgi_temp_path {shown}/s;
server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://127.0.0.1:{server}; }} }} }}
"
        ),
    )?;
    let mut command = Command::new("nginx");
    command.arg("-c").arg(&path).arg("-p").arg(directory.path()).arg("-e").arg(directory.path().join("error.log"));
    // It lies outside of an ordinary user's path.
    let search = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{search}:/usr/sbin"));
    Ok((command, directory))
}
