//! The destination of a client, after redirects and challenges.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use embedded_rtmp::auth::{Authenticator, Credentials};
use embedded_rtmp::command::{MAX_REDIRECTS, Status};
use embedded_rtmp::message::FourCc;
use embedded_rtmp::session::{LegacyServer, Offer, Stage};
use embedded_rtmp::url::MAX_URL_LENGTH;

use super::{StreamUrl, entropy, refused};

/// The stream that a client connects to. A refusal of `connect` changes it if the server redirects the client to
/// another server, or asks for a user and a password.
#[derive(Debug, Clone)]
pub struct Destination {
    first: StreamUrl,
    current: StreamUrl,
    authenticator: Authenticator<{ 2 * MAX_URL_LENGTH }>,
    /// The properties that announce Enhanced RTMP in `connect`.
    properties: Vec<u8>,
    /// Whether a server may refuse the properties, because they name codecs.
    has_codecs: bool,
    /// Whether the server accepts the properties.
    offer: Offer,
    /// The number of redirects that were followed.
    pub redirects: u8,
    /// How many servers have asked the client to connect again, each soon after the one before, and when the last one did.
    asked: (u8, Option<Instant>),
}

/// After a connection that lasted for this long, requests to connect again are counted from zero.
const LASTED: Duration = Duration::from_secs(8);

impl Destination {
    /// Creates the destination that the user has specified. `properties` announce Enhanced RTMP in `connect`; they may
    /// be empty. `has_codecs` says whether they name codecs.
    pub fn new(stream: &StreamUrl, properties: Vec<u8>, has_codecs: bool) -> Self {
        let (authenticator, offer) = (Authenticator::new(), Offer::new());
        Self {
            first: stream.clone(),
            current: stream.clone(),
            authenticator,
            properties,
            has_codecs,
            offer,
            redirects: 0,
            asked: (0, None),
        }
    }

    /// Returns the properties for the next `connect`. They are empty if the server refuses them.
    pub fn properties(&self) -> &[u8] {
        if self.offer.is_made() { &self.properties } else { &[] }
    }

    /// Records that the server accepted `connect`. Returns whether it is known to refuse Enhanced RTMP.
    pub fn accepted(&mut self) -> bool {
        self.offer.accepted();
        self.offer.is_legacy()
    }

    /// Records that the server closed the connection without an answer to `connect`. Returns whether to connect again
    /// at once, without the announcement of Enhanced RTMP.
    pub fn closed(&mut self) -> bool {
        self.has_codecs && self.offer.refused(None)
    }

    /// Records that the next connection leads to another port, which gets the announcement again.
    pub fn use_other_port(&mut self) {
        if !self.offer.is_legacy() {
            self.offer = Offer::new();
        }
    }

    /// Checks that frames of a codec of Enhanced RTMP may be sent.
    ///
    /// # Errors
    /// The server refuses Enhanced RTMP.
    pub fn check(&self, codec: FourCc) -> Result<(), LegacyServer> {
        self.offer.check(codec)
    }

    /// Returns the stream to connect to now.
    pub fn stream(&self) -> &StreamUrl {
        &self.current
    }

    /// The server asks the client to connect again, to the application `url`, or to the same one. Returns the destination of
    /// the next connection. The request counts, even if there is no such connection later.
    ///
    /// # Errors
    /// The URL cannot be used, its scheme protects less, or too many servers have asked within a few seconds.
    pub fn reconnect(&mut self, url: Option<&str>) -> Result<Self> {
        let count = self.asked.1.filter(|at| at.elapsed() < LASTED).map_or(0, |_| self.asked.0);
        if count == MAX_REDIRECTS {
            bail!("more than {MAX_REDIRECTS} servers sent us elsewhere within a few seconds");
        }
        let (mut next, mut stream) = (self.clone(), self.current.clone());
        stream.answer = None;
        next.go_to(url.map_or(Ok(stream), |url| self.current.redirected(url, &self.first))?)?;
        self.asked = (count + 1, Some(Instant::now()));
        (next.redirects, next.asked) = (0, self.asked);
        Ok(next)
    }

