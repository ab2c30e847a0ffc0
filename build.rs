//! Tells cargo that what is embedded (`manifests/`) belongs to the program.

fn main() {
    println!("cargo::rerun-if-changed=manifests");
}
