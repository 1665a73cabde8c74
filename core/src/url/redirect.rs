//! The URL to which a server sends a client.

use core::fmt;

#[cfg(doc)]
use crate::command::{MAX_REDIRECTS, ReconnectRequest, Status};

use super::{Scheme, Url, UrlError, parse};

impl<'a> Url<'a> {
    /// Returns the URL of the same stream in another application, to which a server sends the client: see
    /// [`Status::redirect`] and [`ReconnectRequest`]. The whole path of `target` is the application. The stream key
    /// stays. `target` may be relative to this URL: `//host/app` or `/app`.
    ///
    /// Another server must not learn the user and the password. They stay only if the host is the same, and those in
    /// `target` are ignored.
    ///
    /// # Errors
    /// `target` is not such a URL, or its scheme protects less than the scheme of this URL ([`Scheme::permits`]).
    ///
    /// ```
    /// use embedded_rtmp::url::{RedirectError, Scheme, Url};
    ///
    /// let url = Url::parse("rtmps://cam:s3cret@media.example/live/key")?;
    /// let other = url.redirected("rtmps://other.example/live/eu")?;
    /// assert_eq!(other.tc_url_parts().concat(), "rtmps://other.example/live/eu");
    /// assert_eq!((other.key_parts().concat().as_str(), other.user()), ("key", None));
    /// let refused = RedirectError::LessSecure { from: Scheme::Rtmps, to: Scheme::Rtmp };
    /// assert_eq!(url.redirected("rtmp://other.example/live"), Err(refused));
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    pub fn redirected<'t>(&self, target: &'t str) -> Result<Url<'t>, RedirectError>
    where
        'a: 't,
    {
        let mut url = parse::application(target, self).map_err(RedirectError::Url)?;
        self.check_redirect(&url)?;
        let credentials = if self.is_on_host_of(&url) { (self.user, self.password) } else { (None, None) };
        (url.user, url.password) = credentials;
        (url.key, url.default_port_in_tc_url) = (self.key, self.default_port_in_tc_url);
        Ok(url)
    }

    /// Checks that the scheme of another URL protects at least as much as the scheme of this one. If a client is sent
    /// elsewhere several times, it checks this for its first URL.
    ///
    /// # Errors
    /// [`RedirectError::LessSecure`].
    pub const fn check_redirect(&self, other: &Url<'_>) -> Result<(), RedirectError> {
        let (from, to) = (self.scheme, other.scheme);
        if from.permits(to) { Ok(()) } else { Err(RedirectError::LessSecure { from, to }) }
    }

    /// Returns whether both URLs have the same host, so that the same credentials may be sent to both.
    pub fn is_on_host_of(&self, other: &Url<'_>) -> bool {
        self.host.eq_ignore_ascii_case(other.host)
    }
}

/// Why a client does not follow a server that sends it to another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum RedirectError {
    /// The server names something that is not the URL of an application.
    Url(UrlError),
    /// The scheme of the new URL protects less than the scheme of the first one.
    LessSecure {
        /// The scheme of the first URL.
        from: Scheme,
        /// The scheme of the new one.
        to: Scheme,
    },
    /// More than [`MAX_REDIRECTS`] servers have sent the client elsewhere, one after another.
    TooMany,
}

impl fmt::Display for RedirectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(error) => write!(f, "the server sends us to a URL that cannot be used: {error}"),
            Self::LessSecure { from, to } => {
                write!(f, "the server sends us to an {to} URL, which protects less than {from}")
            }
            Self::TooMany => f.write_str("too many servers sent us elsewhere, one after another"),
        }
    }
}

impl core::error::Error for RedirectError {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::{String, ToString};

    fn url(text: &str) -> Url<'_> {
        Url::parse(text).unwrap()
    }

    fn tc_url(base: &str, target: &str) -> Result<String, RedirectError> {
        Ok(url(base).redirected(target)?.tc_url_parts().concat())
    }

    #[test]
    fn item_097_item_107_the_whole_path_is_the_application_and_the_key_stays() {
        for (target, expected) in [
            ("rtmp://other:80/x/y/z/", "rtmp://other:80/x/y/z"),
            ("rtmp://other", "rtmp://other/"),
            ("RTMP://other/a?b=c/d", "rtmp://other/a?b=c/d"),
            ("rtmps://[::1]:443/app", "rtmps://[::1]:443/app"),
            // Relative to the URL (E-RTMP, "Reconnect Request").
            ("//other:1936/app/inst", "rtmp://other:1936/app/inst"),
            ("//other", "rtmp://other/"),
            ("/other", "rtmp://h:81/other"),
            ("/", "rtmp://h:81/"),
        ] {
            assert_eq!(tc_url("rtmp://h:81/live/k?a/b", target).as_deref(), Ok(expected), "{target}");
            let key = url("rtmp://h:81/live/k?a/b").redirected(target).unwrap().key_parts().concat();
            assert_eq!(key, "k?a/b", "{target}");
        }
    }

    #[test]
    fn item_097_what_is_no_url_of_an_application_is_refused() {
        for (target, why) in [
            ("", UrlError::Scheme),
            ("app", UrlError::Scheme),
            ("http://h/app", UrlError::Scheme),
            ("rtmp://", UrlError::Host),
            ("///app", UrlError::Host),
            ("//h:0/app", UrlError::Port),
            ("rtmp://h//app", UrlError::App),
            ("/app\n", UrlError::Character),
        ] {
            assert_eq!(tc_url("rtmp://h/live/k", target), Err(RedirectError::Url(why)), "{target:?}");
        }
        let long = std::format!("rtmp://h/{}", "a".repeat(super::super::MAX_URL_LENGTH));
        assert_eq!(tc_url("rtmp://h/live/k", &long), Err(RedirectError::Url(UrlError::TooLong)));
    }

    #[test]
    fn item_097_item_221_a_redirect_to_a_less_secure_scheme_is_refused() {
        let schemes = ["rtmp", "rtmpt", "rtmpe", "rtmpte", "rtmps", "rtmpts"];
        for from in schemes {
            for to in schemes {
                let result = tc_url(&std::format!("{from}://h/live/k"), &std::format!("{to}://h/x"));
                let class = |scheme: &str| (scheme.ends_with('e') as u8).max(2 * u8::from(scheme.ends_with('s')));
                assert_eq!(result.is_ok(), class(to) >= class(from), "{from} to {to}: {result:?}");
            }
        }
        let error = tc_url("rtmps://h/live/k", "rtmp://h/x").unwrap_err().to_string();
        assert_eq!(error, "the server sends us to an rtmp URL, which protects less than rtmps");
    }

    #[test]
    fn item_097_only_the_urls_own_host_gets_its_user_and_password() {
        let first = url("rtmp://cam:s3cret@media.example/live/k");
        for (target, has) in [
            ("rtmp://Media.Example:80/x", true),
            ("rtmps://media.example/x", true),
            ("/x", true),
            ("//media.example/x", true),
            ("rtmp://other/x", false),
            ("//media.example.other/x", false),
            ("rtmp://cam:s3cret@other/x", false),
            ("rtmp://dog:bone@media.example/x", true),
        ] {
            let url = first.redirected(target).unwrap();
            let expected = if has { (Some("cam"), Some("s3cret")) } else { (None, None) };
            assert_eq!((url.user(), url.password()), expected, "{target}");
        }
    }
}
