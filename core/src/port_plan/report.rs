//! The outcome of an attempt.

use core::fmt;
use core::time::Duration;

use super::{AttemptId, Target};

/// Why an attempt failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Failure {
    /// The host answered the SYN with a reset: nothing listens on the port, or a firewall rejects.
    Refused,
    /// There is no route, or an ICMP message reported that.
    Unreachable,
    /// There was no answer before the deadline. Usually a firewall drops the packets. If the caller does not report TCP
    /// connections, silence after the connection counts as this, too.
    TimedOut,
    /// TCP connected, and the deadline passed before the end of the RTMP handshake.
    HandshakeTimedOut,
    /// TCP connected, and the connection was closed or reset before the end of the RTMP handshake.
    Closed,
    /// The RTMP handshake was complete, and then the server did not answer the commands or closed the connection. See
    /// [`Plan::report_cut_off`](super::Plan::report_cut_off).
    CutOff,
    /// The peer does not speak RTMP or does not speak the target's transport. It may be an HTTP server or a proxy.
    NotRtmp,
    /// The name of the host has no address.
    Dns,
    /// The caller could not dial: it had no free socket or no network.
    Local,
    /// The caller was built without the target's transport.
    Unsupported,
    /// The total deadline passed before the attempt was started.
    NotTried,
    /// The server and the caller have no version or algorithm of TLS in common, or the TLS handshake failed.
    Tls,
    /// The caller refused the server's certificate. See [`Plan::report_untrusted`](super::Plan::report_untrusted).
    Certificate,
    /// Not tried, or abandoned, because the host's certificate was refused on another target.
    Untrusted,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Failure::Refused => "refused",
            Failure::Unreachable => "unreachable",
            Failure::TimedOut => "dropped, no answer in time",
            Failure::HandshakeTimedOut => "connected, but no RTMP handshake in time",
            Failure::Closed => "closed during the RTMP handshake",
            Failure::CutOff => "cut off after the RTMP handshake",
            Failure::NotRtmp => "answered, but not in RTMP",
            Failure::Dns => "the host's name was not found",
            Failure::Local => "could not be dialled",
            Failure::Unsupported => "not supported here",
            Failure::NotTried => "not tried, out of time",
            Failure::Tls => "no TLS connection could be agreed on",
            Failure::Certificate => "the certificate of the server was refused",
            Failure::Untrusted => "given up, the certificate of the host was refused",
        })
    }
}

impl core::error::Error for Failure {}

/// The state of an attempt, or how it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Outcome {
    /// Not started. After the end of the plan: it was not needed.
    NotStarted,
    /// Dialled. No TCP connection was reported yet.
    Dialled,
    /// TCP is connected. The RTMP handshake is not complete.
    Handshake,
    /// The RTMP handshake is complete: this is the winner.
    Connected,
    /// Abandoned, because another attempt won.
    Lost,
    /// Failed.
    Failed(Failure),
}

impl Outcome {
    pub(super) const fn is_under_way(self) -> bool {
        matches!(self, Outcome::Dialled | Outcome::Handshake)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Outcome::NotStarted => "not needed",
            Outcome::Dialled => "dialled",
            Outcome::Handshake => "in the RTMP handshake",
            Outcome::Connected => "connected",
            Outcome::Lost => "abandoned, another was first",
            Outcome::Failed(why) => return why.fmt(f),
        })
    }
}

/// The state of one attempt of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct AttemptReport {
    /// The attempt.
    pub id: AttemptId,
    /// Its target.
    pub target: Target,
    /// Its state, or how it ended.
    pub outcome: Outcome,
    /// The time from the first `poll_event` to the dial. Zero for an attempt that was not started.
    pub started: Duration,
    /// The time from the dial to the TCP connection, if one was reported.
    pub to_tcp: Option<Duration>,
    /// The time from the dial to the end of the attempt, which is the end of the RTMP handshake for the winner. Zero until
    /// then.
    pub took: Duration,
}

/// `RTMP 1935: refused`, `RTMPT 80: answered, but not in RTMP`
impl fmt::Display for AttemptReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.target, self.outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::string::ToString;

    #[test]
    fn every_failure_reads_differently() {
        let failures = [
            Failure::Refused,
            Failure::Unreachable,
            Failure::TimedOut,
            Failure::HandshakeTimedOut,
            Failure::Closed,
            Failure::CutOff,
            Failure::NotRtmp,
            Failure::Dns,
            Failure::Local,
            Failure::Unsupported,
            Failure::NotTried,
            Failure::Tls,
            Failure::Certificate,
            Failure::Untrusted,
        ];
        let texts: BTreeSet<_> = failures.iter().map(|why| why.to_string()).collect();
        assert_eq!(texts.len(), failures.len());
        for why in failures {
            assert_eq!(Outcome::Failed(why).to_string(), why.to_string());
        }
    }
}
