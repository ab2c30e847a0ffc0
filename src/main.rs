//! The command line.

fn main() -> std::process::ExitCode {
    quickproof::cli::main()
}
