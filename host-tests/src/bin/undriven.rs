//! Compares the public functions of the core with those that host-tests/probe drives in the image without panics.
//!
//!     undriven RUSTDOC.json
//!
//! The argument is rustdoc's JSON of the core with all features; host-tests/no-panic creates it. Prints the public functions
//! that are not driven, and ends with status 1 if there are any.

use std::collections::BTreeSet;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use public_api::tokens::Token;
use public_api::{Builder, PublicItem};

/// The text of each call that the probe drives.
macro_rules! calls {
    (
        $(#[$_feature:meta])?
        $module:ident:
        drive { $($(#[$_attr:meta])* $call:expr,)* }
        drive_as { $($name:expr => $_closure:expr,)* }
        display { $($display:ty,)* }
        format { $($format:ty,)* }
    ) => {
        fn $module() -> Vec<String> {
            let mut names = vec![$(stringify!($call).to_owned(),)* $(stringify!($name).to_owned(),)*];
            $(names.push(format!("<{} as Display>::fmt", stringify!($display)));)*
            $(names.push(format!("<{} as Format>::format", stringify!($format)));)*
            names
        }
    };
}

macro_rules! lists {
    ($($(#[$_feature:meta])? $module:ident)*) => {
        const LISTS: &[fn() -> Vec<String>] = &[$($module),*];
    };
}

include!("../../probe/src/calls.rs");

fn main() -> Result<ExitCode> {
    let path = std::env::args().nth(1).context("usage: undriven RUSTDOC.json")?;
    let (public, aliases) = (functions(&path)?, aliases(&path)?);
    // The core always has more functions than this. If not, this program has misread the JSON.
    ensure!(public.len() > 400, "only {} public functions found in {path}", public.len());
    let named = |name: String| {
        let name = normalized(&name);
        let alias = aliases.iter().find_map(|(alias, of)| Some((of, name.strip_prefix(alias)?.strip_prefix("::")?)));
        alias.map_or_else(|| name.clone(), |(of, method)| format!("{of}::{method}"))
    };
    let driven: BTreeSet<String> = LISTS.iter().flat_map(|list| list()).map(named).collect();
    let missing: Vec<_> = public.difference(&driven).collect();
    for name in &missing {
        eprintln!("not driven: {name}");
    }
    if missing.is_empty() {
        println!("All {} public functions of the core are driven.", public.len());
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!(
        "undriven: {} public functions of the core are not in the image without panics: \
         add them to host-tests/probe/src/calls, as calls.rs says there",
        missing.len()
    );
    Ok(ExitCode::FAILURE)
}

/// A call without white space, lifetimes and generic arguments. A trait is reduced to the last name of its path.
fn normalized(call: &str) -> String {
    let call: String = call.replace(" as ", "#").split_whitespace().collect();
    let Some((of, method)) = call.strip_prefix('<').and_then(|call| call.rsplit_once(">::")) else {
        return without_generics(&call);
    };
    let Some((of_type, of_trait)) = of.split_once('#') else { return without_generics(&call) };
    let (name, argument) = of_trait.split_once('<').unwrap_or((of_trait, ""));
    let name = name.rsplit("::").next().unwrap_or(name);
    let argument = without_generics(argument.strip_suffix('>').unwrap_or(argument));
    implementation(&without_generics(of_type), name, &argument, method)
}

fn implementation(of_type: &str, name: &str, argument: &str, method: &str) -> String {
    let reference = if argument.starts_with('&') { "&" } else { "" };
    let argument = argument.trim_start_matches('&').rsplit("::").next().unwrap_or_default();
    let argument = if argument.is_empty() { String::new() } else { format!("<{reference}{argument}>") };
    format!("<{of_type} as {name}{argument}>::{method}")
}

fn without_generics(path: &str) -> String {
    let (mut depth, mut short) = (0, String::new());
    for character in path.chars() {
        match character {
            '<' => depth += 1,
            '>' => depth -= 1,
            _ if depth == 0 => short.push(character),
            _ => {}
        }
    }
    short.replace("::::", "::").trim_end_matches("::").to_owned()
}

/// The public functions by their public names, including those of traits that types implement. Excluded are `Debug` (see the
/// list) and derived functions: clones, comparisons and hashes.
fn functions(path: &str) -> Result<BTreeSet<String>> {
    let (all, without_derived) = (items(path, false)?, items(path, true)?);
    let formats = all.iter().filter_map(|item| function(item, &all)).filter(|name| name.contains(" as Format>"));
    let others = without_derived.iter().filter_map(|item| function(item, &without_derived));
    Ok(formats.chain(others.filter(|name| !name.contains(" as Debug>"))).collect())
}

/// The type aliases, each with its type.
fn aliases(path: &str) -> Result<Vec<(String, String)>> {
    let items = items(path, true)?;
    let texts = items.iter().map(|item| text(item.tokens()));
    let pairs = texts.filter_map(|text| {
        let (alias, of) = text.strip_prefix("pub type ")?.split_once(" = ")?;
        Some((normalized(alias), normalized(of)))
    });
    Ok(pairs.collect())
}

fn items(path: &str, without_derived: bool) -> Result<Vec<PublicItem>> {
    let items = Builder::from_rustdoc_json(path).omit_blanket_impls(true).omit_auto_trait_impls(true);
    let items = items.omit_auto_derived_impls(without_derived).build()?;
    Ok(items.into_items().collect())
}

/// The name of a function of a module or a type.
fn function(item: &PublicItem, items: &[PublicItem]) -> Option<String> {
    let end = item.tokens().position(|token| matches!(token, Token::Function(_)))?;
    let path = text(item.tokens().take(end + 1));
    let (_, path) = path.split_once("fn ")?;
    let parent = items.iter().find(|parent| Some(parent.id()) == item.parent_id())?;
    let parent = text(parent.tokens());
    let implemented = parent.strip_prefix("impl").and_then(|parent| parent.rsplit_once(" for "));
    let Some((of_trait, _)) = implemented else { return Some(normalized(path)) };
    let (of_type, method) = path.rsplit_once("::")?;
    Some(normalized(&format!("<{of_type} as {}>::{method}", without_parameters(of_trait))))
}

/// The text of tokens without lifetimes and the name of the core.
fn text<'t>(tokens: impl Iterator<Item = &'t Token>) -> String {
    let text: String = tokens.filter(|token| !matches!(token, Token::Lifetime(_))).map(Token::text).collect();
    text.replace("embedded_rtmp::", "")
}

/// The text after the generic parameters at its start, if it has any.
fn without_parameters(text: &str) -> &str {
    let mut depth = 0;
    let end = text.find(|character| {
        depth += i32::from(character == '<') - i32::from(character == '>');
        depth == 0
    });
    end.map_or(text, |end| &text[end + 1..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_without_what_is_generic_in_them() {
        for (call, expected) in [
            ("amf0::Decoder::new", "amf0::Decoder::new"),
            ("chunk::Reader::<8>::new", "chunk::Reader::new"),
            ("tunnel::TunnelConnection::open::<4>", "tunnel::TunnelConnection::open"),
            ("<chunk::Reader<8> as Default>::default", "<chunk::Reader as Default>::default"),
            ("<amf0::Token<'_> as From<amf0::Text<'_>>>::from", "<amf0::Token as From<Text>>::from"),
            ("<amf0::Text as PartialEq<&str>>::eq", "<amf0::Text as PartialEq<&str>>::eq"),
            ("<media::flv::Tags as Iterator>::next", "<media::flv::Tags as Iterator>::next"),
        ] {
            assert_eq!(normalized(call), expected);
        }
    }
}
