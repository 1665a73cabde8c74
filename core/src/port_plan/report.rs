//! What came of an attempt.

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
    /// No route, or an ICMP message said so.
    Unreachable,
    /// No answer before the deadline: a firewall drops the packets, usually. (Where the caller does not report TCP
    /// connections, silence after one is this, too.)
    TimedOut,
    /// The TCP connection was there, and the deadline passed before the RTMP handshake's end.
    HandshakeTimedOut,
    /// The TCP connection was there and was closed or reset before the RTMP handshake's end.
    Closed,
    /// The RTMP handshake was complete, and then the server did not answer the commands, or broke off: see
    /// [`Plan::report_cut_off`](super::Plan::report_cut_off).
    CutOff,
    /// What answered does not speak RTMP, or no RTMPT where that was asked for: an HTTP server, a proxy.
    NotRtmp,
    /// The host's name has no address.
    Dns,
    /// This side could not dial: no free socket, no network.
    Local,
    /// This side was built without the target's transport.
    Unsupported,
    /// The total deadline passed before this one's turn.
    NotTried,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Failure::Refused => "refused",
            Failure::Unreachable => "unreachable",
            Failure::TimedOut => "dropped, no answer in time",
            Failure::HandshakeTimedOut => "connected, but no RTMP handshake in time",
            Failure::Closed => "closed during the RTMP handshake",
            Failure::CutOff => "cut off behind the RTMP handshake",
            Failure::NotRtmp => "answered, but not in RTMP",
            Failure::Dns => "the host's name was not found",
            Failure::Local => "could not be dialled",
            Failure::Unsupported => "not supported here",
            Failure::NotTried => "not tried, out of time",
        })
    }
}

impl core::error::Error for Failure {}

/// How far an attempt is, or how it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Outcome {
    /// Its turn has not come; after the plan's end: it was not needed.
    NotStarted,
    /// Dialled; no TCP connection has been reported.
    Dialled,
    /// The TCP connection is there, the RTMP handshake is not complete.
    Handshake,
    /// The RTMP handshake is complete: the winner.
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

/// What a plan knows about one of its attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct AttemptReport {
    /// The attempt.
    pub id: AttemptId,
    /// What it tries.
    pub target: Target,
    /// How far it is, or how it ended.
    pub outcome: Outcome,
    /// From the plan's first poll to the dial; zero for an attempt that was not started.
    pub started: Duration,
    /// From the dial to the TCP connection, where one was reported.
    pub to_tcp: Option<Duration>,
    /// From the dial to the attempt's end: for the winner, the RTMP handshake's end. Zero until then.
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
        ];
        let texts: BTreeSet<_> = failures.iter().map(|why| why.to_string()).collect();
        assert_eq!(texts.len(), failures.len());
        for why in failures {
            assert_eq!(Outcome::Failed(why).to_string(), why.to_string());
        }
    }
}
