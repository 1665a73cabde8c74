//! The contents of firmware images.

use std::path::PathBuf;

use clap::Parser;
use host_tests::memory::{Image, Owner};

/// Prints the flash and RAM of firmware images by owner.
///
/// Flash is text, rodata and data. RAM is data and bss, without the stack. Code belongs to the crate in which it was
/// written, even if it was inlined into another.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// ELF files with line tables; NAME=FILE gives one a name
    #[arg(required = true)]
    images: Vec<String>,
    /// List variables of at least this number of bytes
    #[arg(long, value_name = "BYTES", default_value_t = 1024)]
    variables: u64,
    /// List every crate, and its functions of at least this number of bytes
    #[arg(long, value_name = "BYTES")]
    functions: Option<u64>,
    /// Print only flash and RAM of each image
    #[arg(long)]
    sums: bool,
}

/// The columns of code: a heading and an owner. Other owners are in the last column but one.
const COLUMNS: [&str; 8] = ["core", "adapter", "smoltcp", "emb.-net", "embassy", "Rust", "HAL etc.", "unknown"];

fn column(owner: &Owner) -> usize {
    match owner {
        Owner::Core => 0,
        Owner::Adapter => 1,
        Owner::Crate(name) => match name.as_str() {
            "smoltcp" => 2,
            "embassy-net" | "embassy-net-driver" => 3,
            name if name.starts_with("embassy-executor") || name.starts_with("embassy-time") => 4,
            "embassy-sync" | "embassy-futures" | "cordyceps" => 4,
            _ => 6,
        },
        Owner::Language => 5,
        Owner::Application => 6,
        Owner::Unknown => 7,
    }
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let mut images = Vec::new();
    for image in &arguments.images {
        let (name, path) = match image.split_once('=') {
            Some((name, path)) => (name.to_owned(), PathBuf::from(path)),
            None => (image.rsplit('/').next().unwrap_or(image).to_owned(), PathBuf::from(image)),
        };
        images.push((name, Image::read(&path)?));
    }
    if arguments.sums {
        for (name, image) in &images {
            println!("{name} {} {}", image.flash(), image.ram());
        }
        return Ok(());
    }
    print!("{:<26} {:>7} {:>7} {:>6} {:>7}  of the text:", "Bytes", "text", "rodata", "data", "bss");
    COLUMNS.iter().for_each(|heading| print!(" {heading:>8}"));
    println!();
    for (name, image) in &images {
        let mut sums = [0; COLUMNS.len()];
        image.code.iter().for_each(|(owner, bytes)| sums[column(owner)] += bytes);
        print!("{name:<26} {:>7} {:>7} {:>6} {:>7}              ", image.text, image.rodata, image.data, image.bss);
        sums.iter().for_each(|bytes| print!(" {bytes:>8}"));
        println!();
    }
    println!("\nVariables of {} bytes and more:", arguments.variables);
    for (name, image) in &images {
        for (variable, bytes) in image.variables.iter().take_while(|(_, bytes)| *bytes >= arguments.variables) {
            println!("{name:<26} {bytes:>7} {variable}");
        }
    }
    if let Some(least) = arguments.functions {
        images.iter().for_each(|(name, image)| functions(name, image, least));
    }
    Ok(())
}

/// Prints the crates of an image and their functions.
fn functions(name: &str, image: &Image, least: u64) {
    println!("\nCode of {name}, by the function that it was written in:");
    let mut code: Vec<_> = image.code.iter().collect();
    code.sort_by(|one, other| other.1.cmp(one.1));
    for (owner, bytes) in code {
        println!("{bytes:>7} {owner}");
        let mut functions: Vec<_> = image.functions.iter().filter(|((of, _), _)| of == owner).collect();
        functions.sort_by(|one, other| other.1.cmp(one.1));
        for ((_, function), bytes) in functions.into_iter().take_while(|(_, bytes)| **bytes >= least) {
            println!("{:>7} {bytes:>7} {function}", "");
        }
    }
}
