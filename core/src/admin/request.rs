//! The methods, and what a request asks for.

use super::access::AdminCredentials;
use super::failure::AdminFailure;
use super::tree::Form;
use crate::amf0::{Text, Token};
use crate::bytes::{low_u16, low_u32};
use crate::command::Command;
use crate::http::{FieldReader, HeadError, Span, Texts, authority_and_path, decode, digits};

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
    texts: Texts<SIZE>,
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
            texts: Texts::new(),
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
        (self.texts.used, self.target, self.body) = (0, Span::default(), Span::default());
        (self.host, self.origin, self.basic) = (None, None, None);
        (self.has_authorization, self.accepts_json, self.accepts_xml) = (false, false, false);
        (self.method, self.values, self.form) = (None, [None; PARAMETERS.len()], Form::Xml);
    }

    /// Begins a request over HTTP.
    pub(super) fn begin(&mut self, verb: Verb, target: &[u8]) -> Result<(), HeadError> {
        self.clear();
        self.verb = verb;
        self.target = self.texts.store(target)?;
        Ok(())
    }

    /// Begins a body of `length` bytes. Returns whether there is room for it.
    pub(super) fn begin_body(&mut self, length: u32) -> bool {
        self.body = Span { start: self.texts.used, length: 0 };
        length as usize <= self.texts.free().len()
    }

    /// Stores a part of the body.
    pub(super) fn push_body(&mut self, part: &[u8]) {
        let stored = self.texts.store(part).map_or(0, |span| span.length);
        self.body.length = self.body.length.wrapping_add(stored);
    }

    /// Parses the target, and the parameters in it and in the body.
    pub(super) fn parse(&mut self) -> Result<(), AdminFailure> {
        let target = self.texts.get(self.target);
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
        // A page of another site must not send requests with the password that the browser knows.
        if self.origin.is_some_and(|origin| !self.texts.is_own_origin(origin, self.host)) {
            return Err(AdminFailure::Origin);
        }
        Ok(())
    }

    fn parse_parameters(&mut self, span: Span) -> Result<(), AdminFailure> {
        let mut start = usize::from(span.start);
        let end = start.wrapping_add(span.length.into());
        while let Some(rest) = self.texts.bytes.get_mut(start..end).filter(|rest| !rest.is_empty()) {
            let length = rest.iter().position(|byte| *byte == b'&').unwrap_or(rest.len());
            let pair = rest.get_mut(..length).unwrap_or_default();
            let name_length = pair.iter().position(|byte| *byte == b'=').unwrap_or(length);
            let (name, value) = pair.split_at_mut_checked(name_length).unwrap_or_default();
            let known = PARAMETERS.iter().find(|(known, _)| Text::new(name) == **known);
            if let (Some((_, parameter)), Some((_, value))) = (known, value.split_first_mut()) {
                let decoded = decode(value, form_byte, |_| true).ok_or(AdminFailure::Request)?;
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
        let span = self.texts.store(text.as_bytes()).map_err(|_| AdminFailure::Request)?;
        if let Some(place) = self.values.get_mut(parameter as usize) {
            *place = Some(span);
        }
        Ok(())
    }

    /// The user and the password: those of the parameters, or those of the field.
    pub(super) fn credentials(&self) -> Option<AdminCredentials<'_>> {
        let (user, password) = match (self.value(Parameter::User), self.value(Parameter::Password)) {
            (None, None) => self.texts.user_and_password(self.basic?)?,
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
        self.values.get(parameter as usize).copied().flatten().map(|span| self.texts.get(span))
    }
}

impl<const SIZE: usize> FieldReader for Request<SIZE> {
    fn read(&mut self, name: &[u8], value: &[u8], is_cut: bool) -> Result<(), HeadError> {
        let is = |other: &[u8]| name.eq_ignore_ascii_case(other);
        if is(b"authorization") {
            if core::mem::replace(&mut self.has_authorization, true) {
                return Err(HeadError::NotHttp);
            }
            self.basic = self.texts.store_basic(value, is_cut)?;
            return Ok(());
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
        let span = self.texts.store(value).ok().filter(|_| !is_cut).ok_or(HeadError::TooLong)?;
        *(if is_origin { &mut self.origin } else { &mut self.host }) = Some(span);
        Ok(())
    }
}

/// In the parameters of a form, a plus stands for a space.
const fn form_byte(byte: u8) -> u8 {
    if byte == b'+' { b' ' } else { byte }
}

/// The number of bytes of `input` that belong to a body of which `left` bytes are missing.
pub(super) fn body_part<'i>(input: &mut &'i [u8], left: &mut u32) -> &'i [u8] {
    let (part, rest) = input.split_at_checked(input.len().min(*left as usize)).unwrap_or_default();
    *input = rest;
    *left = left.wrapping_sub(low_u32(part.len()));
    part
}
