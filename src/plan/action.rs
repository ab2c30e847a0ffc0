//! What commands act on, and how: the parts of [`super::Action`] that several commands share.

use std::fmt;

/// One object that a command names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// `apiVersion`, where a manifest says it; `None` where the command names the object by a resource's word.
    pub api_version: Option<String>,
    /// The kind, or the resource's word as written, such as `gateway`.
    pub resource: String,
    /// Its name.
    pub name: String,
    /// Its namespace, where one is named.
    pub namespace: Option<String>,
}

impl fmt::Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.resource, self.name)
    }
}

/// What is said of an object that is to be deleted and is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absent {
    /// The command fails.
    Fails,
    /// It is as wanted (`--ignore-not-found`).
    IsFine,
}

/// How a patch is meant (`kubectl patch --type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatchStrategy {
    /// RFC 7396.
    Merge,
    /// RFC 6902.
    Json,
    /// Kubernetes' own, where lists are merged by key; for built-in kinds only.
    Strategic,
}

/// What a wait waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Until {
    /// A condition has a status (`--for=condition=TYPE[=STATUS]`).
    Condition {
        /// Its type.
        type_: String,
        /// Its status; `True` where none is named.
        status: String,
    },
    /// Every replica is of the newest template and available (`kubectl rollout status`).
    RolledOut,
    /// It is gone (`--for=delete`).
    Gone,
}

impl fmt::Display for Until {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Condition { type_, status } => write!(formatter, "is {type_}={status}"),
            Self::RolledOut => write!(formatter, "is rolled out"),
            Self::Gone => write!(formatter, "is gone"),
        }
    }
}
