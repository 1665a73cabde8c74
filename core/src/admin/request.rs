//! The methods, and what a request asks for.

use base64ct::{Base64, Encoding as _};

use super::access::AdminCredentials;
use super::answer::AdminFailure;
use super::tree::Form;
use crate::amf0::{Text, Token};
use crate::bytes::{copy, low_u16, low_u32};
use crate::command::Command;
use crate::http::{FieldReader, HeadError, authority_and_path, decode_form, digits};

/// A method. See the [module](super).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum AdminMethod {
    /// `ping`
    Ping,
    /// `getServerStats`
    ServerStats,
    /// `getActiveVHostStats`
    ActiveVHostStats,
    /// `getApps`
    Apps,
    /// `getLiveStreams`
    LiveStreams,
    /// `getLiveStreamStats`
    LiveStreamStats,
    /// `x/closeSession`
    CloseSession,
    /// `x/restartListeners`
    RestartListeners,
}

const METHODS: [(&str, AdminMethod); 8] = [
    ("ping", AdminMethod::Ping),
    ("getServerStats", AdminMethod::ServerStats),
    ("getActiveVHostStats", AdminMethod::ActiveVHostStats),
    ("getApps", AdminMethod::Apps),
    ("getLiveStreams", AdminMethod::LiveStreams),
    ("getLiveStreamStats", AdminMethod::LiveStreamStats),
    ("x/closeSession", AdminMethod::CloseSession),
    ("x/restartListeners", AdminMethod::RestartListeners),
];

impl AdminMethod {
    fn of(name: &[u8]) -> Option<Self> {
        METHODS.iter().find(|(known, _)| Text::new(name) == **known).map(|(_, method)| *method)
    }

    /// Whether it is our own. It changes something, so that it must be a POST.
    pub(super) const fn is_own(self) -> bool {
        matches!(self, Self::CloseSession | Self::RestartListeners)
    }
}

/// What a client asks for, after its user and password were accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum AdminCall {
    /// A method that only reads. [`AdminData`](super::AdminData) is the answer.
    Query(AdminMethod),
    /// The connection of the client with this id must be closed.
    CloseSession {
        /// The id, as in [`AdminClient`](super::AdminClient).
        id: u32,
    },
    /// The listening sockets must be opened again. Connections stay.
    RestartListeners,
}

/// An event of a connection or a session of an administrator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum AdminEvent<'d> {
    /// The user and the password of a request, or of a session, if it has sent them. Answer with `accept_login` or `reject`.
    /// Nothing is read before that. [`AdminAccess::check`](super::AdminAccess::check) decides.
    Login(Option<AdminCredentials<'d>>),
    /// A call. Answer with `answer`. Nothing is read before that, and before the answer is written.
    Call(AdminCall),
}

/// A part of the stored text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Span {
    start: u16,
    length: u16,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Parameter {
    User,
    Password,
    AppInst,
    Stream,
    Id,
    Format,
}

const PARAMETERS: [(&str, Parameter); 6] = [
    ("auser", Parameter::User),
    ("apswd", Parameter::Password),
    ("appInst", Parameter::AppInst),
    ("stream", Parameter::Stream),
    ("id", Parameter::Id),
    ("format", Parameter::Format),
];

/// The method of HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Get,
    Head,
    Post,
}

/// The parts of a request, which are stored until it is answered.
pub(super) struct Request<const SIZE: usize> {
    text: [u8; SIZE],
    used: u16,
    pub(super) verb: Verb,
    /// The path, the part after `?`, and the body.
    target: Span,
    body: Span,
    host: Option<Span>,
    origin: Option<Span>,
    /// The user, a colon, and the password.
    basic: Option<Span>,
    has_authorization: bool,
    accepts_json: bool,
    accepts_xml: bool,
    method: Option<AdminMethod>,
    /// Of each [`Parameter`], without `%` sequences.
    values: [Option<Span>; PARAMETERS.len()],
    pub(super) form: Form,
}

impl<const SIZE: usize> Request<SIZE> {
    pub(super) const fn new() -> Self {
        const { assert!(SIZE >= 128 && SIZE <= 0x8000, "a request has room for 128 to 32,768 bytes") }
        let none = Span { start: 0, length: 0 };
        Self {
            text: [0; SIZE],
            used: 0,
            verb: Verb::Get,
            target: none,
            body: none,
            host: None,
            origin: None,
            basic: None,
            has_authorization: false,
            accepts_json: false,
            accepts_xml: false,
            method: None,
            values: [None; PARAMETERS.len()],
            form: Form::Xml,
        }
    }

    /// Forgets the previous request.
    fn clear(&mut self) {
        (self.used, self.target, self.body) = (0, Span::default(), Span::default());
        (self.host, self.origin, self.basic) = (None, None, None);
        (self.has_authorization, self.accepts_json, self.accepts_xml) = (false, false, false);
        (self.method, self.values, self.form) = (None, [None; PARAMETERS.len()], Form::Xml);
    }

    /// Begins a request over HTTP.
    pub(super) fn begin(&mut self, verb: Verb, target: &[u8]) -> Result<(), HeadError> {
        self.clear();
        self.verb = verb;
        self.target = self.store(target).ok_or(HeadError::TooLong)?;
        Ok(())
    }

