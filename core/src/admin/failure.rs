//! Why requests fail.

use core::fmt;

use crate::command::code;

/// Why a request fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum AdminFailure {
    /// The user or the password is missing or wrong. Status 401.
    Login,
    /// There were too many wrong passwords from this address. Status 429.
    Wait {
        /// The time after which the client may try again.
        seconds: u8,
    },
    /// The request cannot be parsed, or its parameters cannot be decoded. Status 400.
    Request,
    /// The request is too long. Status 431.
    TooLong,
    /// The request has not arrived in time. Status 408.
    TooSlow,
    /// A page of another site has sent the request. Status 403.
    Origin,
    /// There is no such path or method. Status 404.
    Method,
    /// The method of HTTP is neither GET, HEAD nor POST. Status 405.
    Verb,
    /// The method of HTTP must be POST. Status 405.
    MustPost,
    /// This parameter is missing or not valid. Status 400.
    Parameter(&'static str),
    /// There is no such stream. Status 404.
    Stream,
    /// There is no such client. Status 404.
    Client,
    /// The server could not do it. Status 500.
    Failed,
}

impl AdminFailure {
    /// The line of the status of HTTP.
    pub(super) const fn status(self) -> &'static [u8] {
        match self {
            Self::Login => b"401 Unauthorized",
            Self::Wait { .. } => b"429 Too Many Requests",
            Self::Request | Self::Parameter(_) => b"400 Bad Request",
            Self::TooLong => b"431 Request Header Fields Too Large",
            Self::TooSlow => b"408 Request Timeout",
            Self::Origin => b"403 Forbidden",
            Self::Method | Self::Stream | Self::Client => b"404 Not Found",
            Self::Verb | Self::MustPost => b"405 Method Not Allowed",
            Self::Failed => b"500 Internal Server Error",
        }
    }

    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::Login | Self::Wait { .. } => code::CONNECT_REJECTED,
            _ => code::CALL_FAILED,
        }
    }

    /// The description, in two parts.
    pub(super) const fn description(self) -> [&'static str; 2] {
        let text = match self {
            Self::Login => "wrong user or password",
            Self::Wait { .. } => "too many wrong passwords from this address: try again later",
            Self::Request => "the request cannot be parsed",
            Self::TooLong => "the request is too long",
            Self::TooSlow => "the request has not arrived in time",
            Self::Origin => "the request is from a page of another site",
            Self::Method => "there is no such method",
            Self::Verb => "the method of HTTP must be GET, HEAD or POST",
            Self::MustPost => "the method of HTTP must be POST",
            Self::Parameter(name) => return ["missing or invalid parameter: ", name],
            Self::Stream => "there is no such stream",
            Self::Client => "there is no such client",
            Self::Failed => "the server could not do it",
        };
        [text, ""]
    }
}

impl fmt::Display for AdminFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.description().iter().try_for_each(|part| f.write_str(part))
    }
}

impl core::error::Error for AdminFailure {}
