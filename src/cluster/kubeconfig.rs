//! Kubeconfig files: ours, one a cluster, and those that a person works with. How a client is made of one.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use kube::{
    Client,
    config::{Config, KubeConfigOptions, Kubeconfig, KubeconfigError},
};

use super::{ClusterError, credentials, plugin};
use crate::{
    host::{
        Host,
        files::{self, FileError},
    },
    record::Events,
};

/// Where the kubeconfig of a cluster of ours is, by kind's name for it.
pub(super) fn path_of(host: &Host, name: &str) -> PathBuf {
    host.state_directory()
        .join("clusters")
        .join(format!("{name}.kubeconfig"))
}

/// A client for a context, for which a program that gives credentials may take `limit`. One that reads a response for five minutes without a byte gives up.
pub(super) async fn connect(
    host: &Host,
    path: &Path,
    config: Kubeconfig,
    context: &str,
    limit: Duration,
    events: &Events,
) -> Result<Client, ClusterError> {
    for file in files_of(&config, context) {
        regular(Path::new(file))?;
    }
    credentials::learn(&config, host.redactor());
    let options = KubeConfigOptions {
        context: Some(context.to_owned()),
        ..KubeConfigOptions::default()
    };
    let mut config = Config::from_custom_kubeconfig(config, &options)
        .await
        .map_err(|error| unusable(path, &error))?;
    let plugin = plugin::resolved(host, &mut config.auth_info, limit).await;
    let plugin = plugin.map_err(|source| ClusterError::Plugin { source })?;
    config.connect_timeout = Some(Duration::from_secs(10));
    // Above the 290 s after which the API server ends an idle watch by itself, so that a quiet watch is no error.
    config.read_timeout = Some(Duration::from_mins(5));
    // Without, the time a pooled connection sat idle counts, and the next request on it times out.
    config.reset_reader_on_write = true;
    // kube would sleep as long as the server says, which may be for days. What is tried again is `persistently`'s affair.
    config.default_retry = false;
    // A proxy of the environment is for the world outside, never for this machine.
    if matches!(config.cluster_url.host(), Some("127.0.0.1" | "localhost" | "[::1]")) {
        config.proxy_url = None;
    }
    #[cfg(test)]
    if let Some(network) = host.network().cloned() {
        let service = tower::service_fn(move |request| network.clone().send(request));
        let builder = kube::client::ClientBuilder::new(service, "default");
        return Ok(super::bounded::client(builder, events));
    }
    let client = credentials::client(config, context, host.redactor(), events)?;
    Ok(match plugin {
        Some(plugin) => plugin.authorizing(client),
        None => client,
    })
}

/// The files that a context leads to, which kube reads whole.
fn files_of<'a>(config: &'a Kubeconfig, context: &str) -> Vec<&'a String> {
    let named = config.contexts.iter().find(|named| named.name == context);
    let context = named.and_then(|named| named.context.as_ref());
    let cluster = context.and_then(|context| config.clusters.iter().find(|named| named.name == context.cluster));
    let cluster = cluster.and_then(|named| named.cluster.as_ref());
    let user = context.and_then(|context| {
        let mut users = config.auth_infos.iter();
        users.find(|named| Some(&named.name) == context.user.as_ref())
    });
    let user = user.and_then(|named| named.auth_info.as_ref());
    let of_user = user.map(|user| [&user.client_certificate, &user.client_key, &user.token_file]);
    let of_cluster = cluster.and_then(|cluster| cluster.certificate_authority.as_ref());
    of_user.into_iter().flatten().flatten().chain(of_cluster).collect()
}

/// Says no to what is no file, such as a pipe, which would be waited for, and to one that is longer than any kubeconfig, key or
/// token. That nothing is there, the reader says.
fn regular(path: &Path) -> Result<(), ClusterError> {
    match files::look(path, FILE_BYTES) {
        Ok(()) | Err(FileError::Missing { .. }) => Ok(()),
        Err(error) => Err(ClusterError::File {
            path: path.to_owned(),
            doing: "read",
            source: error.into(),
        }),
    }
}

/// The longest kubeconfig, key, certificate or token that is read.
const FILE_BYTES: u64 = 4 << 20;

