//! Takes files out of a wheel of the Python package index.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use super::{Workshop, last_name};
use crate::{
    host::Call,
    images::{
        ImagesError,
        recipe::{Recipe, Wheel},
        store::{at, write_whole},
    },
};

impl Workshop<'_> {
    pub(super) async fn unpack_wheel(&self, recipe: &Recipe, wheel: &Wheel, into: &Path) -> Result<(), ImagesError> {
        let job = self
            .progress
            .begin(format!("fetching {} {}", wheel.project, wheel.version), None);
        let work = self.store.work(&format!("wheel-{}", wheel.project));
        let requirements = work.join("requirements.txt");
        let pinned = format!("{}=={} --hash=sha256:{}\n", wheel.project, wheel.version, wheel.sha256);
        write_whole(&requirements, pinned.as_bytes())?;
        // pip holds what it downloads against the hash, so that a wheel for another machine is refused as well.
        let call = Call::new("python3")
            .args([
                "-m",
                "pip",
                "download",
                "--quiet",
                "--no-deps",
                "--only-binary=:all:",
                "--require-hashes",
            ])
            .args([
                "--disable-pip-version-check",
                "--no-input",
                "--requirement",
                "requirements.txt",
                "--dest",
                ".",
            ])
            .directory(&work);
        self.tool(recipe, &call, &mut |_| ()).await?;
        job.seen("unpacking");
        let unpacked = work.join("unpacked");
        let call = Call::new("python3")
            .args(["-m", "zipfile", "-e", &wheel.file, "unpacked"])
            .directory(&work);
        self.tool(recipe, &call, &mut |_| ()).await?;
        for path in &wheel.take {
            let (from, to) = (unpacked.join(path), into.join(last_name(path)));
            fs::rename(&from, &to).map_err(at(&from))?;
            fs::set_permissions(&to, fs::Permissions::from_mode(0o755)).map_err(at(&to))?;
        }
        fs::remove_dir_all(&work).map_err(at(&work))
    }
}
