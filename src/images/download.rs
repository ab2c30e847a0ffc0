//! Programs as their own people publish them: the checksum is asked for first, and what comes is held against it.

use std::{io::Read as _, path::PathBuf};

use reqwest::StatusCode;
use serde::{Deserialize, Serialize};
use url::Url;

use super::{
    ImagesError, machine,
    progress::Progress,
    recipe::Recipe,
    store::{Store, sha256, write_whole_program},
};
use crate::host::web::{Web, WebError, WebRequest, address};

/// The most bytes of an archive; that of istioctl has some 30 million.
const MOST_ARCHIVE: usize = 256 << 20;

/// The most bytes of a program.
const MOST_PROGRAM: u64 = 512 << 20;

/// The most bytes of a checksum with the name of what it is of.
const MOST_CHECKSUM: usize = 4 << 10;

/// Where a program's own people publish it. `{machine}` stands for the kind of this machine, as Go names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Download {
    /// The address of the archive, a `.tar.gz`.
    pub(crate) archive: String,
    /// The address of its SHA-256: 64 hexadecimal digits, and perhaps its name after them.
    pub(crate) checksum: String,
    /// The program's path in the archive.
    pub(crate) take: String,
}

impl Download {
    /// What it is on this machine; `None` where nobody publishes it for such a one.
    pub(super) fn here(&self) -> Option<Self> {
        let machine = machine()?;
        let filled = |text: &str| text.replace("{machine}", machine);
        Some(Self {
            archive: filled(&self.archive),
            checksum: filled(&self.checksum),
            take: filled(&self.take),
        })
    }

    /// The host that has it.
    pub(super) fn host(&self) -> &str {
        let after = self.archive.split_once("://").map_or("", |(_, rest)| rest);
        after.split('/').next().unwrap_or_default()
    }
}

/// Where a program that was downloaded lies.
pub(super) fn place(store: &Store, recipe: &Recipe) -> PathBuf {
    store
        .programs()
        .join(format!("{}-{}-published", recipe.name, recipe.version))
}

/// Downloads a program, and puts it in its place. `None` where nobody answers.
///
/// # Errors
/// Somebody answers, and not with the program: a status that says no, or bytes that are not those of the checksum.
pub(super) async fn download(
    store: &Store,
    recipe: &Recipe,
    from: &Download,
    progress: &Progress,
) -> Result<Option<PathBuf>, ImagesError> {
    let job = progress.begin(format!("downloading {} {}", recipe.name, recipe.version), None);
    let web = Web::with_way_out("wait until then, or put the program on PATH")?;
    let Some(said) = got(&web, &from.checksum, MOST_CHECKSUM).await? else {
        return Ok(None);
    };
    let wanted = checksum_in(&String::from_utf8_lossy(&said)).ok_or_else(|| ImagesError::Download {
        url: from.checksum.clone(),
        what: "gives no SHA-256".to_owned(),
    })?;
    job.seen(format!("from {}", from.host()));
    let archive = got(&web, &from.archive, MOST_ARCHIVE).await?;
    // Who gave the checksum a moment ago is there.
    let archive = archive.ok_or_else(|| ImagesError::Download {
        url: from.archive.clone(),
        what: "does not answer, and its checksum did".to_owned(),
    })?;
    let place = place(store, recipe);
    let (url, take) = (from.archive.clone(), from.take.clone());
    let unpacked = tokio::task::spawn_blocking(move || program_in(&archive, &wanted, &take));
    let program = unpacked.await.map_err(|_| ImagesError::Stopped)?;
    let program = program.map_err(|what| ImagesError::Download { url, what })?;
    write_whole_program(&place, &program)?;
    Ok(Some(place))
}

/// What an address has; `None` where nobody answers.
async fn got(web: &Web, url: &str, most_bytes: usize) -> Result<Option<Vec<u8>>, ImagesError> {
    let answered: Result<_, WebError> = async {
        let url: Url = address(url, String::new())?;
        web.send(&WebRequest::get(url, most_bytes)).await
    }
    .await;
    match answered {
        Ok(answer) if answer.status == StatusCode::OK => Ok(Some(answer.body)),
        Ok(answer) => Err(ImagesError::Download {
            url: url.to_owned(),
            what: format!("answers {}", answer.status),
        }),
        Err(WebError::Unreachable { .. }) => Ok(None),
        Err(error) => Err(ImagesError::Web(error)),
    }
}

/// The digest in `64-HEXADECIMAL-DIGITS  NAME`.
fn checksum_in(text: &str) -> Option<String> {
    let word = text.split_whitespace().next()?;
    let is_one = word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_one.then(|| format!("sha256:{}", word.to_ascii_lowercase()))
}

/// The program in an archive that has this digest.
fn program_in(archive: &[u8], wanted: &str, take: &str) -> Result<Vec<u8>, String> {
    let digest = sha256(archive);
    if digest != wanted {
        return Err(format!("gives {digest}, and its checksum says {wanted}"));
    }
    let unreadable = |error: std::io::Error| format!("is no archive that can be read ({error})");
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(archive));
    for entry in archive.entries().map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let is_it = entry
            .path()
            .is_ok_and(|path| path.to_str().is_some_and(|path| path.trim_start_matches("./") == take));
        if is_it && entry.header().entry_type().is_file() {
            let mut program = Vec::new();
            entry.take(MOST_PROGRAM).read_to_end(&mut program).map_err(unreadable)?;
            return Ok(program);
        }
    }
    Err(format!("has no file `{take}`"))
}

#[cfg(test)]
mod tests;
