//! The command line.

/// The command of the firmware.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command<'a> {
    /// Publish the clip.
    Publish(Publish<'a>),
    /// Accept publishers, and check what they send.
    Serve(Serve<'a>),
    /// Test the ports of the URL's host.
    Ports(&'a str),
    /// Measure.
    Bench(Bench),
}

/// How to publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Publish<'a> {
    /// Where to.
    pub url: &'a str,
    /// As fast as the server reads, not in real time.
    pub fast: bool,
    /// How often the clip is sent, one after the other, in one stream.
    pub loops: u32,
    /// The SHA-256 hash of the server's key, for TLS.
    pub pin: Option<[u8; 32]>,
}

/// How to serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Serve<'a> {
    /// How many publishers until the end; `None`: for ever.
    pub publishers: Option<u32>,
    /// Also publish the clip.
    pub clip: bool,
    /// The only client that may connect; `None`: every client.
    pub credentials: Option<Credentials<'a>>,
    /// The password of the administrator. `None`: there is no administration.
    pub admin_password: Option<&'a str>,
}

/// A user and a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Credentials<'a> {
    /// The name.
    pub user: &'a str,
    /// The password.
    pub password: &'a str,
}

/// What to measure. The program on the host starts this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bench {
    /// The host's IPv4 address.
    pub host: u32,
    /// Its ports: one that takes bytes, one that takes RTMP, one that gives bytes, one that begins to publish to us.
    pub ports: [u16; 4],
    /// How many messages each measurement has.
    pub messages: usize,
    /// How often everything is measured.
    pub pairs: u32,
}

/// Why a command line is invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum BadArguments<'a> {
    /// There is no command.
    NoCommand,
    /// The word is no command or option.
    Unknown(&'a str),
    /// The option has no number behind it.
    NoNumber(&'a str),
    /// The option has no word behind it.
    NoWord(&'a str),
    /// There is no URL.
    NoUrl,
    /// `--user` has no name and password behind it.
    NoPassword,
}

/// Reads the words of a command line, without the program's name.
///
/// # Errors
/// It means nothing.
pub fn parse<'a>(mut words: impl Iterator<Item = &'a str>) -> Result<Command<'a>, BadArguments<'a>> {
    match words.next().ok_or(BadArguments::NoCommand)? {
        "publish" => {
            let (mut url, mut fast, mut loops, mut pin) = (None, false, 1, None);
            while let Some(word) = words.next() {
                match word {
                    "--fast" => fast = true,
                    "--loops" => loops = number(word, &mut words)?,
                    "--pin" => pin = Some(hash(word, &mut words)?),
                    word if !word.starts_with('-') && url.is_none() => url = Some(word),
                    word => return Err(BadArguments::Unknown(word)),
                }
            }
            Ok(Command::Publish(Publish { url: url.ok_or(BadArguments::NoUrl)?, fast, loops, pin }))
        }
        "serve" => {
            let (mut publishers, mut clip, mut credentials, mut admin_password) =
                (None, cfg!(feature = "web"), None, None);
            while let Some(word) = words.next() {
                match word {
                    "--once" => publishers = Some(1),
                    "--publishers" => publishers = Some(number(word, &mut words)?),
                    "--clip" => clip = true,
                    "--user" if cfg!(feature = "auth") => {
                        let (Some(user), Some(password)) = (words.next(), words.next()) else {
                            return Err(BadArguments::NoPassword);
                        };
                        credentials = Some(Credentials { user, password });
                    }
                    "--admin-password" if cfg!(feature = "admin") => {
                        admin_password = Some(words.next().ok_or(BadArguments::NoWord(word))?);
                    }
                    word => return Err(BadArguments::Unknown(word)),
                }
            }
            Ok(Command::Serve(Serve { publishers, clip, credentials, admin_password }))
        }
        "ports" => match (words.next(), words.next()) {
            (None, _) => Err(BadArguments::NoUrl),
            (Some(url), None) => Ok(Command::Ports(url)),
            (_, Some(word)) => Err(BadArguments::Unknown(word)),
        },
        "bench" => {
            let host = words.next().and_then(|word| word.parse::<core::net::Ipv4Addr>().ok());
            let mut numbers = [0_u32; 6];
            for place in &mut numbers {
                *place = number("bench", &mut words)?;
            }
            let [a, b, c, d, messages, pairs] = numbers;
            let ports = [a, b, c, d].map(|port| port as u16);
            let host = host.ok_or(BadArguments::NoUrl)?.to_bits();
            Ok(Command::Bench(Bench { host, ports, messages: messages as usize, pairs }))
        }
        word => Err(BadArguments::Unknown(word)),
    }
}

/// Reads 64 hexadecimal digits.
fn hash<'a>(option: &'a str, words: &mut impl Iterator<Item = &'a str>) -> Result<[u8; 32], BadArguments<'a>> {
    let digits = words.next().filter(|word| word.len() == 64 && word.is_ascii());
    let digits = digits.ok_or(BadArguments::NoNumber(option))?;
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks(2)) {
        let pair = core::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok());
        *byte = pair.ok_or(BadArguments::NoNumber(option))?;
    }
    Ok(bytes)
}

