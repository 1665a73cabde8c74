//! Finds retired words: identifiers in code, phrases in comments and in Markdown.
//!
//! `words.txt` in this package holds the words. Its first lines describe its format.

mod source;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use source::{Kind, Piece};
pub use source::{Language, files};

/// A word that is not to be used any longer.
#[derive(Debug, Clone)]
struct Word {
    /// What to look for. A phrase is in lower case.
    text: String,
    /// The phrase counts only at the start of a sentence.
    starts_sentence: bool,
    /// What to use instead.
    instead: String,
}

/// An exception: `text` is allowed in the files whose path starts with `path`.
#[derive(Debug, Clone)]
struct Exception {
    path: String,
    text: String,
}

/// All retired words and the exceptions.
#[derive(Debug, Clone, Default)]
pub struct Words {
    identifiers: Vec<Word>,
    phrases: Vec<Word>,
    exceptions: Vec<Exception>,
    /// The indices of the exceptions that were used.
    used: BTreeSet<usize>,
}

/// A retired word in a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hit {
    /// The file, from the root of the project.
    pub file: PathBuf,
    /// The line, from 1 on.
    pub line: usize,
    /// The retired word.
    pub word: String,
    /// What to use instead.
    pub instead: String,
}

impl fmt::Display for Hit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {} -> {}", self.file.display(), self.line, self.word, self.instead)
    }
}

impl Words {
    /// Reads the words of this project.
    ///
    /// # Errors
    /// As [`Words::parse`].
    pub fn of_project() -> Result<Self> {
        Self::parse(include_str!("../../words.txt"))
    }

    /// Reads words in the format that `words.txt` describes.
    ///
    /// # Errors
    /// A line belongs to no section or has no `->`.
    pub fn parse(text: &str) -> Result<Self> {
        let (mut words, mut section) = (Self::default(), "");
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            if line.starts_with('[') {
                section = line;
                continue;
            }
            let (left, right) = line.split_once(" -> ").with_context(|| format!("words: no ` -> ` in: {line}"))?;
            let word = |text: String, starts_sentence| Word { text, starts_sentence, instead: right.to_owned() };
            match section {
                "[identifiers]" => words.identifiers.push(word(left.to_owned(), false)),
                "[phrases]" => {
                    let phrase = left.trim_start_matches('^');
                    let all = alternatives(phrase).into_iter();
                    words.phrases.extend(all.map(|text| word(text.to_lowercase(), phrase.len() < left.len())));
                }
                "[exceptions]" => {
                    let (path, text) = left.split_once(": ").with_context(|| format!("words: no path in: {line}"))?;
                    words.exceptions.push(Exception { path: path.to_owned(), text: text.to_owned() });
                }
                _ => bail!("words: not in a known section: {line}"),
            }
        }
        Ok(words)
    }

    /// Returns the hits in the text of one file, in the order of its lines. `file` is its path from the root of the
    /// project.
    pub fn hits(&mut self, file: &Path, language: Language, text: &str) -> Vec<Hit> {
        let mut hits = Vec::new();
        for piece in source::pieces(language, text) {
            let words = if piece.kind == Kind::Code { &self.identifiers } else { &self.phrases };
            let folded = if piece.kind == Kind::Code { piece.text.clone() } else { piece.text.to_ascii_lowercase() };
            for word in words {
                for at in occurrences(&folded, &word.text) {
                    if word.starts_sentence && !starts_sentence(&folded[..at]) {
                        continue;
                    }
                    if let Some(exception) = self.exception(file, &piece, at, word.text.len()) {
                        self.used.insert(exception);
                        continue;
                    }
                    let (line, word, instead) = (piece.line_at(at), word.text.clone(), word.instead.clone());
                    hits.push(Hit { file: file.to_owned(), line, word, instead });
                }
            }
        }
        hits.sort();
        hits
    }

    /// Returns the index of the exception that covers the `length` bytes at `at` of `piece`.
    fn exception(&self, file: &Path, piece: &Piece, at: usize, length: usize) -> Option<usize> {
        self.exceptions.iter().position(|exception| {
            file.to_string_lossy().starts_with(&exception.path)
                && (piece.text.match_indices(&exception.text))
                    .any(|(start, text)| start <= at && at + length <= start + text.len())
        })
    }

    /// Returns each exception that no file has needed so far.
    pub fn unused(&self) -> impl Iterator<Item = String> {
        let unused = self.exceptions.iter().enumerate().filter(|(index, _)| !self.used.contains(index));
        unused.map(|(_, exception)| format!("{}: {}", exception.path, exception.text))
    }
}

/// Expands `a b|c` to `a b` and `a c`.
fn alternatives(phrase: &str) -> Vec<String> {
    phrase.split(' ').fold(vec![String::new()], |starts, part| {
        let join = |start: &String, word| if start.is_empty() { String::from(word) } else { format!("{start} {word}") };
        starts.iter().flat_map(|start| part.split('|').map(move |word| join(start, word))).collect()
    })
}

/// Returns the positions of `word` in `text` as a whole word.
fn occurrences(text: &str, word: &str) -> impl Iterator<Item = usize> {
    let is_part = |character: char| character.is_alphanumeric() || character == '_';
    text.match_indices(word).map(|(at, _)| at).filter(move |&at| {
        let (before, after) = (&text[..at], &text[at + word.len()..]);
        !(word.starts_with(is_part) && before.ends_with(is_part)
            || word.ends_with(is_part) && after.starts_with(is_part))
    })
}

/// Returns whether a sentence starts after `before`.
fn starts_sentence(before: &str) -> bool {
    let before = before.trim_end();
    before.is_empty() || before.ends_with(['.', '!', '?', '|', ';', ':'])
}
