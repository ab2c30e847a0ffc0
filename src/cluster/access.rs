//! What an account may do in a cluster, asked of the API server before it is needed.

use std::fmt;

use futures::StreamExt as _;
use k8s_openapi::api::authorization::v1::{
    NonResourceAttributes, ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
};

/// How many questions are under way at the same time.
const AT_ONCE: usize = 8;

/// A right: to do one thing with one resource, or with one path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Right {
    /// The API group; empty for the core group, and for paths.
    pub(crate) group: String,
    /// The resource, such as `pods`, one below it, such as `pods/portforward`, or a path, such as `/metrics`.
    pub(crate) resource: String,
    /// The namespace; `None` for the whole cluster, and for what lives in none.
    pub(crate) namespace: Option<String>,
    /// What is done, as roles name it.
    pub(crate) verb: String,
}

impl fmt::Display for Right {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.verb, self.resource)?;
        if !self.group.is_empty() {
            write!(formatter, ".{}", self.group)?;
        }
        if self.is_path() {
            return Ok(());
        }
        match &self.namespace {
            Some(namespace) => write!(formatter, " in namespace {namespace}"),
            None => write!(formatter, " in the cluster"),
        }
    }
}

impl Right {
    /// Whether it is about a path and not about a resource.
    fn is_path(&self) -> bool {
        self.resource.starts_with('/')
    }

    fn review(&self) -> SelfSubjectAccessReview {
        let spec = if self.is_path() {
            SelfSubjectAccessReviewSpec {
                non_resource_attributes: Some(NonResourceAttributes {
                    path: Some(self.resource.clone()),
                    verb: Some(self.verb.clone()),
                }),
                ..SelfSubjectAccessReviewSpec::default()
            }
        } else {
            SelfSubjectAccessReviewSpec {
                resource_attributes: Some(self.attributes()),
                ..SelfSubjectAccessReviewSpec::default()
            }
        };
        SelfSubjectAccessReview {
            metadata: ObjectMeta::default(),
            spec,
            status: None,
        }
    }

    fn attributes(&self) -> ResourceAttributes {
        let (resource, subresource) = match self.resource.split_once('/') {
            Some((resource, below)) => (resource, Some(below.to_owned())),
            None => (self.resource.as_str(), None),
        };
        ResourceAttributes {
            group: Some(self.group.clone()),
            resource: Some(resource.to_owned()),
            subresource,
            namespace: self.namespace.clone(),
            verb: Some(self.verb.clone()),
            ..ResourceAttributes::default()
        }
    }
}

/// Those of these rights that the account does not have, in their order. What the API server does not say plainly counts as a
/// right: the call itself will tell.
pub(crate) async fn lacking(client: &Client, rights: impl IntoIterator<Item = Right>) -> Vec<Right> {
    let reviews: Api<SelfSubjectAccessReview> = Api::all(client.clone());
    let asked = rights.into_iter().map(|right| {
        let reviews = reviews.clone();
        async move {
            let answer = reviews.create(&PostParams::default(), &right.review()).await;
            let status = answer.ok().and_then(|answer| answer.status);
            let is_refused = status.is_some_and(|status| !status.allowed && status.evaluation_error.is_none());
            is_refused.then_some(right)
        }
    });
    let answers = futures::stream::iter(asked).buffered(AT_ONCE);
    answers.filter_map(std::future::ready).collect().await
}
