//! nginx as an HTTP proxy, like one at the border of a network that lets only well-formed HTTP pass. It buffers each request
//! and sends each to the server on a new connection.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use tempfile::TempDir;

use super::{Running, free_port, nginx};

/// A running proxy with a directory of its own. Dropping it ends the proxy and removes the directory.
#[derive(Debug)]
pub struct HttpProxy {
    // Declared before the directory, so that the process has ended when the directory is removed.
    process: Running,
    directory: TempDir,
    port: u16,
}

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
    /// Starts a proxy on a port of 127.0.0.1 in front of the port `server`. It closes each connection of a client after
    /// `requests` requests, as all proxies do.
    ///
    /// # Errors
    /// nginx is not installed, or does not listen in time.
    pub fn start(server: u16, requests: u32) -> Result<Self> {
        let (directory, port) = (tempfile::Builder::new().prefix("proxy-").tempdir()?, free_port()?);
        fs::write(directory.path().join("nginx.conf"), configuration(directory.path(), port, server, requests))?;
        Ok(Self { process: nginx::run(directory.path(), port)?, directory, port })
    }

    /// The port on which it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The forwarded requests, in order.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn requests(&self) -> Result<Vec<Request>> {
        let path = self.directory.path().join("access.log");
        let log = fs::read_to_string(path).with_context(|| self.process.errors())?;
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

fn configuration(directory: &Path, port: u16, server: u16, requests: u32) -> String {
    let shown = directory.display();
    format!(
        "daemon off; master_process off; pid {shown}/nginx.pid; error_log {shown}/error.log;
events {{ worker_connections 256; }}
http {{ log_format times '$msec $status $connection_requests $request_method $uri';
access_log {shown}/access.log times; keepalive_requests {requests}; client_max_body_size 1m;
client_body_temp_path {shown}/body; proxy_temp_path {shown}/proxy;
fastcgi_temp_path {shown}/f; uwsgi_temp_path {shown}/u; scgi_temp_path {shown}/s;
server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://127.0.0.1:{server}; }} }} }}
"
    )
}
