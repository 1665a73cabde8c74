// The functions of the feature `rtmpe`, from all modules.
calls! {
    #[cfg(feature = "rtmpe")]
    crypt:
    drive {
        <crypt::AgreementLimit as Default>::default,
        crypt::AgreementLimit::every,
        crypt::AgreementLimit::try_begin,
        crypt::Cipher::consume,
        crypt::Cipher::decipher,
        crypt::Cipher::encipher,
        crypt::KeyPair::new,
        crypt::KeyPair::public_key,
        handshake::Handshake::agree,
        handshake::Handshake::awaits_keys,
        handshake::Handshake::encrypt,
        session::Client::<8, 2, 4>::agree,
        session::Client::<8, 2, 4>::awaits_keys,
        session::Client::<8, 2, 4>::encrypt,
        session::Server::<8>::agree,
        session::Server::<8>::awaits_keys,
    }
    drive_as {}
    display {}
    format {
        crypt::AgreementLimit,
        crypt::Cipher,
        crypt::KeyPair,
    }
}
