//! Finds the tests of each numbered item of RTMP behaviour in the sources.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::words::{Language, files};

/// The folders with tests.
const FOLDERS: [&str; 7] = [
    "core/src",
    "core/tests",
    "embassy-demo",
    "host-tests/adapter/src",
    "host-tests/src",
    "host-tests/tests",
    "fuzz/src",
];

const ITEMS: &str = include_str!("../conformance.txt");

/// A numbered item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its text.
    pub text: String,
    /// What must exist before it can be tested, if it has no tests yet.
    pub awaits: Option<String>,
}

/// A test with item numbers in its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Test {
    /// Its file, from the root of the project.
    pub file: PathBuf,
    /// Its name.
    pub name: String,
    /// Whether it has the attribute `ignore`.
    pub ignored: bool,
}

/// The items, by number.
///
/// # Errors
/// The numbers of the list do not ascend from 1.
pub fn items() -> Result<BTreeMap<u32, Item>> {
    let mut items: BTreeMap<u32, Item> = BTreeMap::new();
    for line in ITEMS.lines().filter(|line| !line.starts_with('#')) {
        let (number, text) = line.split_once(' ').with_context(|| format!("no item: {line}"))?;
        let (text, awaits) = match text.split_once(" | awaits ") {
            Some((text, awaits)) => (text, Some(awaits.to_owned())),
            None => (text, None),
        };
        let number = number.parse().with_context(|| format!("no number: {line}"))?;
        let before = items.last_key_value().map_or(0, |(before, _)| *before);
        ensure!(number > before, "item {number} is after item {before}");
        items.insert(number, Item { text: text.to_owned(), awaits });
    }
    Ok(items)
}

/// The tests of the project at `root`, by their item numbers.
///
/// # Errors
/// A file cannot be read.
pub fn tests(root: &Path) -> Result<BTreeMap<u32, Vec<Test>>> {
    let mut found: BTreeMap<u32, Vec<Test>> = BTreeMap::new();
    let is_searched = |file: &Path| FOLDERS.iter().any(|folder| file.starts_with(folder));
    for (file, language, text) in files(root)? {
        for (name, ignored) in tests_in(&text).filter(|_| language == Language::Rust && is_searched(&file)) {
            for number in numbers(name) {
                found.entry(number).or_default().push(Test { file: file.clone(), name: name.to_owned(), ignored });
            }
        }
    }
    found.values_mut().for_each(|tests| tests.sort());
    Ok(found)
}

/// The functions with a test attribute, and whether they are ignored.
fn tests_in(text: &str) -> impl Iterator<Item = (&str, bool)> {
    let (mut is_test, mut ignored) = (false, false);
    text.lines().filter_map(move |line| {
        let line = line.trim();
        if let Some(attribute) = line.strip_prefix("#[") {
            is_test |= attribute.starts_with("test]") || attribute.contains("::test]") || attribute.contains("::test(");
            ignored |= attribute.starts_with("ignore");
            return None;
        }
        if line.is_empty() || line.starts_with("//") {
            return None;
        }
        let function = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ");
        let found = function.filter(|_| is_test).map(|rest| {
            let end = rest.find(|character: char| !character.is_alphanumeric() && character != '_');
            (&rest[..end.unwrap_or(rest.len())], ignored)
        });
        (is_test, ignored) = (false, false);
        found
    })
}

/// The item numbers at the front of a test's name.
fn numbers(name: &str) -> Vec<u32> {
    let mut numbers = Vec::new();
    let mut rest = name;
    while let Some((number, behind)) = rest.strip_prefix("item_").and_then(|rest| rest.split_once('_')) {
        let Ok(number) = number.parse() else { break };
        numbers.push(number);
        rest = behind;
    }
    numbers
}

/// The faults: items that have lost their tests, and tests of items that do not exist.
pub fn faults(items: &BTreeMap<u32, Item>, tests: &BTreeMap<u32, Vec<Test>>) -> Vec<String> {
    let lost = items.iter().filter(|(number, item)| item.awaits.is_none() && !tests.contains_key(number));
    let lost = lost.map(|(number, item)| format!("item {number} has no test: {}", item.text));
    let unknown = tests.iter().filter(|(number, _)| !items.contains_key(number));
    lost.chain(unknown.map(|(number, tests)| format!("there is no item {number}: {}", tests[0].name))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_carry_any_number_of_items() {
        assert_eq!(numbers("item_020_extended"), [20]);
        assert_eq!(numbers("item_006_item_043_pieces"), [6, 43]);
        assert!(numbers("an_item_020_within").is_empty() && numbers("item_x_y").is_empty());
    }

    #[test]
    fn only_tests_count() {
        // These attributes are written with `@` instead of `#`, so that the search does not find them.
        let text = "
            @[test]
            fn item_001_one() {
            fn item_002_a_helper() {
            @[test]
            @[ignore = \"needs x\"]
            // A word.
            async fn item_003_three() {
            @[cfg(test)]
            fn item_004_none() {
            // @[test]
            fn item_005_out() {
            @[tokio::test]
            @[should_panic]
            fn item_006_six<T>() {
        "
        .replace('@', "#");
        let found: Vec<_> = tests_in(&text).collect();
        assert_eq!(found, [("item_001_one", false), ("item_003_three", true), ("item_006_six", false)]);
    }

    #[test]
    fn an_item_that_loses_its_test_is_a_fault() {
        let items = items().unwrap();
        assert!(items.len() > 116 && items.keys().copied().take(116).eq(1..=116));
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut tests = tests(&root).unwrap();
        assert_eq!(faults(&items, &tests), Vec::<String>::new());
        tests.remove(&20);
        let one = tests[&21].clone();
        tests.insert(999, one);
        let faults = faults(&items, &tests);
        assert!(
            faults[0].starts_with("item 20 has no test") && faults[1].starts_with("there is no item 999"),
            "{faults:?}"
        );
    }
}
