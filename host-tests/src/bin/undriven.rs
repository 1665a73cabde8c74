//! Compares the public functions of the core with those that host-tests/probe drives in the image without panics.
//!
//!     undriven RUSTDOC.json
//!
//! The argument is rustdoc's JSON of the core with all features; host-tests/no-panic creates it. Prints the public functions
//! that are not driven, and ends with status 1 if there are any.

use std::collections::BTreeSet;
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

/// The text of each call that the probe drives.
macro_rules! calls {
    (
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
    ($($module:ident)*) => {
        const LISTS: &[fn() -> Vec<String>] = &[$($module),*];
    };
}

include!("../../probe/src/calls.rs");

fn main() -> Result<ExitCode> {
    let path = std::env::args().nth(1).context("usage: undriven RUSTDOC.json")?;
    let json = std::fs::read(&path).with_context(|| format!("cannot read {path}"))?;
    let (public, aliases) = Crate::new(&serde_json::from_slice(&json)?)?.functions()?;
    // There were never so few calls. This program must have misread the lists.
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

/// A call without white space, lifetimes and generic arguments. Of a trait, only the last name stays.
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

/// A crate as rustdoc describes it.
struct Crate<'j> {
    index: &'j serde_json::Map<String, Value>,
    root: String,
}

impl<'j> Crate<'j> {
    fn new(json: &'j Value) -> Result<Self> {
        let index = json["index"].as_object().context("rustdoc's JSON has no index")?;
        Ok(Self { index, root: json["root"].to_string() })
    }

    /// The public functions by their public names, including those of traits. Excluded are `Debug` (see the list) and derived
    /// functions: clones, comparisons and hashes. And the type aliases, each with the type that it stands for.
    #[expect(clippy::type_complexity, reason = "the documentation says what each part is")]
    fn functions(&self) -> Result<(BTreeSet<String>, Vec<(String, String)>)> {
        let mut names = BTreeSet::new();
        let (mut types, mut aliases) = (Vec::new(), Vec::new());
        self.module(self.item(&self.root)?, "", &mut names, &mut types, &mut aliases)?;
        let of = |id: String| types.iter().find(|(other, _)| *other == id).map(|(_, path)| path.clone());
        Ok((names, aliases.into_iter().filter_map(|(alias, id)| Some((alias, of(id)?))).collect()))
    }

    fn item(&self, id: &str) -> Result<&'j Value> {
        self.index.get(id.trim_matches('"')).with_context(|| format!("rustdoc's JSON has no item {id}"))
    }

    fn module(
        &self,
        module: &Value,
        path: &str,
        names: &mut BTreeSet<String>,
        types: &mut Vec<(String, String)>,
        aliases: &mut Vec<(String, String)>,
    ) -> Result<()> {
        for id in list(&module["inner"]["module"]["items"])? {
            let mut item = self.item(&id.to_string())?;
            let mut name = item["name"].as_str().unwrap_or_default();
            let import = &item["inner"]["use"];
            if import.is_object() {
                ensure!(import["is_glob"] == Value::Bool(false), "{path}: everything of a module is imported");
                name = import["name"].as_str().context("an import without a name")?;
                item = self.item(&import["id"].to_string())?;
            }
            let path = if path.is_empty() { name.to_owned() } else { format!("{path}::{name}") };
            let inner = item["inner"].as_object().and_then(|inner| inner.iter().next());
            match inner.map(|(kind, inner)| (kind.as_str(), inner)) {
                Some(("module", _)) => self.module(item, &path, names, types, aliases)?,
                Some(("function", _)) => drop(names.insert(path)),
                Some(("struct" | "enum" | "union", inner)) => {
                    types.push((item["id"].to_string(), path.clone()));
                    for id in list(&inner["impls"])? {
                        self.implementation(&id.to_string(), item, &path, names)?;
                    }
                }
                Some(("type_alias", inner)) => aliases.push((path, inner["type"]["resolved_path"]["id"].to_string())),
                // A trait has no functions of its own here.
                Some(("constant" | "static" | "trait", _)) => {}
                kind => bail!("{path}: this program does not know the item kind {:?}", kind.map(|(kind, _)| kind)),
            }
        }
        Ok(())
    }

    fn implementation(&self, id: &str, of: &Value, path: &str, names: &mut BTreeSet<String>) -> Result<()> {
        // Blanket implementations of other crates are not in the index.
        let Ok(item) = self.item(id) else { return Ok(()) };
        let found = &item["inner"]["impl"];
        if found["for"]["resolved_path"]["id"] != of["id"] || found["blanket_impl"].is_object() {
            return Ok(());
        }
        let name = found["trait"]["path"].as_str().map(|name| name.rsplit("::").next().unwrap_or(name));
        let derived = item["attrs"].to_string().contains("automatically_derived");
        if name == Some("Debug") || derived && name != Some("Format") {
            return Ok(());
        }
        for id in list(&found["items"])? {
            let function = self.item(&id.to_string())?;
            let method = function["name"].as_str().unwrap_or_default();
            if !function["inner"]["function"].is_object() {
                continue;
            }
            match name {
                Some(name) => {
                    let arguments = &found["trait"]["args"]["angle_bracketed"]["args"][0]["type"];
                    names.insert(implementation(path, name, &type_name(arguments), method));
                }
                None if function["visibility"] == "public" => drop(names.insert(format!("{path}::{method}"))),
                None => {}
            }
        }
        Ok(())
    }
}

fn list(value: &Value) -> Result<&Vec<Value>> {
    value.as_array().context("rustdoc's JSON is of a form that this program does not know")
}

fn type_name(of: &Value) -> String {
    let reference = &of["borrowed_ref"]["type"];
    if reference.is_object() {
        return format!("&{}", type_name(reference));
    }
    let name = of["primitive"].as_str().or_else(|| of["resolved_path"]["path"].as_str());
    without_generics(name.unwrap_or_default())
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
