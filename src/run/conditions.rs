//! Waiting until the conditions of Gateway, HTTPRoute and InferencePool settle.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use k8s_openapi::api::core::v1::Pod;
use kube::api::DynamicObject;
use serde_json::Value;
use tokio::time::Instant;

use super::{
    deployment::Quickstart,
    explaining::{Around, explain, explain_unready},
    observation::Objects,
    pool, workloads,
};
use crate::{
    check::{
        classes::{Controllers, UNCLAIMED},
        conditions::{self, Unmet},
    },
    cluster::{
        ready::is_ready,
        resources::Trouble,
        unrecoverable::Unrecoverable,
        watching::{Progress, WaitError, Watched, Watches},
    },
    deploy::Deployer,
    manifest::Object,
    plan::{Action, Chart, Plan},
    record::{Provenance, Stage},
    verdict::CauseCode,
};

/// How long conditions may take to become True while no controller says no.
const CONDITIONS_LIMIT: Duration = Duration::from_mins(1);
/// How long a controller's "no" at the current generation is borne: routes are applied before what they refer to.
const NO_IS_BORNE: Duration = Duration::from_secs(5);
/// The same for a certificate that is missing: it may be issued by a controller of its own, after the Gateway was made.
const NO_CERTIFICATE_IS_BORNE: Duration = Duration::from_secs(10);

/// The same for a class that no controller has said anything of while other controllers are at work: its own may be new.
const UNCLAIMED_IS_BORNE: Duration = Duration::from_secs(15);

/// Objects of the plan, and the watches that say how they are now.
struct Looked<'a> {
    deployer: &'a Deployer,
    /// Gateways, HTTPRoutes and InferencePools, as the plan made them.
    made: [Vec<Object>; 3],
    /// By `apiVersion` and `kind`.
    watched: BTreeMap<(String, String), Arc<Watched<DynamicObject>>>,
    /// `None` where the cluster does not know the kind.
    classes: Option<Arc<Watched<DynamicObject>>>,
}

impl<'a> Looked<'a> {
    async fn at(deployer: &'a Deployer) -> Self {
        let made = ["Gateway", "HTTPRoute", "InferencePool"]
            .map(|kind| deployer.deployed(|deployed| deployed.of_kind(kind).cloned().collect::<Vec<_>>()));
        let mut watched = BTreeMap::new();
        for object in made.iter().flatten() {
            if watched.contains_key(&kind_of(object)) {
                continue;
            }
            if let Ok(Some(resource)) = deployer.resources().of_kind(object.api_version(), object.kind()).await {
                let watch = deployer.site.watches.others(&resource.api, resource.placement);
                watched.insert(kind_of(object), watch);
            }
        }
        let classes = match made[0].first() {
            Some(gateway) => {
                deployer
                    .resources()
                    .of_kind(gateway.api_version(), "GatewayClass")
                    .await
            }
            None => Ok(None),
        };
        let classes = classes.ok().flatten();
        let classes = classes.map(|resource| deployer.site.watches.aside(&resource.api, resource.placement));
        Self {
            deployer,
            made,
            watched,
            classes,
        }
    }

    /// The objects as they are now; as the plan made them where no watch has seen them yet.
    fn now(&self) -> Objects {
        let [gateways, http_routes, inference_pools] = self.made.each_ref().map(|objects| {
            let now = objects.iter().map(|object| self.one_now(object));
            now.collect::<Vec<Value>>()
        });
        let inference_pools = pool::in_question(inference_pools, &http_routes);
        let classes = self.classes.as_ref().filter(|classes| classes.synced());
        Objects {
            gateway_classes: classes.map(|classes| {
                let all = classes.all();
                let values = all.iter().filter_map(|class| serde_json::to_value(&**class).ok());
                values.collect()
            }),
            pool_pods: pool::pods(self.deployer, &inference_pools),
            gateways,
            http_routes,
            inference_pools,
            ..Objects::default()
        }
    }

    /// Where the objects stand in the release.
    fn places(&self) -> BTreeMap<(String, String), Provenance> {
        let of = |object: &Object| {
            let named = (object.kind().to_owned(), object.name().to_owned());
            (named, workloads::place_of(object))
        };
        self.made.iter().flatten().map(of).collect()
    }

    fn one_now(&self, object: &Object) -> Value {
        let watched = self.watched.get(&kind_of(object));
        watched
            .and_then(|watched| watched.get(object.namespace().unwrap_or_default(), object.name()))
            .and_then(|found| serde_json::to_value(&*found).ok())
            .unwrap_or_else(|| Value::clone(&object.value))
    }
}

fn kind_of(object: &Object) -> (String, String) {
    (object.api_version().to_owned(), object.kind().to_owned())
}

