//! The contents of a firmware image: its sections, and the owners of its code.
//!
//! Code belongs to the crate whose source it was compiled from, according to the line tables, even if it was inlined into
//! another function. Therefore an image must be built with at least `debug = "line-tables-only"`. Code that was inlined from
//! the standard library or from a crate of containers belongs to its caller.

mod owner;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use object::{Object, ObjectSection, ObjectSymbol, SectionKind, SymbolKind};

pub use owner::Owner;

/// Code is examined in steps of this many bytes. No instruction of Thumb or compressed RISC-V is shorter.
const STEP: usize = 2;

/// The contents of an image.
#[derive(Debug, Default)]
pub struct Image {
    /// Bytes of code, including vectors.
    pub text: u64,
    /// Bytes of constants.
    pub rodata: u64,
    /// Bytes of initialised variables. They take flash and RAM.
    pub data: u64,
    /// Bytes of variables that are zeroed or uninitialised.
    pub bss: u64,
    /// Bytes of code by owner. Their sum is `text`.
    pub code: BTreeMap<Owner, u64>,
    /// The same by function, before inlining.
    pub functions: BTreeMap<(Owner, String), u64>,
    /// The name and size of each variable, the largest first.
    pub variables: Vec<(String, u64)>,
}

impl Image {
    /// Reads an ELF file.
    ///
    /// # Errors
    /// The file cannot be read, is not an ELF file, or has no line tables.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
        let file = object::File::parse(&*bytes).with_context(|| path.display().to_string())?;
        if file.section_by_name(".debug_line").is_none() {
            bail!("{}: has no line tables", path.display());
        }
        let lines = addr2line::Loader::new(path)
            .map_err(|error| anyhow::anyhow!("{}: its line tables cannot be read: {error}", path.display()))?;
        let mut image = Self::default();
        for section in file.sections() {
            let object::SectionFlags::Elf { sh_flags, .. } = section.flags() else { continue };
            let is_loaded = sh_flags.contains(object::elf::SHF_ALLOC);
            match section.kind() {
                _ if !is_loaded || section.size() == 0 => {}
                SectionKind::Text => image.text += section.size(),
                SectionKind::UninitializedData => image.bss += section.size(),
                _ if sh_flags.contains(object::elf::SHF_WRITE) => image.data += section.size(),
                _ if section.name() == Ok(".vector_table") => image.text += section.size(),
                _ => image.rodata += section.size(),
            }
        }
        let mut attributed = 0;
        for symbol in file.symbols() {
            let name = symbol.name().unwrap_or_default();
            match symbol.kind() {
                SymbolKind::Text => {
                    // The lowest bit marks Thumb code.
                    let start = symbol.address() & !1;
                    let end = start + symbol.size();
                    for at in (start..end).step_by(STEP) {
                        let step = end.min(at + STEP as u64) - at;
                        let (owner, function) = owner_of(&lines, at, name);
                        *image.code.entry(owner.clone()).or_default() += step;
                        *image.functions.entry((owner, function)).or_default() += step;
                        attributed += step;
                    }
                }
                SymbolKind::Data if symbol.size() > 0 => {
                    let section = symbol.section_index().and_then(|index| file.section_by_index(index).ok());
                    let Some(object::SectionFlags::Elf { sh_flags, .. }) = section.map(|section| section.flags())
                    else {
                        continue;
                    };
                    if sh_flags.contains(object::elf::SHF_WRITE) {
                        image.variables.push((format!("{:#}", rustc_demangle::demangle(name)), symbol.size()));
                    }
                }
                _ => {}
            }
        }
        *image.code.entry(Owner::Unknown).or_default() += image.text.saturating_sub(attributed);
        image.variables.sort_by(|(a, one), (b, other)| other.cmp(one).then(a.cmp(b)));
        Ok(image)
    }

    /// Bytes of flash.
    pub const fn flash(&self) -> u64 {
        self.text + self.rodata + self.data
    }

    /// Bytes of RAM, without the stack.
    pub const fn ram(&self) -> u64 {
        self.data + self.bss
    }
}

/// The owner of the code at an address, and its function. If several functions were inlined, it is the innermost one that is
/// not a helper.
fn owner_of(lines: &addr2line::Loader, address: u64, symbol: &str) -> (Owner, String) {
    let mut helper = None;
    if let Ok(mut frames) = lines.find_frames(address) {
        while let Ok(Some(frame)) = frames.next() {
            let Some(file) = frame.location.as_ref().and_then(|location| location.file) else { continue };
            let owner = Owner::of_source(file);
            let function = frame.function.as_ref().and_then(|name| name.raw_name().ok()).unwrap_or(symbol.into());
            let name = Path::new(file).file_name().unwrap_or_default().to_string_lossy();
            let function = format!("{name}: {:#}", rustc_demangle::demangle(&function));
            if !owner.is_helper() {
                return (owner, function);
            }
            helper.get_or_insert((owner, function));
        }
    }
    match (Owner::of_symbol(symbol), helper) {
        (Owner::Unknown, Some(helper)) => helper,
        (by_name, _) => (by_name, format!("{:#}", rustc_demangle::demangle(symbol))),
    }
}
