use std::path::Path;

use super::{Hit, Language, Words};

const DATA: &str = "
[identifiers]
kept -> cached
verbs! -> a trait

[phrases]
whoever -> the actor
^who -> the actor
answers how|` -> returns
in place of -> instead of

[exceptions]
src/ok.rs: kept -> an option of a tool
src/ok.rs: standing in place of it -> a place
";

fn hits_at(file: &str, language: Language, text: &str) -> Vec<(usize, String)> {
    let mut words = Words::parse(DATA).unwrap();
    words.hits(Path::new(file), language, text).into_iter().map(|hit| (hit.line, hit.word)).collect()
}

fn rust(text: &str) -> Vec<(usize, String)> {
    hits_at("src/lib.rs", Language::Rust, text)
}

fn hit(line: usize, word: &str) -> (usize, String) {
    (line, word.to_owned())
}

#[test]
fn an_identifier_is_a_hit_in_code_as_a_whole_word() {
    assert_eq!(rust("let a = 1;\nlet kept = self.kept;"), [hit(2, "kept"), hit(2, "kept")]);
    assert_eq!(rust("let kept_headers = unkept + Kept + kept2;"), []);
    assert_eq!(rust("verbs! { a }"), [hit(1, "verbs!")]);
    assert_eq!(rust("verbs(a)"), []);
}

#[test]
fn an_identifier_in_a_comment_is_no_hit() {
    assert_eq!(rust("// it is kept\n/// kept\nlet a = 1; // kept\n/* kept\nkept */ //! kept"), []);
}

#[test]
fn an_identifier_in_a_string_is_no_hit() {
    assert_eq!(rust(r#"let a = "kept \" kept"; let b = '"'; kept();"#), [hit(1, "kept")]);
    assert_eq!(rust("let a = r#\"kept \" kept\"#; let b = b\"kept\";"), []);
    assert_eq!(rust("let a = \"x\nkept\nkept\"; fn b<'a>(c: &'a u8) { kept }"), [hit(3, "kept")]);
}

#[test]
fn a_phrase_is_a_hit_in_comments_and_not_in_code_or_strings() {
    assert_eq!(
        rust("/// Whoever\nfn whoever() { log(\"whoever\"); } // whoever"),
        [hit(1, "whoever"), hit(2, "whoever")]
    );
    assert_eq!(rust("/* a\nwhoever */"), [hit(2, "whoever")]);
}

#[test]
fn a_phrase_may_go_on_in_the_next_line_of_a_comment() {
    assert_eq!(rust("// stands in\n// place of it"), [hit(1, "in place of")]);
    assert_eq!(rust("let a = 1; // stands in\nlet b = 1; // place of it"), []);
    assert_eq!(rust("// stands in\n//\n// place of it"), []);
}

#[test]
fn alternatives_of_a_phrase_are_hits() {
    assert_eq!(rust("/// Answers how much, answers `None`."), [hit(1, "answers `"), hit(1, "answers how")]);
    assert_eq!(rust("/// The peer answers."), []);
}

#[test]
fn a_phrase_with_a_caret_counts_at_the_start_of_a_sentence() {
    assert_eq!(rust("/// Who comes. Who goes; the one who stays."), [hit(1, "who"), hit(1, "who")]);
    assert_eq!(rust("/// Those\n/// who stay."), []);
    assert_eq!(hits_at("a.md", Language::Markdown, "- Who comes\n\n| a | who |\n"), [hit(1, "who"), hit(3, "who")]);
}

#[test]
fn markdown_is_prose_and_its_fenced_blocks_are_source() {
    let text = "kept whoever\n```rust\nkept(); // whoever\n```\n```text\nkept whoever\n```\nin\nplace of";
    let expected = [hit(1, "whoever"), hit(3, "kept"), hit(3, "whoever"), hit(8, "in place of")];
    assert_eq!(hits_at("a.md", Language::Markdown, text), expected);
}

#[test]
fn examples_in_documentation_are_source() {
    assert_eq!(rust("/// Text.\n/// ```\n/// let a = kept; // kept\n/// ```\n/// kept"), [hit(3, "kept")]);
}

#[test]
fn comments_of_scripts_and_toml_are_prose() {
    let text = "#!/bin/sh\n# whoever\nkept=${#kept} 'kept # whoever' # whoever\n";
    let expected = [hit(2, "whoever"), hit(3, "kept"), hit(3, "kept"), hit(3, "whoever")];
    assert_eq!(hits_at("run", Language::Hash, text), expected);
}

#[test]
fn an_exception_covers_its_words_in_its_files_alone() {
    assert_eq!(hits_at("src/ok.rs", Language::Rust, "kept(); // standing in place of it"), []);
    assert_eq!(hits_at("src/ok.rs", Language::Rust, "// lies in place of it"), [hit(1, "in place of")]);
    assert_eq!(rust("kept(); // standing in place of it"), [hit(1, "in place of"), hit(1, "kept")]);
}

#[test]
fn an_exception_that_nothing_needs_is_reported() {
    let mut words = Words::parse(DATA).unwrap();
    words.hits(Path::new("src/ok.rs"), Language::Rust, "kept();");
    assert_eq!(words.unused().collect::<Vec<_>>(), ["src/ok.rs: standing in place of it"]);
}

#[test]
fn a_hit_prints_its_place_and_what_to_use() {
    let mut words = Words::parse(DATA).unwrap();
    let hits: Vec<Hit> = words.hits(Path::new("src/lib.rs"), Language::Rust, "\nkept();");
    assert_eq!(hits[0].to_string(), "src/lib.rs:2: kept -> cached");
}

#[test]
fn a_line_without_a_section_or_an_arrow_is_an_error() {
    assert!(Words::parse("kept -> cached").is_err());
    assert!(Words::parse("[phrases]\nwhoever").is_err());
    assert!(Words::parse("[exceptions]\nkept -> no path").is_err());
}

#[test]
fn the_words_of_this_project_can_be_read() {
    let words = Words::of_project().unwrap();
    assert!(!words.identifiers.is_empty() && !words.phrases.is_empty());
}
