//! Tells cargo that what is embedded (`manifests/`, `scenarios/`) belongs to the program.

fn main() {
    for directory in ["manifests", "scenarios"] {
        println!("cargo::rerun-if-changed={directory}");
    }
}
