//! nginx as an HTTP proxy, like that of a network which lets only well-formed HTTP pass. It buffers each request, and sends
//! it to the server on a new connection.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::nginx::{Instance, configuration};

/// A running proxy.
#[derive(Debug)]
pub struct HttpProxy(Instance);

/// A forwarded request.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// The time of the response, in seconds.
    pub at: f64,
    /// Its method and path.
    pub line: String,
    /// The status of the response.
    pub status: u16,
    /// The number of requests on the client's connection so far, including this one.
    pub on_connection: u32,
}

impl HttpProxy {
    /// Starts a proxy on a port of 127.0.0.1 in front of the port `server`. Like other proxies, it closes each connection of
    /// a client after a number of requests, here `requests`.
    ///
    /// # Errors
    /// nginx is not installed, or does not listen in time.
    pub fn start(server: u16, requests: u32) -> Result<Self> {
        Ok(Self(Instance::start(|directory, port| Ok(proxy(directory, port, server, requests)))?))
    }

    /// The port on which it listens.
    pub fn port(&self) -> u16 {
        self.0.port
    }

    /// The forwarded requests, in order.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn requests(&self) -> Result<Vec<Request>> {
        let path = self.0.directory.path().join("access.log");
        let log = fs::read_to_string(path).with_context(|| self.0.log())?;
        log.lines()
            .map(|line| {
                let fields: Vec<_> = line.splitn(4, ' ').collect();
                let [at, status, on_connection, line] = fields[..] else {
                    anyhow::bail!("unexpected line in the log: {line}")
                };
                let (at, status, on_connection) = (at.parse()?, status.parse()?, on_connection.parse()?);
                Ok(Request { at, status, on_connection, line: line.to_owned() })
            })
            .collect()
    }
}

fn proxy(directory: &Path, port: u16, server: u16, requests: u32) -> String {
    let shown = directory.display();
    let servers = format!(
        "http {{ log_format times '$msec $status $connection_requests $request_method $uri';
access_log {shown}/access.log times; keepalive_requests {requests}; client_max_body_size 1m;
client_body_temp_path {shown}/body; proxy_temp_path {shown}/proxy;
fastcgi_temp_path {shown}/f; uwsgi_temp_path {shown}/u; scgi_temp_path {shown}/s;
server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://127.0.0.1:{server}; }} }} }}"
    );
    configuration(directory, "", &servers)
}
