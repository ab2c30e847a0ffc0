//! Compiles a program from Go modules.
//!
//! The lock (`go.mod`, `go.sum`) pins every module by its hash, and the Go tool holds what it downloads against both the
//! lock and the public checksum database, which stays on.

use std::{path::Path, time::Duration};

use super::{Workshop, copy, last_name};
use crate::{
    host::{Call, Host, files},
    images::{
        ImagesError,
        recipe::{Go, Recipe, image_file},
        store::write_whole,
    },
};

/// How many compilations run at once. Each is parallel itself; a second one fills the gaps that linking leaves.
pub(super) const AT_ONCE: usize = 2;

/// Memory left alone for everything else, in MiB.
const SPARE_MIB: u64 = 1024;

/// The version of the Go tool, such as `go1.26.8`; `None` where there is none.
pub(super) async fn version(host: &Host) -> Result<Option<String>, ImagesError> {
    if host.find_program("go").is_none() {
        return Ok(None);
    }
    let call = Call::new("go")
        .args(["env", "GOVERSION"])
        .time_limit(Duration::from_secs(20));
    let said = host.run_ok(&call).await.map_err(ImagesError::Tool)?.text();
    Ok(said.split_whitespace().next().map(str::to_owned))
}

/// The processor time of a compilation spread over this machine's processors.
pub(in crate::images) fn estimate(go: &Go) -> Duration {
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get) as u64;
    Duration::from_secs(go.cpu_seconds / processors)
}

impl Workshop<'_> {
    pub(super) async fn compile(&self, recipe: &Recipe, go: &Go, into: &Path) -> Result<(), ImagesError> {
        let _place = self.go_places.acquire().await.map_err(|_| ImagesError::Stopped)?;
        self.wait_for_memory(go).await;
        let directory = self.store.work(&format!("go-{}", go.lock));
        for file in ["go.mod", "go.sum", "main.go"] {
            if let Some(bytes) = image_file(&format!("go/{}/{file}", go.lock)) {
                write_whole(&directory.join(file), &bytes)?;
            }
        }
        let job = self
            .progress
            .begin(format!("compiling {}", recipe.name), Some(estimate(go)));
        let program = into.join(&recipe.name);
        let mut flags = vec!["-s".to_owned(), "-w".to_owned()];
        flags.extend(go.set.iter().map(|(name, value)| format!("-X {name}={value}")));
        let call = go_tool(&directory)
            .args(["build", "-v", "-trimpath", "-ldflags"])
            .arg(flags.join(" "))
            .args(["-tags", &go.tags.join(",")])
            .arg("-o")
            .arg(program.to_string_lossy())
            .arg(&go.package);
        let mut packages = 0_u32;
        let seen = &mut |line: &str| {
            // With -v the tool names each package it compiles; what it takes from its cache it does not name.
            if !line.contains(' ') {
                packages += 1;
                job.seen(format!("{packages} packages compiled"));
            } else if line.contains("downloading") {
                job.seen("downloading modules");
            }
        };
        self.tool(recipe, &call, seen).await?;
        if let (Some(module), false) = (&go.module, go.take.is_empty()) {
            let call = go_tool(&directory).args(["list", "-m", "-f", "{{.Dir}}", module]);
            let module_directory = self.tool(recipe, &call, &mut |_| ()).await?;
            for path in &go.take {
                copy(&Path::new(&module_directory).join(path), &into.join(last_name(path)))?;
            }
        }
        Ok(())
    }

    /// Lets a second compilation wait while there is not memory for both. The first never waits: it may well succeed.
    async fn wait_for_memory(&self, go: &Go) {
        while self.go_places.available_permits() + 1 < AT_ONCE
            && available_mib().is_some_and(|available| available < go.memory_mib + SPARE_MIB)
        {
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
    }
}

fn go_tool(directory: &Path) -> Call {
    Call::new("go")
        .directory(directory)
        .variable("CGO_ENABLED", "0")
        .variable("GOOS", "linux")
        .variable("GOARCH", "amd64")
        .variable("GOWORK", "off")
        .variable("GOFLAGS", "-buildvcs=false -p=2 -mod=readonly")
}

/// `MemAvailable` of the kernel's `/proc/meminfo`, in MiB.
fn available_mib() -> Option<u64> {
    available_of(&files::read_text(Path::new("/proc/meminfo"), 64 << 10).ok()?)
}

fn available_of(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kib / 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_as_the_kernel_writes_it() {
        let text = "MemTotal:       24000000 kB\nMemAvailable:    2097152 kB\nBuffers: 1 kB\n";
        assert_eq!(available_of(text), Some(2048));
        assert_eq!(available_of("MemTotal: 1 kB\n"), None);
    }
}
