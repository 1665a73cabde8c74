//! Divides files into code and prose.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The language of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// Rust.
    Rust,
    /// TOML or a shell script: comments start with `#`.
    Hash,
    /// Markdown.
    Markdown,
}

impl Language {
    /// Returns the language of a file, or `None` if words are not looked for in it.
    pub fn of(path: &Path, text: &str) -> Option<Self> {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("rs") => Some(Self::Rust),
            Some("toml") => Some(Self::Hash),
            Some("md") => Some(Self::Markdown),
            None if text.starts_with("#!") => Some(Self::Hash),
            _ => None,
        }
    }

    /// Returns the language of a fenced block from the name after its backticks.
    fn of_fence(info: &str, default: Option<Self>) -> Option<Self> {
        match info.split([',', ' ']).next() {
            Some("") => default,
            Some("rust" | "no_run" | "ignore" | "compile_fail" | "should_panic") => Some(Self::Rust),
            Some("toml" | "sh" | "bash" | "console") => Some(Self::Hash),
            _ => None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Code,
    Prose,
}

/// A line of code without its strings, or a paragraph.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    pub(super) kind: Kind,
    /// The lines of a paragraph are joined by one space each.
    pub(super) text: String,
    /// Where in `text` a line begins, and its number.
    lines: Vec<(usize, usize)>,
}

impl Piece {
    fn new(kind: Kind, line: usize, text: &str) -> Self {
        Self { kind, text: text.to_owned(), lines: vec![(0, line)] }
    }

    /// Returns the line of a byte of the text.
    pub(super) fn line_at(&self, at: usize) -> usize {
        self.lines.iter().rev().find(|(start, _)| *start <= at).map_or(0, |(_, line)| *line)
    }
}

/// Returns the files of the project at `root` that have a [`Language`], with their texts, in the order of their paths.
/// Leaves out what is built, captured or licensed.
///
/// # Errors
/// A file or a folder cannot be read.
pub fn files(root: &Path) -> Result<Vec<(PathBuf, Language, String)>> {
    let (mut files, mut folders) = (Vec::new(), vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let entry = entry?;
            let (path, name) = (entry.path(), entry.file_name());
            let name = name.to_string_lossy();
            if entry.file_type()?.is_dir() {
                if !matches!(&*name, "target" | "captures" | "corpus" | "artifacts" | "node_modules" | ".git") {
                    folders.push(path);
                }
            } else if !name.starts_with("LICENSE")
                && let Ok(text) = fs::read_to_string(&path)
                && let Some(language) = Language::of(&path, &text)
            {
                files.push((path.strip_prefix(root).unwrap_or(&path).to_owned(), language, text));
            }
        }
    }
    files.sort_by(|one, other| one.0.cmp(&other.0));
    Ok(files)
}

/// Divides the text of a file.
pub(super) fn pieces(language: Language, text: &str) -> Vec<Piece> {
    let lines: Vec<(usize, &str)> = text.lines().enumerate().map(|(index, line)| (index + 1, line)).collect();
    divide(language, &lines)
}

fn divide(language: Language, lines: &[(usize, &str)]) -> Vec<Piece> {
    match language {
        Language::Markdown => prose(lines, None),
        Language::Rust | Language::Hash => source(language, lines),
    }
}

/// What the last line of source ended in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Code,
    /// A block comment, and how deep it is.
    Block(usize),
    /// A string, the character that ends it, and the number of `#` after that. In a raw string `\` escapes nothing.
    Text {
        end: char,
        hashes: usize,
        is_raw: bool,
    },
}

