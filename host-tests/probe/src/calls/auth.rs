calls! {
    #[cfg(feature = "auth")]
    auth:
    drive {
        auth::Authenticator::<384>::answer,
        auth::Authenticator::<384>::app,
        auth::Authenticator::<384>::new,
        auth::Challenger::<64>::new,
        auth::Challenger::<64>::user,
        auth::Failures::<16>::may_try,
        auth::Failures::<16>::new,
        auth::Failures::<16>::note_failure,
        auth::Failures::<16>::note_success,
        auth::Failures::<16>::wait,
        <auth::Authenticator<384> as Default>::default,
        <auth::Failures<16> as Default>::default,
    }
    drive_as {
        <auth::Challenger<64> as Drop>::drop => |challenger: auth::Challenger<64>| drop(challenger),
        auth::Challenger::<64>::check => |challenger: &mut auth::Challenger<64>, now, nonce, app, text: &'static mut [u8]| {
            challenger.check(now, nonce, app, |user| (user == "user").then_some("password"), text)
        },
    }
    display {
        auth::AuthError,
    }
    format {
        auth::AuthError,
        auth::Authenticator<384>,
        auth::Challenger<64>,
        auth::Credentials,
        auth::Failures<16>,
        auth::Verdict,
    }
}
