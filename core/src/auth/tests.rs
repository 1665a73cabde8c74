use std::format;
use std::string::{String, ToString};
use std::time::Duration;

use super::*;
use crate::amf0::Text;
use crate::time::Instant;

const USER: Credentials<'_> = Credentials { user: "cam", password: "s3cret" };
const NEED: &str = "[ AccessManager.Reject ] : [ code=403 need auth; authmod=adobe ] : ";
const NONCE: [u8; 8] = [0x01, 0x23, 0x45, 0x67, 0x89, 0xAB, 0xCD, 0xEF];
const START: Instant = Instant::from_millis(7_000);

fn answered(descriptions: &[&str], app: &str) -> Result<String, AuthError> {
    let mut client = Authenticator::<384>::new();
    for description in descriptions {
        assert!(client.answer((*description).into(), app, &USER, &NONCE)?, "{description}");
    }
    Ok(client.app().unwrap().to_string())
}

#[test]
fn item_095_the_answer_is_the_hash_of_user_salt_password_and_both_challenges() {
    assert_eq!(answered(&[NEED], "live").unwrap(), "live?authmod=adobe&user=cam");
    // The responses were computed with Python's hashlib and base64.
    let opaque =
        "[ AccessManager.Reject ] : [ authmod=adobe ] : ?reason=needauth&user=cam&salt=xyz==&challenge=C1&opaque=O1";
    assert_eq!(
        answered(&[NEED, opaque], "live").unwrap(),
        "live?authmod=adobe&user=cam&challenge=0123456789abcdef&response=bHqXc2OAd/LskBc0gtRqMQ==&opaque=O1"
    );
    let challenge = "[ AccessManager.Reject ] : [ authmod=adobe ] : ?challenge=C1&salt=xyz==&user=cam&reason=needauth";
    assert_eq!(
        answered(&[challenge], "live?x=y").unwrap(),
        "live?x=y?authmod=adobe&user=cam&challenge=0123456789abcdef&response=//ZxxW6zbOSYNOZKWf2P7A=="
    );
}

#[test]
fn item_096_limelight_gets_a_digest_of_the_application_and_its_instance() {
    let need = "[ AccessManager.Reject ] : [ code=403 need auth; authmod=llnw ] : ";
    let nonce = "[ AccessManager.Reject ] : [ authmod=llnw ] : ?reason=needauth&user=cam&nonce=N1";
    assert_eq!(
        answered(&[need, nonce], "live").unwrap(),
        "live?authmod=llnw&user=cam&nonce=N1&cnonce=0123456789abcdef&nc=00000001&response=a474f3b4dadc230105456057ee1bcf33"
    );
    assert_eq!(
        answered(&[need, nonce], "live/x?y").unwrap(),
        "live/x?y?authmod=llnw&user=cam&nonce=N1&cnonce=0123456789abcdef&nc=00000001&response=ad311b0f4fbae816f31a004ffb2d914b"
    );
}

#[test]
fn item_095_a_refused_client_gives_up() {
    let rejected = "[ AccessManager.Reject ] : [ authmod=adobe ] : ?reason=authfailed&opaque=x";
    let need = "?reason=needauth&user=cam&salt=s&challenge=c [ authmod=adobe ]";
    assert_eq!(answered(&[NEED, rejected], "a"), Err(AuthError::Rejected));
    assert_eq!(answered(&["?reason=authfailed"], "a"), Err(AuthError::Rejected));
    assert_eq!(answered(&["authmod=adobe ?reason=nosuchuser"], "a"), Err(AuthError::UnknownUser));
    assert_eq!(answered(&["code=403 need auth; authmod=kerberos"], "a"), Err(AuthError::Kind));
    assert_eq!(answered(&[NEED, NEED], "a"), Err(AuthError::Challenge));
    assert_eq!(answered(&[need, need, need], "a"), Err(AuthError::Challenge));
    for incomplete in ["authmod=adobe?reason=needauth&challenge=c", "authmod=adobe?reason=needauth&salt=s"] {
        assert_eq!(answered(&[NEED, incomplete], "a"), Err(AuthError::Challenge), "{incomplete}");
    }
    assert_eq!(answered(&["authmod=llnw?reason=needauth"], "a"), Err(AuthError::Challenge));
    assert_eq!(answered(&[NEED], &"a".repeat(400)), Err(AuthError::TooLong));
    let mut client = Authenticator::<384>::new();
    for user in ["a&response=x", "a?b", "a b", "a\n"] {
        let credentials = Credentials { user, ..USER };
        assert_eq!(client.answer(NEED.into(), "a", &credentials, &NONCE), Err(AuthError::User), "{user}");
    }
}