/// Divides source into lines of code, and groups of lines that have only a comment.
fn source<'t>(language: Language, lines: &[(usize, &'t str)]) -> Vec<Piece> {
    let (mut state, mut found) = (State::Code, Vec::new());
    let mut group: Vec<(usize, &'t str)> = Vec::new();
    for &(number, line) in lines {
        let (code, comment, next) = split(language, state, line);
        state = next;
        let has_code = !code.trim().is_empty();
        if has_code {
            found.push(Piece::new(Kind::Code, number, &code));
        }
        if has_code || comment.is_none() {
            found.extend(prose(&std::mem::take(&mut group), Some(Language::Rust)));
        }
        if let Some(comment) = comment {
            group.push((number, comment));
        }
        if has_code {
            found.extend(prose(&std::mem::take(&mut group), None));
        }
    }
    found.extend(prose(&group, Some(Language::Rust)));
    found
}

/// Splits a line of source into its code, with each string left empty, and its comment.
fn split(language: Language, mut state: State, line: &str) -> (String, Option<&str>, State) {
    let (mut code, mut rest) = (String::new(), line);
    while let Some(character) = rest.chars().next() {
        let mut length = character.len_utf8();
        match state {
            State::Block(depth) => {
                // The comment may end on this line. Code after it is rare, and counts as comment.
                let depth = depth + rest.matches("/*").count();
                let closed = rest.matches("*/").count();
                let next = if closed < depth { State::Block(depth - closed) } else { State::Code };
                return (code, Some(rest), next);
            }
            State::Text { end, hashes, is_raw } => {
                if character == '\\' && !is_raw {
                    length += rest.chars().nth(1).map_or(0, char::len_utf8);
                } else if character == end && rest[1..].bytes().take_while(|byte| *byte == b'#').count() >= hashes {
                    length += hashes;
                    code.push(end);
                    state = State::Code;
                }
            }
            State::Code if language == Language::Rust && rest.starts_with("//") => {
                return (code, Some(rest.trim_start_matches('/').trim_start_matches('!')), state);
            }
            State::Code if language == Language::Rust && rest.starts_with("/*") => {
                length = 2;
                state = State::Block(1);
            }
            State::Code
                if language == Language::Hash && character == '#' && !code.ends_with(|c: char| !c.is_whitespace()) =>
            {
                return (code, Some(rest.trim_start_matches(['#', '!'])), state);
            }
            State::Code => {
                code.push(character);
                if character == '"' || character == '\'' && opens_text(language, rest) {
                    let before = code[..code.len() - 1].trim_end_matches('#');
                    let hashes = code.len() - 1 - before.len();
                    let is_raw = match language {
                        Language::Rust => before.ends_with('r'),
                        _ => character == '\'',
                    };
                    state = State::Text { end: character, hashes: if is_raw { hashes } else { 0 }, is_raw };
                } else if language == Language::Hash && character == '\\' {
                    length += rest.chars().nth(1).map_or(0, char::len_utf8);
                }
            }
        }
        rest = &rest[length..];
    }
    (code, None, state)
}

/// Returns whether the quote at the start of `rest` opens a text: in Rust it may be a lifetime's.
fn opens_text(language: Language, rest: &str) -> bool {
    language == Language::Hash || rest[1..].starts_with('\\') || rest.chars().nth(2) == Some('\'')
}

/// Divides prose into paragraphs; headings, list items and table rows are paragraphs of their own. A fenced block is
/// source; `default` is its language if it names none.
fn prose(lines: &[(usize, &str)], default: Option<Language>) -> Vec<Piece> {
    let mut found: Vec<Piece> = Vec::new();
    // The lines of a fenced block, and its language.
    let mut fence: Option<Vec<(usize, &str)>> = None;
    let mut language = None;
    let mut is_open = false;
    for &(number, line) in lines {
        let text = line.trim();
        if let Some(info) = text.strip_prefix("```") {
            match fence.take() {
                None => (fence, language) = (Some(Vec::new()), Language::of_fence(info.trim(), default)),
                Some(lines) => found.extend(language.into_iter().flat_map(|language| divide(language, &lines))),
            }
            is_open = false;
        } else if let Some(lines) = &mut fence {
            lines.push((number, line));
        } else if text.is_empty() {
            is_open = false;
        } else {
            let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
            let content = words.trim_start_matches(['-', '*', '#', '>', ' ']);
            match found.last_mut().filter(|_| is_open && content.len() == words.len() && !text.starts_with('|')) {
                Some(piece) => {
                    piece.lines.push((piece.text.len() + 1, number));
                    piece.text.push(' ');
                    piece.text.push_str(content);
                }
                None => found.push(Piece::new(Kind::Prose, number, content)),
            }
            is_open = true;
        }
    }
    found
}