    /// Begins a body of `length` bytes. Returns whether there is room for it.
    pub(super) fn begin_body(&mut self, length: u32) -> bool {
        self.body = Span { start: self.used, length: 0 };
        length as usize <= self.free().len()
    }

    /// Stores a part of the body.
    pub(super) fn push_body(&mut self, part: &[u8]) {
        let stored = self.store(part).map_or(0, |span| span.length);
        self.body.length = self.body.length.wrapping_add(stored);
    }

    /// Parses the target, and the parameters in it and in the body.
    pub(super) fn parse(&mut self) -> Result<(), AdminFailure> {
        let target = self.get(self.target);
        let (_, path) = authority_and_path(target);
        let mark = path.iter().position(|byte| *byte == b'?').unwrap_or(path.len());
        let name = path.get(..mark).and_then(|path| path.strip_prefix(b"/admin/")).unwrap_or_default();
        let query = path.len().saturating_sub(mark.saturating_add(1));
        let (method, is_own_path) = (AdminMethod::of(name), name.starts_with(b"x/"));
        let end = self.target.start.wrapping_add(self.target.length);
        let query = Span { start: end.wrapping_sub(low_u16(query)), length: low_u16(query) };
        self.method = method;
        let prefers_json = self.accepts_json && !self.accepts_xml;
        self.form = if is_own_path || prefers_json { Form::Json } else { Form::Xml };
        let parsed = self.parse_parameters(query).and_then(|()| self.parse_parameters(self.body));
        match self.value(Parameter::Format) {
            Some(b"json") => self.form = Form::Json,
            Some(b"xml") | None => {}
            Some(_) => return Err(AdminFailure::Parameter("format")),
        }
        if is_own_path {
            self.form = Form::Json;
        }
        parsed?;
        if !self.is_own_origin() {
            return Err(AdminFailure::Origin);
        }
        Ok(())
    }

    fn parse_parameters(&mut self, span: Span) -> Result<(), AdminFailure> {
        let mut start = usize::from(span.start);
        let end = start.wrapping_add(span.length.into());
        while let Some(rest) = self.text.get_mut(start..end).filter(|rest| !rest.is_empty()) {
            let length = rest.iter().position(|byte| *byte == b'&').unwrap_or(rest.len());
            let pair = rest.get_mut(..length).unwrap_or_default();
            let name_length = pair.iter().position(|byte| *byte == b'=').unwrap_or(length);
            let (name, value) = pair.split_at_mut_checked(name_length).unwrap_or_default();
            let known = PARAMETERS.iter().find(|(known, _)| Text::new(name) == **known);
            if let (Some((_, parameter)), Some((_, value))) = (known, value.split_first_mut()) {
                let decoded = decode_form(value).ok_or(AdminFailure::Request)?;
                let value_start = start.wrapping_add(name_length).wrapping_add(1);
                let place = self.values.get_mut(*parameter as usize);
                // If a parameter is repeated, the first one counts.
                place.map(|place| place.get_or_insert(Span { start: low_u16(value_start), length: low_u16(decoded) }));
            }
            start = start.wrapping_add(length).wrapping_add(1);
        }
        Ok(())
    }

    /// Stores the arguments of a call over RTMP. Returns whether there is room for them.
    pub(super) fn begin_call(&mut self, command: &Command<'_>) -> Result<(), AdminFailure> {
        self.clear();
        self.form = Form::Amf0;
        self.method = AdminMethod::of(command.name.as_bytes()).filter(|method| !method.is_own());
        let mut arguments = command.arguments();
        for parameter in [Parameter::AppInst, Parameter::Stream] {
            self.store_argument(parameter, arguments.next())?;
        }
        Ok(())
    }