#[test]
fn other_refusals_are_not_about_authentication() {
    let mut client = Authenticator::<384>::new();
    for other in
        ["", "Connect to another server.", "authmod=adobe", "?reason=", "?reason=full", "authmod=adobe?reason=x"]
    {
        assert_eq!(client.answer(other.into(), "live", &USER, &NONCE), Ok(false), "{other}");
    }
    assert_eq!(client.app(), None);
}

struct Server {
    challenger: Challenger<4>,
    made: u8,
}

impl Server {
    fn new() -> Self {
        Self { challenger: Challenger::new([7; 32]), made: 0 }
    }

    /// Returns the description of a refusal, and whether it counts as a failure. Returns `None` if the client is
    /// accepted.
    fn check(&mut self, now: Instant, app: &str) -> Option<(String, bool)> {
        self.made += 1;
        let mut text = [0; Challenger::<4>::DESCRIPTION];
        let password = |user: &str| (user == USER.user).then_some(USER.password);
        match self.challenger.check(now, &[self.made; 8], app.into(), password, &mut text) {
            Verdict::Accept => None,
            Verdict::Reject { description, is_failure } => Some((description.to_string(), is_failure)),
        }
    }

    /// Returns the application with the answer of a client to a new challenge.
    fn challenged(&mut self, now: Instant, credentials: &Credentials<'_>) -> String {
        let (mut client, mut app) = (Authenticator::<384>::new(), "live".to_string());
        for _ in 0..2 {
            let (description, is_failure) = self.check(now, &app).unwrap();
            assert!(!is_failure);
            assert!(client.answer((*description).into(), "live", credentials, &NONCE).unwrap());
            app = client.app().unwrap().to_string();
        }
        app
    }
}

fn later(seconds: u64) -> Instant {
    START + Duration::from_secs(seconds)
}

#[test]
fn item_095_a_server_accepts_the_right_password_once() {
    let mut server = Server::new();
    let app = server.challenged(START, &USER);
    assert_eq!(Challenger::<4>::user((*app).into()), Some("cam"));
    assert_eq!(server.check(later(29), &app), None);
    let (description, is_failure) = server.check(later(29), &app).unwrap();
    assert!(description.ends_with("?reason=authfailed") && !is_failure, "{description}");
}

#[test]
fn item_095_the_application_may_have_a_query() {
    let mut server = Server::new();
    let app = server.challenged(START, &USER);
    assert_eq!(server.check(START, &app.replace("live?", "live?x=y?")), None);
    let app = server.challenged(START, &USER);
    assert_eq!(server.check(START, &app.replace("live?", "live?x=y&")), None);
}

#[test]
fn item_095_a_wrong_password_and_an_unknown_user_get_the_same_answers() {
    let mut server = Server::new();
    let shape = |text: &str| text.split('=').map(|part| part.len()).collect::<std::vec::Vec<_>>();
    let mut shapes = std::vec::Vec::new();
    for credentials in [Credentials { password: "wrong", ..USER }, Credentials { user: "dog", password: "s3cret" }] {
        let (asked, _) = server.check(START, &format!("live?authmod=adobe&user={}", credentials.user)).unwrap();
        let (again, _) = server.check(START, &format!("live?authmod=adobe&user={}", credentials.user)).unwrap();
        let salt = |text: &str| text.split("salt=").nth(1).unwrap().split('&').next().unwrap().to_string();
        assert_eq!(salt(&asked), salt(&again));
        let app = server.challenged(START, &credentials);
        let refused = server.check(START, &app).unwrap();
        assert!(refused.1);
        shapes.push((shape(&asked), refused));
    }
    assert_eq!(shapes[0], shapes[1]);
}

