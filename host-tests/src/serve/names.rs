//! What a recording is called.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// Characters that are taken of the application, and of the key.
const LONGEST: usize = 100;

/// How often a name may come again.
const MOST: u32 = 100_000;

/// Only what is harmless in a file's name, and not too much of it.
fn sanitized(text: &[u8]) -> String {
    let harmless = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    text.iter().copied().filter(harmless).take(LONGEST).map(char::from).collect()
}

/// Creates the file for a stream: `APP-KEY.flv`, or `APP-KEY-2.flv` and so on where there is one already. An existing
/// file is never written to, nor is a link followed.
pub(super) fn create(directory: &Path, app: &[u8], key: &[u8]) -> io::Result<(PathBuf, File)> {
    let stem = format!("{}-{}", sanitized(app), sanitized(key));
    for number in 1..MOST {
        let name = if number == 1 { format!("{stem}.flv") } else { format!("{stem}-{number}.flv") };
        let path = directory.join(name);
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(file) => return Ok((path, file)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn created(directory: &Path, app: &[u8], key: &[u8]) -> String {
        let (path, _) = create(directory, app, key).unwrap();
        assert_eq!(path.parent(), Some(directory));
        path.file_name().unwrap().to_str().unwrap().to_owned()
    }

    #[test]
    fn a_name_has_only_letters_digits_and_three_signs() {
        let directory = tempfile::tempdir().unwrap();
        let mut names = Vec::new();
        for (app, key) in [
            (&b"live"[..], &b"x"[..]),
            (b"..", b"../../etc/passwd"),
            (b"", b""),
            (b"a/b", b"c?d=e f"),
            (b"li\0ve", b"\xff\xfe\xc3\xa9-_."),
            (b"/", b"-"),
        ] {
            names.push(created(directory.path(), app, key));
        }
        assert_eq!(names, ["live-x.flv", "..-....etcpasswd.flv", "-.flv", "ab-cdef.flv", "live--_..flv", "--.flv"]);
    }

    #[test]
    fn a_name_that_comes_again_gets_a_number() {
        let directory = tempfile::tempdir().unwrap();
        let next = || created(directory.path(), b"live", b"x");
        assert_eq!([next(), next(), next()], ["live-x.flv", "live-x-2.flv", "live-x-3.flv"]);
    }

    #[test]
    fn a_name_is_not_too_long_for_a_file_system() {
        let directory = tempfile::tempdir().unwrap();
        let long = vec![b'a'; 70_000];
        created(directory.path(), &long, &long);
        assert!(created(directory.path(), &long, &long).len() < 255);
    }
}
