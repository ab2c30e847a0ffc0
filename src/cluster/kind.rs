//! Clusters of our own, made with kind: each in a kubeconfig file of its own, noted before it is made.
//!
//! kind is not asked to wait: it looks every half second and only at the node. [`super::ready`] watches instead.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    Cluster, ClusterError, Origin, SHORT,
    configuration::{NodeImage, render},
    engine::Engine,
    freezer::thawing,
    inventory::{Inventories, Inventory, Listing, Made},
    kubeconfig, ready,
};
use crate::{
    host::{Call, Host, HostError, docker},
    record::{Events, Stage},
};

/// What the names of all our clusters begin with.
pub(super) const PREFIX: &str = "quickproof-";

/// kind pulls its node image inside of this, where it uses its own.
const CREATE_LIMIT: Duration = Duration::from_mins(15);

/// A kind cluster that bears our name, and what is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// kind's name for it.
    pub name: String,
    /// The run that noted it; `None` where no inventory does, and then `reap` leaves it alone.
    pub(crate) run: Option<String>,
    /// Whether that run's process still runs.
    pub(crate) alive: bool,
    /// Whether it was kept on purpose.
    pub(crate) kept: bool,
    /// Its kubeconfig file, where it is there.
    pub(crate) kubeconfig: Option<PathBuf>,
}

/// The name of the cluster of run `id`: `quickproof-` and the id.
///
/// # Errors
/// The id has other characters than a-z, 0-9 and `-`, or is empty or longer than 32.
pub fn cluster_name(id: &str) -> Result<String, ClusterError> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if id.is_empty() || id.len() > 32 || !id.bytes().all(allowed) {
        return Err(ClusterError::Name { name: id.to_owned() });
    }
    Ok(format!("{PREFIX}{id}"))
}

pub(super) fn node_container(name: &str) -> String {
    format!("{name}-control-plane")
}

/// Makes the cluster of run `id` and waits until its node is Ready and pods can be made. The cluster's names (`CoreDNS`) come later:
/// [`super::dns_ready`]. Without `node_image`, kind's default is taken.
///
/// When the future is dropped, kind is ended; what it left is in the inventory.
///
/// # Errors
/// No engine answers, kind fails or the node does not become ready: what was made is then deleted again, and the last
/// words of kind and of the node are in the error.
pub async fn create(
    host: &Host,
    id: &str,
    node_image: Option<&str>,
    inventory: &Inventory,
    events: &Events,
) -> Result<Cluster, ClusterError> {
    let name = cluster_name(id)?;
    let image = node_image.map_or(NodeImage::Default, |image| NodeImage::Own(image.to_owned()));
    let engine = Engine::ask(host).await?;
    events.note(Stage::Cluster, engine.sentence());
    let configuration = render(&name, engine.cgroup(), &image)?;
    let kubeconfig = kubeconfig::path_of(host, &name);
    if let Some(directory) = kubeconfig.parent() {
        fs::create_dir_all(directory).map_err(|source| ClusterError::File {
            path: directory.to_owned(),
            doing: "written",
            source,
        })?;
    }
    let made = Made::KindCluster {
        name: name.clone(),
        kubeconfig: kubeconfig.clone(),
    };
    inventory.add(made.clone())?;
    let mut call = Call::new("kind")
        .args(["create", "cluster", "--config", "-", "--retain", "--kubeconfig"])
        .arg(kubeconfig.to_string_lossy())
        .input(configuration)
        .time_limit(CREATE_LIMIT);
    if let NodeImage::Own(image) = &image {
        call = call.args(["--image", image]);
    }
    match make(host, &name, &call, events).await {
        Ok(client) => Ok(Cluster {
            context: format!("kind-{name}"),
            name,
            kubeconfig,
            client,
            origin: Origin::Made,
        }),
        Err(error) => {
            let error = with_last_words(host, &name, error).await;
            // The reason it failed is worth more than the reason that its remains stay; they are in the inventory.
            if delete(host, &name).await.is_ok() {
                inventory.remove(&made)?;
            }
            Err(error)
        }
    }
}

async fn make(host: &Host, name: &str, call: &Call, events: &Events) -> Result<kube::Client, ClusterError> {
    let on = format!("cluster {name}");
    events.waiting(Stage::Cluster, &on, "");
    let on_line = &mut |line: &str| {
        if let Some(step) = step_of(line) {
            events.waiting(Stage::Cluster, &on, step);
        }
    };
    let ended = host.run_with(call, on_line).await?;
    if !ended.status.success() {
        return Err(ClusterError::Create {
            name: name.to_owned(),
            said: ended.last_words(),
        });
    }
    let path = kubeconfig::path_of(host, name);
    let client = kubeconfig::connect(
        host,
        &path,
        kubeconfig::read(&path)?,
        &format!("kind-{name}"),
        Duration::MAX,
        events,
    )
    .await?;
    ready::usable(&client, name, &node_container(name), events).await?;
    Ok(client)
}

/// What kind says it is doing: ` • Preparing nodes 📦  ...` where standard error is no terminal.
fn step_of(line: &str) -> Option<&str> {
    let step = line.trim_start().strip_prefix('•')?;
    let step = step.trim_matches(|character: char| !character.is_ascii_alphanumeric() && character != ')');
    (!step.is_empty()).then_some(step)
}

