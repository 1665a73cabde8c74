//! What firmware images are made of.

use std::path::PathBuf;

use clap::Parser;
use host_tests::memory::Image;

/// Prints what firmware images take of flash and RAM, and whose code it is.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// ELF files with line tables
    #[arg(required = true)]
    images: Vec<PathBuf>,
    /// Variables from this many bytes on are named
    #[arg(long, value_name = "BYTES", default_value_t = 512)]
    variables: u64,
    /// Names the functions from this many bytes on, and counts what was inlined where it came from
    #[arg(long, value_name = "BYTES")]
    functions: Option<u64>,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    for path in &arguments.images {
        let image = Image::read(path)?;
        println!(
            "{}: text {} rodata {} data {} bss {}",
            path.display(),
            image.text,
            image.rodata,
            image.data,
            image.bss
        );
        let mut code: Vec<_> = image.code.iter().collect();
        code.sort_by(|one, other| other.1.cmp(one.1));
        for (owner, bytes) in code {
            println!("  {bytes:>8} {owner}");
            let Some(least) = arguments.functions else { continue };
            let mut functions: Vec<_> = image.functions.iter().filter(|((of, _), _)| of == owner).collect();
            functions.sort_by(|one, other| other.1.cmp(one.1));
            for ((_, name), bytes) in functions.into_iter().take_while(|(_, bytes)| **bytes >= least) {
                println!("           {bytes:>8} {name}");
            }
        }
        for (name, bytes) in image.variables.iter().take_while(|(_, bytes)| *bytes >= arguments.variables) {
            println!("  {bytes:>8} RAM {name}");
        }
    }
    Ok(())
}