pub(super) fn read(path: &Path) -> Result<Kubeconfig, ClusterError> {
    if !path.exists() {
        return Err(ClusterError::KubeconfigMissing { path: path.to_owned() });
    }
    regular(path)?;
    Kubeconfig::read_from(path).map_err(|error| unusable(path, &error))
}

fn unusable(path: &Path, error: &KubeconfigError) -> ClusterError {
    ClusterError::Kubeconfig {
        path: path.to_owned(),
        what: credentials::wrong_with(error),
    }
}

/// The kubeconfig a person works with. Not kube's own reading of it, which looks at the environment itself.
pub(super) fn read_all(host: &Host, named: Option<&Path>) -> Result<(PathBuf, Kubeconfig), ClusterError> {
    let paths: Vec<PathBuf> = match (named, host.variable("KUBECONFIG")) {
        (Some(path), _) => vec![path.to_owned()],
        (None, Some(list)) => std::env::split_paths(list).filter(|path| path.is_file()).collect(),
        (None, None) => vec![Path::new(host.variable("HOME").unwrap_or("/")).join(".kube/config")],
    };
    let Some((first, others)) = paths.split_first() else {
        return Err(ClusterError::KubeconfigMissing {
            path: PathBuf::from(host.variable("KUBECONFIG").unwrap_or_default()),
        });
    };
    let mut config = read(first)?;
    for path in others {
        config = config.merge(read(path)?).map_err(|error| unusable(path, &error))?;
    }
    Ok((first.clone(), config))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::broken("users: [{name: u, user: {token: hunter2hunter2, x: [}}]\n", "line 1, column ")]
    #[case::of_another_type("users: [{name: u, user: hunter2hunter2}]\n", "line 1, column ")]
    #[case::of_another_type_below("users:\n- name: u\n  user:\n    exec: hunter2hunter2\n", "line 4, column ")]
    fn of_a_kubeconfig_that_is_none_the_place_is_said_and_nothing_of_what_stands_there(
        #[case] text: &str,
        #[case] place: &str,
    ) {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("config");
        std::fs::write(&file, text).unwrap();
        let error = read(&file).unwrap_err();
        let said = format!("{error:?} {}", crate::host::in_words(&error));
        assert!(said.contains(place) && said.contains(file.to_str().unwrap()), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
    }

    #[test]
    fn what_is_no_file_or_too_long_is_not_read() {
        let directory = tempfile::tempdir().unwrap();
        let long = directory.path().join("long");
        std::fs::File::create(&long).unwrap().set_len(FILE_BYTES + 1).unwrap();
        for path in [Path::new("/dev/zero"), directory.path(), &long] {
            let refused = read(path).unwrap_err();
            assert!(
                matches!(&refused, ClusterError::File { path: named, .. } if named == path),
                "{refused:?}"
            );
        }
    }

    #[test]
    fn the_files_that_a_context_leads_to_are_known() {
        let text = "clusters: [{name: c, cluster: {certificate-authority: /ca}}, {name: d, cluster: {certificate-authority: /no}}]\n\
            users: [{name: u, user: {client-certificate: /crt, client-key: /key, tokenFile: /token}}]\n\
            contexts: [{name: x, context: {cluster: c, user: u}}, {name: y, context: {cluster: d}}]\n";
        let config = Kubeconfig::from_yaml(text).unwrap();
        assert_eq!(files_of(&config, "x"), ["/crt", "/key", "/token", "/ca"]);
        assert_eq!(files_of(&config, "y"), ["/no"]);
    }

    #[test]
    fn the_kubeconfig_is_the_one_named_then_the_variable_then_the_home() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("config");
        std::fs::write(&file, "contexts: []\n").unwrap();
        let host = Host::with_variables([("KUBECONFIG", file.to_str().unwrap()), ("HOME", "/nowhere")]);
        assert_eq!(read_all(&host, None).unwrap().0, file);
        let other = Path::new("/nowhere/else");
        assert!(matches!(read_all(&host, Some(other)), Err(ClusterError::KubeconfigMissing { path }) if path == other));
        let host = Host::with_variables([("HOME", "/nowhere")]);
        assert!(
            matches!(read_all(&host, None), Err(ClusterError::KubeconfigMissing { path }) if path == Path::new("/nowhere/.kube/config"))
        );
    }
}
