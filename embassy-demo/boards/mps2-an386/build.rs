//! Tells the linker the memory map and the interrupts. From here, so that it does not matter where cargo was started.

use std::path::PathBuf;
use std::{env, fs};

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    for file in ["memory.x", "device.x"] {
        println!("cargo:rerun-if-changed={file}");
        fs::copy(file, out.join(file)).expect("the file stands beside build.rs");
    }
    if env::var_os("CARGO_FEATURE_RAM_128K").is_some() {
        let map = fs::read_to_string("memory.x").expect("the file is text");
        let (first, _) = map.rsplit_once("LENGTH").expect("the RAM has a length");
        fs::write(out.join("memory.x"), format!("{first}LENGTH = 128K\n}}\n")).expect("the file can be written");
    }
    println!("cargo:rustc-link-search={}", out.display());
    if env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("none") {
        return;
    }
    println!("cargo:rustc-link-arg-bins=--nmagic");
    println!("cargo:rustc-link-arg-bins=-Tlink.x");
    if env::var_os("CARGO_FEATURE_DEFMT").is_some() {
        println!("cargo:rustc-link-arg-bins=-Tdefmt.x");
    }
}