/// Adds the end of the node's log and of the kubelet's to an error.
async fn with_last_words(host: &Host, name: &str, error: ClusterError) -> ClusterError {
    let mut said = match &error {
        ClusterError::Create { said, .. } => said.clone(),
        ClusterError::NotReady { seen, .. } => seen.clone(),
        ClusterError::Host(HostError::TimeLimit { .. }) => error.to_string(),
        _ => return error,
    };
    let node = node_container(name);
    let calls = [
        docker(["logs", "--tail", "8", &node]),
        docker([
            "exec",
            &node,
            "journalctl",
            "--no-pager",
            "-q",
            "-o",
            "cat",
            "-u",
            "kubelet",
            "-n",
            "6",
        ]),
    ];
    for call in calls {
        let call = call.time_limit(SHORT);
        if let Ok(ended) = host.run(&call).await
            && ended.status.success()
            && !ended.text().is_empty()
        {
            said = format!("{said}\n{}:\n{}", call.line(), ended.text());
        }
    }
    match error {
        ClusterError::NotReady {
            cluster,
            object,
            seconds,
            ..
        } => ClusterError::NotReady {
            cluster,
            object,
            seconds,
            seen: said,
        },
        _ => ClusterError::Create {
            name: name.to_owned(),
            said,
        },
    }
}

/// Deletes a cluster of ours and its kubeconfig file. One that is not there is no error.
///
/// # Errors
/// The name is not one of ours, or kind fails.
pub async fn delete(host: &Host, name: &str) -> Result<(), ClusterError> {
    let ours = name.strip_prefix(PREFIX).unwrap_or_default();
    if cluster_name(ours).ok().as_deref() != Some(name) {
        return Err(ClusterError::Name { name: name.to_owned() });
    }
    let kubeconfig = kubeconfig::path_of(host, name);
    end_makers(host, &kubeconfig).await;
    let call = Call::new("kind")
        .args(["delete", "cluster", "--name", name, "--kubeconfig"])
        .arg(kubeconfig.to_string_lossy());
    let call = call.time_limit(Duration::from_mins(2));
    thawing(host, &node_container(name), host.run_ok(&call)).await?;
    for path in [kubeconfig.clone(), kubeconfig.with_extension("kubeconfig.lock")] {
        match fs::remove_file(&path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                return Err(ClusterError::File {
                    path,
                    doing: "deleted",
                    source,
                });
            }
            _ => (),
        }
    }
    Ok(())
}

/// Ends a `kind create` that outlived a killed run: it would make the cluster anew after it was deleted. It is known by
/// the kubeconfig file on its command line, which is ours alone.
async fn end_makers(host: &Host, kubeconfig: &Path) {
    let kubeconfig = kubeconfig.to_string_lossy();
    for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let line = fs::read(process.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line);
        let words: Vec<&str> = line.split('\0').collect();
        if words.contains(&"create") && words.contains(&kubeconfig.as_ref()) {
            let pid = process.file_name().to_string_lossy().into_owned();
            // It may have ended by now, which is what was wanted.
            let _ = host.run(&Call::new("kill").arg(pid).time_limit(SHORT)).await;
        }
    }
}

/// The kind clusters that bear our name, in order of name.
///
/// # Errors
/// kind fails, such as when no engine answers.
pub async fn list(host: &Host) -> Result<Vec<Listed>, ClusterError> {
    let call = Call::new("kind").args(["get", "clusters", "--quiet"]).time_limit(SHORT);
    let names = host.run_ok(&call).await?.text();
    let listings = Inventories::all(host)?.readable;
    let mut listed: Vec<Listed> = names
        .lines()
        .filter(|name| name.starts_with(PREFIX))
        .map(|name| describe(host, name, &listings))
        .collect();
    listed.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(listed)
}

fn describe(host: &Host, name: &str, listings: &[(PathBuf, Listing)]) -> Listed {
    let listing = listings.iter().map(|(_, listing)| listing).find(|listing| {
        let mut made = listing.made.iter();
        made.any(|made| matches!(made, Made::KindCluster { name: other, .. } if other == name))
    });
    Listed {
        name: name.to_owned(),
        run: listing.map(|listing| listing.run.clone()),
        alive: listing.is_some_and(|listing| listing.process.is_alive()),
        kept: listing.is_some_and(|listing| listing.kept),
        kubeconfig: Some(kubeconfig::path_of(host, name)).filter(|path| path.is_file()),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("ab12", true)]
    #[case("nightly-1", true)]
    #[case("", false)]
    #[case("A", false)]
    #[case("a/b", false)]
    #[case("a b", false)]
    fn only_plain_ids_name_a_cluster(#[case] id: &str, #[case] good: bool) {
        assert_eq!(cluster_name(id).is_ok(), good);
    }

    #[rstest]
    #[case(" • Preparing nodes 📦  ...", Some("Preparing nodes"))]
    #[case(" • Ensuring node image (a/b:1) 🖼  ...", Some("Ensuring node image (a/b:1)"))]
    #[case(" ✓ Preparing nodes 📦", None)]
    #[case("Creating cluster \"a\" ...", None)]
    fn kinds_steps_are_told(#[case] line: &str, #[case] step: Option<&str>) {
        assert_eq!(step_of(line), step);
    }

    #[tokio::test]
    async fn a_cluster_that_is_not_ours_is_never_deleted() {
        let host = Host::with_variables([("PATH", "/nowhere")]);
        let error = delete(&host, "production").await.unwrap_err();
        assert!(matches!(error, ClusterError::Name { name } if name == "production"));
    }
}
