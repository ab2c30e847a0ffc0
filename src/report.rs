//! Reports: a live one on the terminal, and files that are pure functions of the record.
//!
//! Knows the record (and what it is made of) and nothing else: what a run does reaches it as [`crate::record::Event`]s
//! through [`write`], the one writer. It decides nothing and reads no environment; how a terminal looks is handed in.

use std::path::PathBuf;

use crate::record::Render;

mod closing;
mod console;
mod json;
mod junit;
mod load;
mod metadata;
mod outputs;
mod page;
mod paint;
mod terminal;
mod text;
mod writer;

pub use console::Console;
#[cfg(test)]
pub(crate) use console::tests::Paper;
pub use json::Json;
pub use junit::Junit;
pub use metadata::Metadata;
pub use outputs::{Copies, Outputs, OutputsError};
pub use paint::{Colours, Glyphs, Line, Look, Tone};
pub use terminal::{Live, Terminal};
pub use text::Text;
pub(crate) use writer::{TICK, write};

/// How much is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Verbosity {
    /// What does not hold, and the last block.
    Quiet,
    /// Every line, details where something does not hold.
    #[default]
    Normal,
    /// Evidence, headers and bodies in full.
    Verbose,
}

/// Where live lines go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Medium {
    /// A terminal: one row at the bottom is drawn again and again.
    Terminal,
    /// A log: each line once, seconds in front, no control characters.
    Log,
}

/// A format of report files.
#[derive(Clone, Copy)]
pub struct Format {
    /// What it is called.
    pub name: &'static str,
    /// Its file in the run's directory.
    pub(crate) file_name: &'static str,
    /// What writes it.
    pub render: &'static dyn Render,
}

impl std::fmt::Debug for Format {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("Format").field(&self.name).finish()
    }
}

macro_rules! formats {
    ($($name:literal $file_name:literal $render:path;)*) => {
        /// Every format of report files, in the order in which their paths are listed.
        pub const FORMATS: &[Format] = &[$(Format { name: $name, file_name: $file_name, render: &$render },)*];
    };
}

formats! {
    "text" "report.txt" Text;
    "junit" "junit_quickproof.xml" Junit;
    "json" "record.json" Json;
    "metadata" "metadata.json" Metadata;
}

/// The journal's file in the run's directory.
pub(crate) const JOURNAL_FILE: &str = "journal.jsonl";

/// Where a run's reports are, for the last block to say.
pub(crate) type ReportPaths = Vec<PathBuf>;

#[cfg(test)]
mod tests;