/// A no of a controller, and since when it has been said.
#[derive(Default)]
struct No(Option<(String, Instant)>);

impl No {
    /// Whether what is unmet is a no that was said for as long as it is borne. It counts from the first time that it was said.
    fn counts(&mut self, unmet: Option<&Unmet>) -> bool {
        let Some(unmet) = unmet.filter(|unmet| unmet.said_no) else {
            self.0 = None;
            return false;
        };
        let borne = match unmet.cause {
            CauseCode::GatewayCertificateMissing => NO_CERTIFICATE_IS_BORNE,
            CauseCode::GatewayClassMissing if unmet.reason == UNCLAIMED => UNCLAIMED_IS_BORNE,
            _ => NO_IS_BORNE,
        };
        let before = self.0.take().filter(|(what, _)| *what == unmet.what);
        let (_, since) = self
            .0
            .insert(before.unwrap_or_else(|| (unmet.what.clone(), Instant::now())));
        since.elapsed() >= borne
    }
}

/// A pod that the provider made for a Gateway of the steps and that has no image to run, where none of its pods is ready.
pub(super) fn proxy_without_image(around: &Around<'_>) -> Option<Unrecoverable> {
    let proxies = proxies(around);
    if proxies.iter().any(|pod| is_ready(pod)) {
        return None;
    }
    let watches = &around.deployer.site.watches;
    let lost = watches.first_unrecoverable(proxies.iter().map(AsRef::as_ref));
    lost.filter(Unrecoverable::has_no_image)
}

/// What is seen while a proxy of the Gateways is lost, of whose pods none was waited for.
pub(super) async fn without_proxy(around: &Around<'_>, lost: Unrecoverable) -> Objects {
    let looked = Looked::at(around.deployer).await;
    Objects {
        gateway_pods: Some(explain(around, lost).await),
        pods_may_come: true,
        places: looked.places(),
        ..looked.now()
    }
}

/// Waits until a controller has refused something for good, and returns what was seen then. Pods may come up meanwhile, of which
/// it waits for none. It never ends where nothing is refused, and judges nothing.
pub(super) async fn refused(quickstart: &Quickstart<'_>) -> Objects {
    let looked = Looked::at(&quickstart.deployer).await;
    let controllers = controllers(quickstart.plan);
    let (mut seen, mut no, around) = (Objects::default(), No::default(), quickstart.around());
    let question = |_: &Watches| {
        if let Some(lost) = proxy_without_image(&around) {
            return Progress::Never(lost);
        }
        seen = looked.now();
        let unmet = unmet(&seen, controllers).into_iter().find(Unmet::is_for_good);
        if no.counts(unmet.as_ref()) {
            Progress::Ready(())
        } else {
            Progress::NotYet(String::new())
        }
    };
    let watches = &quickstart.deployer.site.watches;
    match watches.until(Duration::MAX, question, |_| {}).await {
        Err(WaitError::Never(lost)) if watches.healthy().await.is_ok() => without_proxy(&around, lost).await,
        Ok(()) if watches.healthy().await.is_ok() => Objects {
            pods_may_come: true,
            places: looked.places(),
            ..seen
        },
        // Of an API server that tells nothing any more it is not known whether it still says so. Whoever waits for the pods says
        // that.
        Ok(()) | Err(_) => std::future::pending().await,
    }
}