fn number<'a>(option: &'a str, words: &mut impl Iterator<Item = &'a str>) -> Result<u32, BadArguments<'a>> {
    words.next().and_then(|word| word.parse().ok()).ok_or(BadArguments::NoNumber(option))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Command<'_>, BadArguments<'_>> {
        parse(line.split_whitespace())
    }

    #[test]
    fn publish_takes_a_url_and_options() {
        let url = "rtmp://10.0.2.2/live/cam";
        let plain = Publish { url, fast: false, loops: 1, pin: None };
        assert_eq!(parsed("publish rtmp://10.0.2.2/live/cam"), Ok(Command::Publish(plain)));
        let all = Ok(Command::Publish(Publish { fast: true, loops: 3, ..plain }));
        assert_eq!(parsed("publish --fast rtmp://10.0.2.2/live/cam --loops 3"), all);
        let digits = "0fAB".repeat(16);
        let line = ["publish rtmp://10.0.2.2/live/cam --pin ", &digits].concat();
        let pin = [[0x0F, 0xAB]; 16].as_flattened().try_into().ok();
        assert_eq!(parsed(&line), Ok(Command::Publish(Publish { pin, ..plain })));
        assert_eq!(parsed(&line[..line.len() - 1]), Err(BadArguments::NoNumber("--pin")));
        assert_eq!(parsed(&line.replace("0f", "0x")), Err(BadArguments::NoNumber("--pin")));
    }

    #[test]
    fn serve_counts_publishers() {
        let forever = Serve { publishers: None, clip: false, credentials: None, admin_password: None };
        assert_eq!(parsed("serve"), Ok(Command::Serve(forever)));
        assert_eq!(parsed("serve --once"), Ok(Command::Serve(Serve { publishers: Some(1), ..forever })));
        let both = Serve { publishers: Some(4), clip: true, ..forever };
        assert_eq!(parsed("serve --publishers 4 --clip"), Ok(Command::Serve(both)));
        let admin = Ok(Command::Serve(Serve { admin_password: Some("x"), ..forever }));
        let unknown = Err(BadArguments::Unknown("--admin-password"));
        assert_eq!(parsed("serve --admin-password x"), if cfg!(feature = "admin") { admin } else { unknown });
        assert_eq!(parsed("serve me"), Err(BadArguments::Unknown("me")));
    }

    #[test]
    fn serve_takes_a_user_and_a_password_if_it_is_built_with_authentication() {
        let (line, is_built) = ("serve --user cam s3cret", cfg!(feature = "auth"));
        let credentials = Some(Credentials { user: "cam", password: "s3cret" });
        let serve = Ok(Command::Serve(Serve { publishers: None, clip: false, credentials, admin_password: None }));
        assert_eq!(parsed(line), if is_built { serve } else { Err(BadArguments::Unknown("--user")) });
        if is_built {
            assert_eq!(parsed("serve --user cam"), Err(BadArguments::NoPassword));
        }
    }

    #[test]
    fn the_port_test_takes_a_url() {
        assert_eq!(parsed("ports rtmp://10.0.2.2"), Ok(Command::Ports("rtmp://10.0.2.2")));
        assert_eq!(parsed("ports"), Err(BadArguments::NoUrl));
        assert_eq!(parsed("ports a b"), Err(BadArguments::Unknown("b")));
    }

    #[test]
    fn bench_has_its_places() {
        let bench = Bench { host: 0x0A00_0202, ports: [1, 2, 3, 4], messages: 50, pairs: 5 };
        assert_eq!(parsed("bench 10.0.2.2 1 2 3 4 50 5"), Ok(Command::Bench(bench)));
        assert_eq!(parsed("bench 10.0.2.2 1 2 3 4"), Err(BadArguments::NoNumber("bench")));
        assert_eq!(parsed("bench here 1 2 3 4 50 5"), Err(BadArguments::NoUrl));
    }

    #[test]
    fn what_means_nothing_is_an_error() {
        assert_eq!(parsed(""), Err(BadArguments::NoCommand));
        assert_eq!(parsed("dance"), Err(BadArguments::Unknown("dance")));
        assert_eq!(parsed("publish"), Err(BadArguments::NoUrl));
        assert_eq!(parsed("publish a b"), Err(BadArguments::Unknown("b")));
        assert_eq!(parsed("publish a --slow"), Err(BadArguments::Unknown("--slow")));
        assert_eq!(parsed("publish a --loops"), Err(BadArguments::NoNumber("--loops")));
        assert_eq!(parsed("publish a --loops many"), Err(BadArguments::NoNumber("--loops")));
    }
}