    /// Stores the user and the password of `connect`.
    pub(super) fn begin_login<'a>(&mut self, mut arguments: impl Iterator<Item = Token<'a>>) {
        self.clear();
        for parameter in [Parameter::User, Parameter::Password] {
            // If it is too long, it is wrong. Then it is missing, and the client is refused.
            let _ = self.store_argument(parameter, arguments.next());
        }
    }

    fn store_argument(&mut self, parameter: Parameter, argument: Option<Token<'_>>) -> Result<(), AdminFailure> {
        let Some(Token::String(text)) = argument else { return Ok(()) };
        let span = self.store(text.as_bytes()).ok_or(AdminFailure::Request)?;
        if let Some(place) = self.values.get_mut(parameter as usize) {
            *place = Some(span);
        }
        Ok(())
    }

    /// The user and the password: those of the parameters, or those of the field.
    pub(super) fn credentials(&self) -> Option<AdminCredentials<'_>> {
        let (user, password) = match (self.value(Parameter::User), self.value(Parameter::Password)) {
            (None, None) => {
                let text = self.get(self.basic?);
                let (user, rest) = text.split_at_checked(text.iter().position(|byte| *byte == b':')?)?;
                (user, rest.get(1..)?)
            }
            (user, password) => (user.unwrap_or_default(), password.unwrap_or_default()),
        };
        Some(AdminCredentials { user: Text::new(user), password: Text::new(password) })
    }

    /// Checks the method and its parameters.
    pub(super) fn call(&self) -> Result<AdminCall, AdminFailure> {
        let method = self.method.ok_or(AdminFailure::Method)?;
        if method.is_own() && self.verb != Verb::Post {
            return Err(AdminFailure::MustPost);
        }
        Ok(match method {
            AdminMethod::LiveStreamStats => {
                self.app_inst().ok_or(AdminFailure::Parameter("appInst"))?;
                self.stream().ok_or(AdminFailure::Parameter("stream"))?;
                AdminCall::Query(method)
            }
            AdminMethod::CloseSession => {
                let id = self.value(Parameter::Id).and_then(digits).and_then(|id| u32::try_from(id).ok());
                AdminCall::CloseSession { id: id.ok_or(AdminFailure::Parameter("id"))? }
            }
            AdminMethod::RestartListeners => AdminCall::RestartListeners,
            method => AdminCall::Query(method),
        })
    }

    pub(super) const fn method(&self) -> Option<AdminMethod> {
        self.method
    }

    pub(super) fn app_inst(&self) -> Option<&[u8]> {
        self.value(Parameter::AppInst)
    }

    pub(super) fn stream(&self) -> Option<&[u8]> {
        self.value(Parameter::Stream)
    }

    fn value(&self, parameter: Parameter) -> Option<&[u8]> {
        self.values.get(parameter as usize).copied().flatten().map(|span| self.get(span))
    }

    /// Whether the request is not one of a page of another site.
    fn is_own_origin(&self) -> bool {
        let Some(origin) = self.origin.map(|origin| self.get(origin)) else { return true };
        let authority = origin.strip_prefix(b"http://").or_else(|| origin.strip_prefix(b"https://"));
        let host = self.host.map(|host| self.get(host));
        authority.zip(host).is_some_and(|(authority, host)| authority.eq_ignore_ascii_case(host))
    }

    fn get(&self, span: Span) -> &[u8] {
        let start = usize::from(span.start);
        self.text.get(start..start.wrapping_add(usize::from(span.length))).unwrap_or_default()
    }

    /// The place after the stored text.
    fn free(&mut self) -> &mut [u8] {
        self.text.get_mut(usize::from(self.used)..).unwrap_or_default()
    }

    /// Marks the next `length` bytes as used.
    fn take(&mut self, length: usize) -> Span {
        let span = Span { start: self.used, length: low_u16(length) };
        self.used = self.used.wrapping_add(span.length);
        span
    }

    fn store(&mut self, value: &[u8]) -> Option<Span> {
        if copy(value, self.free()) < value.len() {
            return None;
        }
        Some(self.take(value.len()))
    }

    /// Stores the user and the password. Other schemes are ignored.
    fn read_authorization(&mut self, value: &[u8], is_cut: bool) -> Result<(), HeadError> {
        if core::mem::replace(&mut self.has_authorization, true) {
            return Err(HeadError::NotHttp);
        }
        let scheme = value.split_at_checked(6).filter(|(scheme, _)| scheme.eq_ignore_ascii_case(b"basic "));
        let Some((_, text)) = scheme else { return Ok(()) };
        let text = text.trim_ascii();
        if is_cut || self.free().len() < (text.len() / 4).wrapping_mul(3) {
            return Err(HeadError::TooLong);
        }
        let decoded = Base64::decode(text, self.free()).map_or(None, |decoded| Some(decoded.len()));
        self.basic = decoded.map(|length| self.take(length));
        Ok(())
    }
}

impl<const SIZE: usize> FieldReader for Request<SIZE> {
    fn read(&mut self, name: &[u8], value: &[u8], is_cut: bool) -> Result<(), HeadError> {
        let is = |other: &[u8]| name.eq_ignore_ascii_case(other);
        if is(b"authorization") {
            return self.read_authorization(value, is_cut);
        }
        if is(b"accept") {
            let has = |kind: &[u8]| value.windows(kind.len()).any(|text| text.eq_ignore_ascii_case(kind));
            self.accepts_json |= has(b"application/json");
            self.accepts_xml |= has(b"/xml");
            return Ok(());
        }
        let is_origin = is(b"origin");
        if !is_origin && !is(b"host") {
            return Ok(());
        }
        let place = if is_origin { self.origin } else { self.host };
        if place.is_some() {
            // A proxy may have read the other one.
            return Err(HeadError::NotHttp);
        }
        let span = self.store(value).filter(|_| !is_cut).ok_or(HeadError::TooLong)?;
        *(if is_origin { &mut self.origin } else { &mut self.host }) = Some(span);
        Ok(())
    }
}

/// The number of bytes of `input` that belong to a body of which `left` bytes are missing.
pub(super) fn body_part<'i>(input: &mut &'i [u8], left: &mut u32) -> &'i [u8] {
    let (part, rest) = input.split_at_checked(input.len().min(*left as usize)).unwrap_or_default();
    *input = rest;
    *left = left.wrapping_sub(low_u32(part.len()));
    part
}
