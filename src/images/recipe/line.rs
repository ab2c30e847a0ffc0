//! The lines of a recipe that say which files a layer holds.

use serde::{Deserialize, Serialize};

/// A file, or several, of a layer. Paths in a layer (`at`) begin with `/`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Line {
    /// One file of a recipe's material.
    File(FileLine),
    /// All of a recipe's own material, below a directory.
    Tree(TreeLine),
    /// Several files of a recipe's own material, put together in the order of their names.
    Joined(JoinedLine),
    /// A tar archive of a recipe's own material, with the owners and rights it has.
    Archive(ArchiveLine),
    /// A file of `manifests/cluster/node/`.
    Data(DataLine),
    /// A file with this content.
    Text(TextLine),
    /// A symbolic link.
    Link(LinkLine),
    /// A directory; those above files come by themselves.
    Directory(DirectoryLine),
    /// systemd units that must not start.
    MaskedUnits(Vec<String>),
}

/// Rights of a file in octal digits, such as `755`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Mode(pub(crate) u32);

impl TryFrom<String> for Mode {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match u32::from_str_radix(&text, 8) {
            Ok(mode) if mode <= 0o7777 => Ok(Self(mode)),
            _ => Err(format!("`{text}` is not a mode in octal digits, such as `755`")),
        }
    }
}

impl From<Mode> for String {
    fn from(mode: Mode) -> Self {
        format!("{:o}", mode.0)
    }
}

impl Default for Mode {
    fn default() -> Self {
        Self(0o644)
    }
}

macro_rules! lines {
    ($($(#[$about:meta])* $name:ident { $($(#[$field_about:meta])* $field:ident: $type:ty,)* })*) => {$(
        $(#[$about])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case", deny_unknown_fields)]
        pub(crate) struct $name { $($(#[$field_about])* pub $field: $type,)* }
    )*};
}

lines! {
    /// One file of a recipe's material.
    FileLine {
        /// The recipe; absent for this one.
        #[serde(default)]
        of: Option<String>,
        /// The path in its material.
        take: String,
        /// The path in the layer.
        at: String,
        /// Its rights.
        #[serde(default)]
        mode: Mode,
    }
    /// All of a recipe's own material, with the rights it has.
    TreeLine {
        /// The directory in the layer.
        at: String,
    }
    /// Several files put together.
    JoinedLine {
        /// Which, `*` within one path part.
        take: String,
        /// The path in the layer.
        at: String,
    }
    /// The entries of a tar archive.
    ArchiveLine {
        /// The path of the archive in the material.
        take: String,
        /// Paths left out, `*` within one path part; what lies below them is left out too.
        #[serde(default)]
        leave_out: Vec<String>,
    }
    /// A file of `manifests/cluster/node/`.
    DataLine {
        /// Its path there.
        take: String,
        /// The path in the layer.
        at: String,
        /// Its rights.
        #[serde(default)]
        mode: Mode,
    }
    /// A file with this content.
    TextLine {
        /// The path in the layer.
        at: String,
        /// What is in it.
        content: String,
    }
    /// A symbolic link.
    LinkLine {
        /// The path in the layer.
        at: String,
        /// What it points to, as it is written into the link.
        to: String,
    }
    /// A directory.
    DirectoryLine {
        /// The path in the layer.
        at: String,
        /// Its rights.
        mode: Mode,
    }
}

impl Line {
    /// The path in the layer; `None` where a line stands for many.
    pub(super) fn at(&self) -> Option<&str> {
        match self {
            Self::File(line) => Some(&line.at),
            Self::Tree(line) => Some(&line.at),
            Self::Joined(line) => Some(&line.at),
            Self::Data(line) => Some(&line.at),
            Self::Text(line) => Some(&line.at),
            Self::Link(line) => Some(&line.at),
            Self::Directory(line) => Some(&line.at),
            Self::Archive(_) | Self::MaskedUnits(_) => None,
        }
    }
}
