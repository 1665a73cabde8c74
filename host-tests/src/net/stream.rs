//! The stream that a client publishes or plays.

use std::fmt;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use embedded_rtmp::url::{self, SingleSegment, Url};

use super::read_password;

/// The options that replace parts of a URL.
#[derive(Debug, Clone, Default, Args)]
pub struct StreamArguments {
    /// The application to use instead of the URL's; a path of one segment is then the stream key
    #[arg(long)]
    pub app: Option<String>,
    /// The stream key (stream name) to use instead of the URL's; it may be empty
    #[arg(long)]
    pub key: Option<String>,
    /// The user to send if the server asks for one, instead of the user in the URL
    #[arg(long, requires = "password_file")]
    pub user: Option<String>,
    /// A file with the password of the user. A line end after the password is ignored
    #[arg(long, value_name = "FILE", requires = "user")]
    pub password_file: Option<PathBuf>,
}

/// A URL, and the application and the key to send.
#[derive(Clone)]
pub struct StreamUrl {
    text: String,
    app: String,
    /// The application with the answer to a challenge. If present, it is sent instead of `app`.
    pub(super) answer: Option<String>,
    /// The user and the password, if there are any.
    pub(super) credentials: Option<(String, String)>,
    /// The stream key.
    pub key: String,
}

impl StreamUrl {
    /// The stream of the URL `text`. `arguments` replace parts of it.
    ///
    /// # Errors
    /// The text is not an RTMP URL, or the file with the password cannot be read.
    pub fn new(text: &str, arguments: &StreamArguments) -> Result<Self> {
        let mut options = url::Options::new();
        if arguments.app.is_some() {
            options.lone = SingleSegment::Key;
        }
        let url = Url::parse_with(text, options).context("the URL is no RTMP URL")?;
        let app = arguments.app.clone().unwrap_or_else(|| url.app().to_owned());
        let key = arguments.key.clone().unwrap_or_else(|| url.key_parts().concat());
        let credentials = match (&arguments.user, &arguments.password_file) {
            (Some(user), Some(file)) => Some((user.clone(), read_password(file)?)),
            _ => url.user().map(|user| (user.to_owned(), url.password().unwrap_or_default().to_owned())),
        };
        Ok(Self { text: text.to_owned(), app, answer: None, credentials, key })
    }

    /// The stream with the same key in another application. `url` is the URL of the application. It may be relative to
    /// the URL of this stream. `first` is the stream that the user has specified.
    ///
    /// # Errors
    /// The text is not an RTMP URL, or its scheme protects less than the scheme of this stream or of `first`.
    pub fn redirected(&self, url: &str, first: &Self) -> Result<Self> {
        let own = self.url()?;
        let url = own.redirected(url)?;
        first.url()?.check_redirect(&url)?;
        let (text, app, key) = (url.tc_url_parts().concat(), url.app().to_owned(), self.key.clone());
        Ok(Self { text, app, answer: None, credentials: None, key })
    }

    /// Returns the application, with the query of the URL.
    pub fn app(&self) -> &str {
        &self.app
    }

    /// The URL, with the application, or with the answer to a challenge.
    ///
    /// # Errors
    /// None for a value of [`Self::new`].
    pub fn url(&self) -> Result<Url<'_>> {
        Ok(Url::parse(&self.text)?.with_app(self.answer.as_ref().unwrap_or(&self.app)))
    }
}

/// Omits the user, the password and the key, because they are secret.
impl fmt::Debug for StreamUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StreamUrl({:?})", Url::parse(&self.text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str, app: Option<&str>, key: Option<&str>) -> (String, String) {
        let (app, key) = (app.map(str::to_owned), key.map(str::to_owned));
        let arguments = StreamArguments { app, key, ..StreamArguments::default() };
        let stream = StreamUrl::new(text, &arguments).unwrap();
        (stream.url().unwrap().tc_url_parts().concat(), stream.key)
    }

    #[test]
    fn item_161_application_and_key_can_be_given() {
        let expect = |tc_url: &str, key: &str| (tc_url.to_owned(), key.to_owned());
        assert_eq!(parts("rtmp://h/live/a/b.flv?x", None, None), expect("rtmp://h/live/a", "b?x"));
        assert_eq!(parts("rtmp://h", Some("live"), Some("a/b.flv")), expect("rtmp://h/live", "a/b.flv"));
        assert_eq!(parts("rtmp://h/cam", Some("live"), None), expect("rtmp://h/live", "cam"));
        assert_eq!(parts("rtmp://h/live/cam", None, Some("")), expect("rtmp://h/live", ""));
        assert_eq!(parts("rtmp://h/live", None, None), expect("rtmp://h/live", ""));
    }

    #[test]
    fn a_redirect_keeps_the_key() {
        let stream = StreamUrl::new("rtmp://h/live/k?a/b", &StreamArguments::default()).unwrap();
        let other = stream.redirected("rtmp://other:80/x/y/z/", &stream).unwrap();
        assert_eq!(other.url().unwrap().tc_url_parts().concat(), "rtmp://other:80/x/y/z");
        assert_eq!(other.key, "k?a/b");
        assert!(stream.redirected("http://h/x", &stream).is_err());
    }

    #[test]
    fn item_221_a_redirect_out_of_tls_is_refused() {
        let stream = StreamUrl::new("rtmps://h/live/k", &StreamArguments::default()).unwrap();
        assert!(stream.redirected("rtmpts://other/x", &stream).is_ok());
        let why = stream.redirected("rtmp://other/x", &stream).unwrap_err().to_string();
        assert_eq!(why, "the server sends us to an rtmp URL, which protects less than rtmps");
    }
}