/// Waits until the conditions hold or will not, and returns what was last seen. It judges nothing: the checks do.
///
/// # Errors
/// The API server does not tell how they are: what was last seen may be long past.
pub(super) async fn await_settled(quickstart: &Quickstart<'_>) -> Result<Objects, Trouble> {
    let (context, deployer) = (quickstart.context, &quickstart.deployer);
    let looked = Looked::at(deployer).await;
    let mut seen = Objects::default();
    let controllers = controllers(quickstart.plan);
    let mut no = No::default();
    let (mut stuck, mut unready, began) = (None, Vec::new(), Instant::now());
    let question = |watches: &Watches| {
        seen = looked.now();
        let proxies = pods_of_gateways(watches, &quickstart.plan.gateway_label, &looked.made[0]);
        let none_is_ready = !proxies.is_empty() && !proxies.iter().any(|pod| is_ready(pod));
        unready.clear();
        if none_is_ready {
            stuck = watches.first_unrecoverable(proxies.iter().map(AsRef::as_ref));
            if stuck.is_some() {
                return Progress::Never(());
            }
            unready.clone_from(&proxies);
        }
        // A node may still be pulling the proxy's image, which nobody has pulled before.
        let is_coming = unready.iter().any(|pod| workloads::is_unstarted(pod));
        let Some(unmet) = first_unmet(&seen, controllers).or_else(|| none_is_ready.then(no_proxy)) else {
            return Progress::<(), ()>::Ready(());
        };
        if no.counts(Some(&unmet)) || began.elapsed() >= CONDITIONS_LIMIT && !is_coming {
            Progress::Never(())
        } else {
            Progress::NotYet(unmet.what)
        }
    };
    let watches = &deployer.site.watches;
    let settled = watches
        .until(context.order.limit, question, |what| {
            context.events.waiting(Stage::Conditions, "conditions", what);
        })
        .await;
    // Otherwise, however it ends, what was last seen is returned, and the checks say what it means.
    match settled {
        Ok(()) => {}
        Err(WaitError::ApiServerAway { trouble }) => return Err(trouble),
        Err(_) => watches.healthy().await?,
    }
    seen.places = looked.places();
    let in_question = |name: &str| seen.inference_pools.iter().any(|pool| pool["metadata"]["name"] == name);
    for beside in looked.made[2].iter().filter(|pool| !in_question(pool.name())) {
        let note = format!("{}: no route leads to it, so it is not judged", beside.title());
        context.events.note(Stage::Conditions, note);
    }
    if let Some(stuck) = stuck {
        seen.gateway_pods = Some(explain(&quickstart.around(), stuck).await);
    } else if !unready.is_empty() {
        let what = "no pod of the Gateway is ready".to_owned();
        let why = explain_unready(&quickstart.around(), &unready, what).await;
        seen.gateway_pods = Some(why).filter(|why| why.code == CauseCode::PodSlow);
    }
    Ok(seen)
}

/// The pods that the provider made for the Gateways of the steps, where they can be seen.
pub(super) fn proxies(around: &Around<'_>) -> Vec<Arc<Pod>> {
    let deployer = around.deployer;
    let gateways: Vec<Object> = deployer.deployed(|deployed| deployed.of_kind("Gateway").cloned().collect());
    pods_of_gateways(&deployer.site.watches, &around.plan.gateway_label, &gateways)
}

/// The pods that the provider made for these Gateways, where they can be seen. `label` bears the name of its Gateway on each.
fn pods_of_gateways(watches: &Watches, label: &str, gateways: &[Object]) -> Vec<Arc<Pod>> {
    let mut pods = watches.pods.all();
    pods.retain(|pod| {
        let labels = pod.metadata.labels.as_ref();
        let of = labels.and_then(|labels| labels.get(label));
        of.is_some_and(|name| gateways.iter().any(|gateway| gateway.name() == name))
    });
    pods
}

/// That no pod of the Gateways is ready, though they say that they are programmed.
fn no_proxy() -> Unmet {
    Unmet {
        what: "no pod of the Gateway is Ready".into(),
        cause: CauseCode::GatewayNotProgrammed,
        said_no: false,
        reason: String::new(),
    }
}

/// Whether a controller of Gateways may still come up: something that may be one is installed by the plan.
fn controllers(plan: &Plan) -> Controllers {
    let installs = plan.steps.iter().any(|step| match &step.action {
        Action::InstallProvider { .. } | Action::InstallManifests { .. } => true,
        // The charts of the tree are the release's own.
        Action::Helm { chart, .. } => matches!(chart, Chart::Published { .. }),
        _ => false,
    });
    if installs {
        Controllers::MayCome
    } else {
        Controllers::AllThere
    }
}

/// What does not hold yet of what controllers say, a refusal first: a route that was refused will not get better by waiting for
/// the pool that it hides. Without a Gateway nobody accepts pools.
fn unmet(seen: &Objects, controllers: Controllers) -> Vec<Unmet> {
    let gateways = seen
        .gateways
        .iter()
        .map(|gateway| conditions::gateway_of(gateway, seen.gateway_classes.as_deref(), controllers));
    let routes = seen.http_routes.iter().map(conditions::http_route);
    let pools = seen
        .inference_pools
        .iter()
        .filter(|_| !seen.gateways.is_empty())
        .map(conditions::inference_pool);
    // What routes and pools say while their Gateway is refused follows from that, and they come after it.
    let mut unmet: Vec<Unmet> = gateways.chain(routes).chain(pools).filter_map(Result::err).collect();
    unmet.sort_by_key(|unmet| !unmet.said_no);
    unmet
}

/// What does not hold yet once every workload is ready, the worst of it.
fn first_unmet(seen: &Objects, controllers: Controllers) -> Option<Unmet> {
    let no_pod = seen.pool_pods.iter().all(|pod| !pod.ready).then(|| Unmet {
        what: "the pool selects no Ready pod".into(),
        cause: CauseCode::PoolSelectsNoPod,
        // What selects nothing will go on to.
        said_no: true,
        reason: String::new(),
    });
    unmet(seen, controllers).into_iter().next().or(no_pod)
}