#[test]
fn item_095_a_challenge_is_ours_young_and_for_one_user() {
    let mut server = Server::new();
    let app = server.challenged(START, &USER);
    assert!(server.check(later(30), &app).is_some(), "too old");
    assert!(server.check(Instant::from_millis(6_999), &app).is_some(), "from the future");
    let mut other = Server { challenger: Challenger::new([8; 32]), made: 0 };
    assert!(other.check(START, &app).is_some(), "of another server");
    assert!(server.check(START, &app.replace("user=cam", "user=dog")).is_some(), "of another user");
    assert!(server.check(START, &app.replace("opaque=", "opaque=A")).is_some(), "changed");
    assert_eq!(server.check(START, &app), None);
    // Wrong answers take no place, and leave the challenge valid.
    let app = server.challenged(START, &USER);
    for (from, to) in [("response=", "response=A"), ("&challenge=", "&challenge=A")].into_iter().cycle().take(9) {
        assert!(server.check(START, &app.replace(from, to)).is_some_and(|(_, is_failure)| is_failure), "{to}");
    }
    assert_eq!(server.check(START, &app), None);
}

#[test]
fn item_384_bytes_after_the_hash_of_an_answer_are_ignored() {
    let mut server = Server::new();
    let app = server.challenged(START, &USER);
    let (start, end) = app.split_once("&opaque").unwrap();
    let hash = start.split_once("&response=").unwrap().1;
    assert!(server.check(START, &app.replace(hash, &hash[..23])).is_some_and(|(_, is_failure)| is_failure));
    assert!(server.check(START, &app.replace(hash, "")).is_some_and(|(_, is_failure)| is_failure));
    assert_eq!(server.check(START, &format!("{start}\u{80}\u{7}\u{7F}&opaque{end}")), None);
}

#[test]
fn item_095_answers_that_find_no_room_are_refused() {
    let mut server = Server::new();
    let apps: std::vec::Vec<_> = (0..5).map(|_| server.challenged(START, &USER)).collect();
    for app in &apps[..4] {
        assert_eq!(server.check(START, app), None);
    }
    let refused = server.check(START, &apps[4]).unwrap();
    assert!(refused.0.ends_with("authfailed") && !refused.1);
    // The room is free again when the challenges are too old.
    let app = server.challenged(later(30), &USER);
    assert_eq!(server.check(later(30), &app), None);
}

#[test]
fn hostile_queries_are_asked_to_authenticate() {
    let mut server = Server::new();
    let long = format!("live?authmod=adobe&user={}", "u".repeat(65));
    for app in ["", "?", "live?authmod=llnw&user=a", "live?authmod=adobe", "live?authmod=adobe&user=", &long] {
        assert_eq!(server.check(START, app), Some((NEED.to_string(), false)), "{app}");
    }
    let mut text = [0; 300];
    let app = Text::new(b"live?authmod=adobe&user=\xFF\xFE");
    let verdict = server.challenger.check(START, &NONCE, app, |_| None, &mut text);
    assert_eq!(verdict, Verdict::Reject { description: NEED, is_failure: false });
    let long = format!("live?authmod=adobe&user={}", "u".repeat(64));
    let (description, _) = server.check(START, &long).unwrap();
    assert!(description.contains("&opaque=") && description.len() <= Challenger::<4>::DESCRIPTION);
}

#[test]
fn an_address_waits_longer_after_each_wrong_answer() {
    let mut failures = Failures::<2>::new();
    let [address, same_network, other] = [1, 2, 3].map(|host| {
        let mut address = [0; 16];
        (address[7], address[15]) = (host / 3, host);
        address
    });
    let mut now = START;
    let mut waits = std::vec::Vec::new();
    for _ in 0..13 {
        failures.note_failure(now, address);
        let before = now;
        while !failures.may_try(now, same_network) {
            assert!(failures.may_try(now, other));
            now = now + Duration::from_millis(500);
        }
        waits.push(now.saturating_duration_since(before).as_millis() / 500);
    }
    assert_eq!(waits, [0, 0, 0, 0, 2, 4, 8, 16, 32, 64, 120, 120, 120]);
    failures.note_success(same_network);
    failures.note_failure(now, address);
    assert!(failures.may_try(now, address));
}

#[test]
fn the_failures_of_the_address_that_may_try_first_are_forgotten() {
    let mut failures = Failures::<2>::new();
    let mapped = |host| [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 10, 0, 0, host];
    for (host, times) in [(1, 7), (2, 6), (3, 5)] {
        (0..times).for_each(|_| failures.note_failure(START, mapped(host)));
    }
    assert!(!failures.may_try(START, mapped(1)));
    assert!(failures.may_try(START, mapped(2)));
    assert!(!failures.may_try(START, mapped(3)));
}