    fn go_to(&mut self, next: StreamUrl) -> Result<()> {
        if !next.url()?.is_on_host_of(&self.current.url()?) {
            self.offer = Offer::new();
        }
        (self.current, self.authenticator) = (next, Authenticator::new());
        Ok(())
    }

    /// Handles a refusal of `connect`. If it returns `Ok`, the client should connect again, to [`Self::stream`].
    ///
    /// # Errors
    /// The refusal is final.
    pub fn follow(&mut self, status: &Status<'_>) -> Result<()> {
        if self.has_codecs && self.offer.refused(Some(status)) {
            return Ok(());
        }
        if let Some(url) = status.redirect() {
            if self.redirects == MAX_REDIRECTS {
                bail!("more than {MAX_REDIRECTS} servers sent us elsewhere");
            }
            self.redirects += 1;
            return self.go_to(self.current.redirected(&url.to_string(), &self.first)?);
        }
        let refusal = || refused(Stage::Connect, status);
        let (url, first) = (self.current.url()?, self.first.url()?);
        let has_credentials = self.first.credentials.is_some();
        // A redirect to another server must not get an answer, because that server could use it to log in at the first
        // one.
        let credentials = self.first.credentials.as_ref().filter(|_| url.is_on_host_of(&first));
        let (user, password) = credentials.map_or(("", ""), |(user, password)| (user, password));
        let app = self.current.app().to_owned();
        let answered =
            self.authenticator.answer(status.description, &app, &Credentials { user, password }, &entropy()?);
        if !answered.with_context(|| format!("{:#}", refusal()))? {
            return Err(refusal());
        }
        if credentials.is_none() {
            return Err(if has_credentials {
                anyhow!("after a redirect, another server asks for the user and the password of {}", first.host())
            } else {
                anyhow!("the server asks for a user and a password: use the URL, or --user and --password-file")
            });
        }
        self.current.answer = self.authenticator.app().map(str::to_owned);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use embedded_rtmp::amf0::Decoder;

    use super::*;
    use crate::net::StreamArguments;

    const NEED: &str = "[ AccessManager.Reject ] : [ code=403 need auth; authmod=adobe ] : ";

    fn destination(url: &str) -> Destination {
        Destination::new(&StreamUrl::new(url, &StreamArguments::default()).unwrap(), Vec::new(), false)
    }

    fn tc_url(destination: &Destination) -> String {
        destination.stream().url().unwrap().tc_url_parts().concat()
    }

    /// An info object with the URL of another application.
    fn redirect(url: &str) -> Vec<u8> {
        let mut object = b"\x03\0\x02ex\x03\0\x08redirect\x02\0".to_vec();
        object.push(u8::try_from(url.len()).unwrap());
        object.extend_from_slice(url.as_bytes());
        object.extend_from_slice(b"\0\0\x09\0\0\x09");
        object
    }

    #[test]
    fn item_095_a_challenge_is_answered_in_application_and_tc_url() {
        let mut destination = destination("rtmp://cam:s3cret@h/live/k");
        destination.follow(&Status::error("x", NEED)).unwrap();
        assert_eq!(tc_url(&destination), "rtmp://h/live?authmod=adobe&user=cam");
        let challenge = "authmod=adobe ?reason=needauth&user=cam&salt=s&challenge=c&opaque=o";
        destination.follow(&Status::error("x", challenge)).unwrap();
        let url = tc_url(&destination);
        assert!(
            url.starts_with("rtmp://h/live?authmod=adobe&user=cam&challenge=") && url.ends_with("&opaque=o"),
            "{url}"
        );
        assert_eq!(destination.stream().key, "k");
        let error = destination.follow(&Status::error("x", "authmod=adobe ?reason=authfailed")).unwrap_err();
        assert!(format!("{error:#}").contains("refuses the user and the password"), "{error:#}");
    }

    #[test]
    fn item_095_without_a_password_a_challenge_ends_the_attempt() {
        let error = destination("rtmp://h/live/k").follow(&Status::error("x", NEED)).unwrap_err();
        assert!(error.to_string().contains("--password-file"), "{error}");
    }

    #[test]
    fn item_095_another_server_gets_no_answer_to_a_challenge() {
        let mut destination = destination("rtmp://cam:s3cret@h/live/k");
        let values = redirect("rtmp://other/app");
        destination.follow(&Status::parse(Decoder::new(&values))).unwrap();
        assert_eq!(tc_url(&destination), "rtmp://other/app");
        let error = destination.follow(&Status::error("x", NEED)).unwrap_err();
        assert!(error.to_string().contains("password of h"), "{error}");
        assert_eq!(tc_url(&destination), "rtmp://other/app");
    }

    #[test]
    fn item_097_at_most_three_redirects_are_followed() {
        let mut destination = destination("rtmp://h/live/k");
        let values = redirect("rtmp://h/live");
        for _ in 0..3 {
            destination.follow(&Status::parse(Decoder::new(&values))).unwrap();
        }
        assert!(destination.follow(&Status::parse(Decoder::new(&values))).is_err());
    }

    #[test]
    fn item_107_at_most_three_requests_to_connect_again_are_followed_in_a_row() {
        let mut destination = destination("rtmp://h/live/k");
        for url in [Some("//i/other"), Some("/more"), None] {
            destination = destination.reconnect(url).unwrap();
        }
        assert_eq!(tc_url(&destination), "rtmp://i/more");
        assert!(destination.reconnect(Some("//j/live")).is_err());
        assert_eq!(tc_url(&destination), "rtmp://i/more");
        let ago = Instant::now().checked_sub(LASTED).unwrap();
        destination.asked.1 = Some(ago);
        let next = destination.reconnect(Some("//j/live")).unwrap();
        assert_eq!((tc_url(&next).as_str(), next.asked.0), ("rtmp://j/live", 1));
        // A request counts, even if the other server cannot be reached.
        assert_eq!((tc_url(&destination).as_str(), destination.asked.0), ("rtmp://i/more", 1));
        assert!(destination.reconnect(Some("http://j/live")).is_err());
        assert_eq!(destination.asked.0, 1);
    }

    #[test]
    fn item_257_a_refused_announcement_is_left_out_at_the_host_that_refused_it() {
        let stream = StreamUrl::new("rtmp://h/live/k", &StreamArguments::default()).unwrap();
        let mut destination = Destination::new(&stream, b"properties".to_vec(), true);
        assert_eq!(destination.properties(), b"properties");
        destination.follow(&Status::error("C", "no")).unwrap();
        assert_eq!(destination.properties(), b"");
        assert!(destination.accepted() && destination.check(FourCc::HEVC).is_err());
        // The same host is remembered, and another one is not.
        for (url, properties) in [("rtmp://h/other", &b""[..]), ("rtmp://i/live", b"properties")] {
            let values = redirect(url);
            destination.follow(&Status::parse(Decoder::new(&values))).unwrap();
            assert_eq!(destination.properties(), properties);
        }
        assert!(destination.closed() && destination.properties().is_empty());
        destination.use_other_port();
        assert_eq!(destination.properties(), b"properties");
    }

    #[test]
    fn item_266_a_challenge_does_not_mean_that_the_announcement_is_refused() {
        let stream = StreamUrl::new("rtmp://cam:s3cret@h/live/k", &StreamArguments::default()).unwrap();
        let mut destination = Destination::new(&stream, b"properties".to_vec(), true);
        destination.follow(&Status::error("x", NEED)).unwrap();
        assert_eq!(destination.properties(), b"properties");
        assert!(!destination.accepted());
    }

    #[test]
    fn other_refusals_are_final() {
        let error = destination("rtmp://cam:s3cret@h/live/k").follow(&Status::error("C", "no")).unwrap_err();
        assert_eq!(error.to_string(), "connect refused: C: no");
    }
}
