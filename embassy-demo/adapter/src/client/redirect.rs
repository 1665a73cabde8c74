//! Servers that send a client to another server.

use embedded_rtmp::amf0;
use embedded_rtmp::command::{MAX_REDIRECTS, ReconnectRequest, Status};
use embedded_rtmp::url::{RedirectError, Url, UrlError};

use crate::fmt::info;
use crate::text::Text;

/// The URL of an application, of at most 255 bytes.
pub(crate) type Address = Text<255>;

/// The application to which a server has sent a client. It outlives the connections to a server.
#[derive(Clone)]
pub(crate) struct Redirect {
    /// The application of the next connection. `None` if that is the one of the caller's URL.
    next: Option<Address>,
    /// Whether the server has sent the client elsewhere, and no connection has begun since.
    is_new: bool,
    /// How many servers have sent the client elsewhere, one after another.
    hops: u8,
    /// Whether the connection goes to an application that a server has named.
    pub(crate) is_followed: bool,
    /// Whether the connection goes to another host than that of the caller's URL.
    pub(crate) is_elsewhere: bool,
}

impl Redirect {
    pub(crate) const NONE: Self = Self { next: None, is_new: false, hops: 0, is_followed: false, is_elsewhere: false };

    /// Records that the server has refused `connect`.
    pub(crate) fn note_refusal(&mut self, status: &Status<'_>) {
        self.next = status.redirect().and_then(Address::whole);
        self.is_new = self.next.is_some();
    }

    /// Records a status of the server, which may ask the client to connect again. A URL that cannot be used is ignored, with
    /// the request.
    pub(crate) fn note_status(&mut self, status: &Status<'_>) {
        let Some(request) = ReconnectRequest::of(status) else { return };
        let next = request.tc_url.map(|url| Address::whole(url).filter(is_usable));
        if next != Some(None) {
            (self.next, self.is_new) = (next.flatten(), true);
        }
    }

    /// Returns the URL with which the server has asked the client to connect again: empty text for the same URL.
    pub(crate) fn requested(&self) -> Option<Address> {
        self.is_new.then(|| self.next.unwrap_or(Address::new(amf0::Text::default())))
    }

    /// Forgets the address to which the server has sent the client.
    pub(crate) fn forget(&mut self) {
        (self.next, self.is_new) = (None, false);
    }

    /// The next connection goes to the caller's URL again, and counts as one to which a server has sent the client.
    #[cfg(feature = "player")]
    pub(crate) fn go_back(&mut self) {
        (self.next, self.is_new) = (None, true);
    }

    /// Records that the last connection has lasted.
    pub(crate) fn note_lasted(&mut self) {
        self.hops = 0;
    }

    /// Returns whether the server has sent the client elsewhere, and no connection has begun since.
    pub(crate) const fn is_new(&self) -> bool {
        self.is_new
    }

    /// Returns the application of the connection that begins now: `None` if that is the one of the caller's URL.
    pub(crate) fn begin(&mut self, first: &Url<'_>) -> Option<Address> {
        let next = self.next.take();
        if !core::mem::take(&mut self.is_new) {
            self.hops = 0;
        }
        self.is_followed = next.is_some();
        self.is_elsewhere = !target(first, next.as_ref()).is_on_host_of(first);
        next
    }

    /// The connection to the application that [`Self::begin`] returned as `current` has ended. Returns whether the server
    /// has sent the client elsewhere. The next connection should then begin at once.
    ///
    /// # Errors
    /// The client does not follow the server.
    pub(crate) fn resolve(&mut self, first: &Url<'_>, current: Option<&Address>) -> Result<bool, RedirectError> {
        if !core::mem::take(&mut self.is_new) {
            return Ok(false);
        }
        let next = self.next.take();
        if self.hops >= MAX_REDIRECTS {
            return Err(RedirectError::TooMany);
        }
        self.hops = self.hops.saturating_add(1);
        self.next = match next {
            Some(next) => {
                let url = target(first, current).redirected(next.as_str())?;
                first.check_redirect(&url)?;
                info!("the server sends us to {}", url);
                Some(Address::of_parts(&url.tc_url_parts()).ok_or(RedirectError::Url(UrlError::TooLong))?)
            }
            None => current.copied(),
        };
        self.is_new = true;
        Ok(true)
    }
}

/// Whether a text is the URL of an application.
fn is_usable(text: &Address) -> bool {
    Url::parse("rtmp://host").is_ok_and(|base| base.redirected(text.as_str()).is_ok())
}

/// The URL of the stream in the application that [`Redirect::begin`] returned.
pub(crate) fn target<'t>(first: &Url<'t>, application: Option<&'t Address>) -> Url<'t> {
    // `resolve` has checked the text.
    application.and_then(|application| first.redirected(application.as_str()).ok()).unwrap_or(*first)
}
