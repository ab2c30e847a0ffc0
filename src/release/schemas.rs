//! An API's own CRDs, had at run time from the Go module that publishes them, as controller tests do.
//!
//! Nothing of them is kept in this repository. Where no Go is installed, the publisher's URL is the second way.

use std::{fs, path::PathBuf, time::Duration};

use serde::Deserialize;

use crate::{
    host::{
        Call, Host, HostError, files,
        web::{self, Web, WebError, WebRequest},
    },
    manifest::{self, ManifestError, Object},
};

/// The most bytes that are read of one answer.
const MOST_BYTES: usize = 16 << 20;

/// The most bytes of one file of a module.
const MOST_FILE_BYTES: u64 = 16 << 20;

/// How long `go` may take; a module of this kind is had within seconds.
const TIME_LIMIT: Duration = Duration::from_mins(3);

/// CRDs that a plan needs and that no file of the release holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schema {
    /// The Go module, such as `sigs.k8s.io/gateway-api`.
    pub module: String,
    /// Its version, such as `v1.6.0`.
    pub version: String,
    /// The folder of the module that holds the YAML files.
    pub folder: String,
    /// Those of its files that are meant; all of them where none is named.
    pub files: Vec<String>,
    /// The same objects as one file on the web, for machines without Go.
    pub url: Option<String>,
    /// The plan's step that applies them, counted from 0; `None` for what is required before the first step.
    pub step: Option<usize>,
}

impl Schema {
    /// What the files of its objects begin with: `MODULE@VERSION/FOLDER/`.
    pub(crate) fn source(&self) -> String {
        format!("{}@{}/{}/", self.module, self.version, self.folder)
    }
}

/// Why schemas could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SchemaError {
    /// `go` failed, and there is no URL to fall back to.
    #[error("cannot have the CRDs of {module} {version} from its Go module, and no URL is known for them")]
    Module {
        /// The module.
        module: String,
        /// Its version.
        version: String,
        /// What went wrong.
        #[source]
        source: HostError,
    },
    /// `go` answered something else than a module.
    #[error("`go mod download` of {module} {version} gave no directory; install a current Go")]
    NoDirectory {
        /// The module.
        module: String,
        /// Its version.
        version: String,
    },
    /// A folder of the module or a temporary folder cannot be read.
    #[error("cannot read `{path}`")]
    Read {
        /// The path.
        path: String,
        /// The operating system's reason.
        #[source]
        source: std::io::Error,
    },
    /// The URL gave nothing.
    #[error("cannot have `{url}`{}; install Go, or see that the machine reaches it", status.map(|code| format!(" (status {code})")).unwrap_or_default())]
    Url {
        /// The URL.
        url: String,
        /// The status, where there was an answer.
        status: Option<u16>,
        /// What went wrong, where there was none.
        #[source]
        source: Option<WebError>,
    },
    /// A file is not a manifest.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
}

/// The objects of some schemas, in order; the `file` of each begins with its [`Schema::source`].
///
/// # Errors
/// A schema cannot be had in any way.
pub async fn objects(host: &Host, schemas: &[Schema]) -> Result<Vec<Object>, SchemaError> {
    let mut objects = Vec::new();
    for schema in schemas {
        let had = match (from_module(host, schema).await, &schema.url) {
            (Err(SchemaError::Module { .. } | SchemaError::NoDirectory { .. }), Some(url)) => {
                from_url(host, schema, url).await?
            }
            (had, _) => had?,
        };
        objects.extend(had);
    }
    Ok(objects)
}

#[derive(Deserialize)]
struct Downloaded {
    #[serde(rename = "Dir")]
    directory: PathBuf,
}

async fn from_module(host: &Host, schema: &Schema) -> Result<Vec<Object>, SchemaError> {
    // An empty directory: inside a module, its go.mod would have a say in what is downloaded.
    let empty = tempfile::tempdir().map_err(|source| SchemaError::Read {
        path: std::env::temp_dir().display().to_string(),
        source,
    })?;
    let call = Call::new("go")
        .args(["mod", "download", "-json"])
        .arg(format!("{}@{}", schema.module, schema.version))
        .directory(empty.path())
        .variable("GOFLAGS", "-mod=mod")
        .variable("GOWORK", "off")
        .time_limit(TIME_LIMIT);
    let ended = host.run_ok(&call).await.map_err(|source| SchemaError::Module {
        module: schema.module.clone(),
        version: schema.version.clone(),
        source,
    })?;
    let downloaded: Downloaded = serde_json::from_slice(&ended.stdout).map_err(|_| SchemaError::NoDirectory {
        module: schema.module.clone(),
        version: schema.version.clone(),
    })?;
    let folder = downloaded.directory.join(&schema.folder);
    let broken = |path: &std::path::Path| {
        let path = path.display().to_string();
        move |source| SchemaError::Read { path, source }
    };
    let mut files: Vec<PathBuf> = fs::read_dir(&folder)
        .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect())
        .map_err(broken(&folder))?;
    files.retain(|path| path.extension().is_some_and(|ending| ending == "yaml") && path.is_file());
    let is_meant = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        schema.files.is_empty() || schema.files.iter().any(|file| *file == *name)
    };
    files.retain(is_meant);
    files.sort();
    let mut objects = Vec::new();
    for path in files {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let read = files::read(&path, MOST_FILE_BYTES).map_err(std::io::Error::from);
        let bytes = read.map_err(broken(&path))?;
        objects.extend(manifest::read(&format!("{}{name}", schema.source()), &bytes)?);
    }
    Ok(objects)
}

async fn from_url(host: &Host, schema: &Schema, url: &str) -> Result<Vec<Object>, SchemaError> {
    let failed = |status, source| SchemaError::Url {
        url: url.into(),
        status,
        source,
    };
    let fetched = async {
        let request = WebRequest::get(web::address(url, String::new())?, MOST_BYTES);
        Web::new(host)?.send(&request).await
    };
    let answer = fetched.await.map_err(|source| failed(None, Some(source)))?;
    if !answer.status.is_success() {
        return Err(failed(Some(answer.status.as_u16()), None));
    }
    Ok(manifest::read(
        &format!("{}{}", schema.source(), url.rsplit('/').next().unwrap_or(url)),
        &answer.body,
    )?)
}
