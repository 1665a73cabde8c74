//! Lists the public items of a crate, as `cargo public-api -sss` does.
//!
//!     public_api RUSTDOC.json
//!
//! The argument is rustdoc's JSON, which host-tests/api creates. The status is 3 if the JSON does not have the format
//! version that the crate `public-api` reads.

use std::process::ExitCode;

use anyhow::{Context, Result};
use serde_json::Value;

/// The format version of rustdoc's JSON that this version of `public-api` reads.
const FORMAT: u64 = 57;

fn main() -> Result<ExitCode> {
    let path = std::env::args().nth(1).context("usage: public_api RUSTDOC.json")?;
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let json: Value = serde_json::from_str(&text).with_context(|| format!("cannot parse {path}"))?;
    if json["format_version"] != FORMAT {
        eprintln!("rustdoc's JSON has format version {}, not {FORMAT}", json["format_version"]);
        return Ok(ExitCode::from(3));
    }
    let api = public_api::Builder::from_rustdoc_json(path)
        .omit_blanket_impls(true)
        .omit_auto_trait_impls(true)
        .omit_auto_derived_impls(true)
        .build()?;
    api.items().for_each(|item| println!("{item}"));
    Ok(ExitCode::SUCCESS)
}
