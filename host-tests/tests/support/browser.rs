//! A page in Chromium.

use std::fs;
use std::path::Path;
use std::process::Command;

use host_tests::peers::finish_within;
use serde_json::Value;

use super::LIMIT;

/// Opens a page in Chromium for some seconds, without scripts if there is a `noscript`. Checks that its video of this width
/// is played without faults, and saves a screenshot with this name. Returns what the page did.
pub fn watch(name: &str, url: &str, seconds: u32, noscript: Option<&str>, width: u32) -> Value {
    let screenshot = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../target/{name}.png"));
    let mut command = Command::new("python3");
    command
        .args(["-c", include_str!("browser.py"), "chromium", url])
        .arg(&screenshot)
        .arg(seconds.to_string())
        .args(noscript);
    let finished = finish_within(LIMIT * 2, &mut command).unwrap().successful().unwrap();
    let shown: Value = serde_json::from_slice(&finished.stdout).unwrap();
    let state = &shown["state"];
    println!(
        "{name}: first picture after {} s, {} s behind, in {}",
        shown["first_picture"],
        state["behind"],
        screenshot.display()
    );
    assert!(shown["advanced"].as_f64().unwrap() > 1.0, "{shown}");
    assert!(state["decoded"].as_u64().unwrap() > 20 && state["audio"].as_u64().unwrap() > 0, "{shown}");
    assert_eq!(
        (&state["error"], &state["width"], &state["ranges"]),
        (&Value::Null, &width.into(), &1.into()),
        "{shown}"
    );
    for faults in ["foreign", "policy", "thrown"] {
        assert_eq!(shown[faults], serde_json::json!([]), "{shown}");
    }
    assert!(fs::metadata(&screenshot).unwrap().len() > 10_000);
    shown
}
