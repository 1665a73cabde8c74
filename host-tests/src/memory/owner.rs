//! The owners of code.

use std::fmt;

/// The owner of a piece of code.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    /// The protocol.
    Core,
    /// The adapter for embassy-net.
    Adapter,
    /// The firmware's own package, and the packages that it shares with other boards.
    Application,
    /// A crate from a registry.
    Crate(String),
    /// The standard library, and the compiler's runtime: memcpy, divisions.
    Language,
    /// Unknown: padding, assembly, precompiled libraries.
    Unknown,
}

/// Crates of containers and similar helpers. Code that is inlined from them belongs to its caller.
const HELPERS: &[&str] = &[
    "bitflags",
    "byteorder",
    "critical-section",
    "embassy-sync",
    "heapless",
    "managed",
    "portable-atomic",
    "static_cell",
    "stable_deref_trait",
];

impl Owner {
    /// The owner of a source file.
    pub(super) fn of_source(path: &str) -> Self {
        let path = path.replace('\\', "/");
        if let Some((_, rest)) = path.split_once("/registry/src/") {
            return rest.split('/').nth(1).map_or(Self::Unknown, Self::package);
        }
        if path.contains("/library/") || path.starts_with("library/") || path.contains("compiler-builtins") {
            return Self::Language;
        }
        let root = env!("CARGO_MANIFEST_DIR").trim_end_matches("host-tests");
        let path = path.strip_prefix(root).unwrap_or(&path);
        match path {
            _ if path.contains("embassy-demo/boards/") => Self::Application,
            _ if path.contains("embassy-demo/adapter/src/") => Self::Adapter,
            _ if path.contains("core/src/") => Self::Core,
            _ => Self::Application,
        }
    }

    /// The owner of `name-1.2.3`, the folder of a crate in the registry's cache.
    fn package(folder: &str) -> Self {
        let version = folder.match_indices('-').find(|(at, _)| {
            folder.get(at + 1..).is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
        });
        let name = version.map_or(folder, |(at, _)| &folder[..at]);
        if name == "compiler_builtins" { Self::Language } else { Self::Crate(name.to_owned()) }
    }

    /// The owner of a function of which only the name is known.
    pub(super) fn of_symbol(symbol: &str) -> Self {
        let name = format!("{:#}", rustc_demangle::demangle(symbol));
        let first = name.trim_start_matches(['<', '&', '*']).split("::").next().unwrap_or_default();
        match first {
            "core" | "alloc" | "compiler_builtins" => Self::Language,
            _ if name.starts_with("__aeabi_") || matches!(&*name, "memcpy" | "memmove" | "memset" | "memcmp") => {
                Self::Language
            }
            _ => Self::Unknown,
        }
    }

    /// Returns `true` if inlined code of this owner belongs to its caller.
    pub(super) fn is_helper(&self) -> bool {
        match self {
            Self::Language => true,
            Self::Crate(name) => HELPERS.contains(&&**name),
            _ => false,
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Core => "embedded-rtmp",
            Self::Adapter => "embedded-rtmp-embassy",
            Self::Application => "application",
            Self::Crate(name) => name,
            Self::Language => "Rust's own library",
            Self::Unknown => "not attributed",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_belong_to_their_crates() {
        let registry = "/home/u/.cargo/registry/src/index-1949cf8c6b5b557f";
        let of = |path: &str| Owner::of_source(path).to_string();
        assert_eq!(of(&format!("{registry}/embassy-net-0.9.1/src/lib.rs")), "embassy-net");
        assert_eq!(of(&format!("{registry}/esp-radio-1.0.0-beta.1/src/wifi/mod.rs")), "esp-radio");
        assert_eq!(of(&format!("{registry}/compiler_builtins-0.1.160/src/mem.rs")), "Rust's own library");
        assert_eq!(of("/rustc/59807616e1fa/library/core/src/option.rs"), "Rust's own library");
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
        assert_eq!(of(&format!("{root}/core/src/chunk/reader.rs")), "embedded-rtmp");
        assert_eq!(of(&format!("{root}/embassy-demo/adapter/src/link.rs")), "embedded-rtmp-embassy");
        assert_eq!(of(&format!("{root}/embassy-demo/boards/esp32c3/src/main.rs")), "application");
    }

    #[test]
    fn functions_without_a_source_belong_to_their_names() {
        assert_eq!(Owner::of_symbol("__aeabi_memcpy4"), Owner::Language);
        assert_eq!(Owner::of_symbol("_ZN17compiler_builtins3mem6memcpy17h0123456789abcdefE"), Owner::Language);
        assert_eq!(Owner::of_symbol("ieee80211_output"), Owner::Unknown);
    }
}
