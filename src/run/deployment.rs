//! From a plan and a cluster to a quickstart that stands there: the guide's commands, carried out one by one.

use std::{sync::Arc, time::Instant};

use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument as _;

use super::{
    Context, access, address, checks,
    explaining::{Around, and_then},
    images::Images,
    lost::unless_lost,
    stopped::Stopped,
    workloads::why_not_ready,
};
use crate::{
    cluster::{
        self, Cluster, Origin,
        watching::{Namespaces, Watches},
    },
    deploy::{Deployer, Ownership, Site},
    host::in_words,
    plan::{Action, CarriedOutBy, Chart, Plan, Request, Step},
    record::{Decision, Stage},
    release::Release,
    verdict::{Cause, CauseCode, Fault, Finding, Weight},
};

/// A quickstart in a cluster: its plan, and what was made of it there so far.
pub(super) struct Quickstart<'run> {
    pub(super) context: &'run Context,
    pub(super) plan: &'run Plan,
    pub(super) images: Images,
    pub(super) deployer: Arc<Deployer>,
    /// Gives addresses to Gateways for as long as the quickstart is looked at.
    _addresses: AbortOnDropHandle<()>,
}

/// The steps of a plan in the parts in which they are carried out.
struct Parts<'plan> {
    /// Those that make something. A reader waits before going on to what needs the result, so the run waits after them.
    making: &'plan [Step],
    /// Those from the first on that reads a value, up to the request.
    reading: &'plan [Step],
    /// The guide's request; `None` where no command sends one.
    request: Option<(&'plan Step, &'plan Request)>,
}

impl<'plan> Parts<'plan> {
    fn of(plan: &'plan Plan) -> Self {
        let requests = plan
            .steps
            .iter()
            .enumerate()
            .find_map(|(position, step)| match &step.action {
                Action::Request(request) => Some((position, (step, request))),
                _ => None,
            });
        let (end, request) = requests.map_or((plan.steps.len(), None), |(position, request)| {
            (position, Some(request))
        });
        let reads = |step: &Step| matches!(step.action, Action::Read { .. });
        let before = &plan.steps[..end];
        let (making, reading) = before.split_at(before.iter().position(reads).unwrap_or(end));
        Self {
            making,
            reading,
            request,
        }
    }
}

impl Quickstart<'_> {
    /// The step that sends the guide's request, and the request; `None` where no command sends one.
    pub(super) fn request(&self) -> Option<(&Step, &Request)> {
        Parts::of(self.plan).request
    }

    /// What is known around its workloads.
    pub(super) fn around(&self) -> Around<'_> {
        Around {
            deployer: &self.deployer,
            plan: self.plan,
            images: &self.images,
        }
    }

    /// Carries out the steps that read what the request needs.
    ///
    /// # Errors
    /// One of them fails.
    pub(super) async fn read_values(&self) -> Result<(), Stopped> {
        carry_out_all(self.context, &self.around(), Parts::of(self.plan).reading).await
    }
}

/// Carries out everything up to what the guide reads of the result.
///
/// # Errors
/// A command of the guide fails, or the cluster does not do what it must.
pub(super) async fn deploy<'run>(
    context: &'run Context,
    release: &Release,
    plan: &'run Plan,
    cluster: Cluster,
    images: Images,
) -> Result<Quickstart<'run>, Stopped> {
    let deployer = Arc::new(Deployer::new(site(context, &cluster, &images)));
    context.pending_teardown(|pending| pending.deployer = Some(Arc::clone(&deployer)));
    write_charts(context, release, plan)?;
    access::look_again(context, plan, &deployer).await?;
    let addresses = address::assign_addresses(
        context.host.clone(),
        cluster.clone(),
        Arc::clone(&deployer.site.watches),
        context.events.clone(),
        context.inventory.clone(),
        plan.gateway_label.clone(),
    );
    let addresses = AbortOnDropHandle::new(tokio::spawn(addresses.in_current_span()));
    // CoreDNS comes up while the first steps are carried out; only what talks inside the cluster needs it.
    let dns = (cluster.origin == Origin::Made).then(|| {
        let events = context.events.clone();
        let ready = async move { cluster::dns_ready(&cluster, &events).await };
        AbortOnDropHandle::new(tokio::spawn(ready.in_current_span()))
    });
    let began = context.enter(Stage::Deployment);
    prepare_cluster(context, &deployer, plan).await?;
    let around = Around {
        deployer: &deployer,
        plan,
        images: &images,
    };
    carry_out_all(context, &around, Parts::of(plan).making).await?;
    context.spent(Stage::Deployment, began);
    if let Some(dns) = dns {
        await_dns(context, dns).await?;
    }
    Ok(Quickstart {
        context,
        plan,
        images,
        deployer,
        _addresses: addresses,
    })
}

fn site(context: &Context, cluster: &Cluster, images: &Images) -> Site {
    let namespace = context.namespace();
    let (ownership, namespaces) = match cluster.origin {
        Origin::Made => (Ownership::Ours, Namespaces::All),
        Origin::Existing => (Ownership::Shared, Namespaces::Only(namespace.clone())),
    };
    Site {
        host: context.host.clone(),
        client: cluster.client.clone(),
        namespace,
        ownership,
        run: context.id.clone(),
        watches: Arc::new(Watches::start(&cluster.client, namespaces)),
        events: context.events.clone(),
        inventory: context.inventory.clone(),
        reach: cluster.reach(),
        programs: images.programs.clone(),
        step_limit: context.order.limit,
        scratch: context.scratch.path().to_owned(),
    }
}

/// Puts the charts of the tree, and files of values, on disk, where helm can read them.
fn write_charts(context: &Context, release: &Release, plan: &Plan) -> Result<(), Stopped> {
    let is_of_the_tree = |step: &Step| {
        matches!(
            &step.action,
            Action::Helm {
                chart: Chart::Tree { .. },
                ..
            }
        )
    };
    let has_charts = plan.steps.iter().any(is_of_the_tree);
    let tree = context.scratch.path().join("tree");
    let write = || -> anyhow::Result<()> {
        if has_charts {
            let target = tree.join("config/charts");
            release.tree.materialize(&"config/charts".parse()?, &target)?;
        }
        for step in &plan.steps {
            let Action::Helm { values, .. } = &step.action else {
                continue;
            };
            for file in values {
                let target = tree.join(file.as_str());
                if let Some(directory) = target.parent() {
                    std::fs::create_dir_all(directory)?;
                }
                std::fs::write(&target, release.tree.read(file)?)?;
            }
        }
        Ok(())
    };
    write().map_err(|error| {
        let expected = "the charts and values of the tree can be written to disk";
        Stopped::by_harness(&context.events, expected, &format!("{error:#}"))
    })
}

/// Makes the namespace, and applies what the provider requires and no command of the guide installs.
async fn prepare_cluster(context: &Context, deployer: &Deployer, plan: &Plan) -> Result<(), Stopped> {
    deployer.ensure_namespace().await.map_err(|fault| {
        let decision = checks::NAMESPACE.decision("the namespace exists", fault.into());
        Stopped::at(&context.events, decision)
    })?;
    let requirements = &plan.requirements;
    if requirements.is_empty() {
        return Ok(());
    }
    let sentence = format!("{} CRDs that the provider requires are established", requirements.len());
    match deployer.apply(requirements, None).await {
        Ok(()) => {
            let decision = checks::REQUIREMENTS.decision(sentence, Finding::Holds);
            context.events.decide(decision);
            Ok(())
        }
        Err(fault) => {
            let decision = checks::REQUIREMENTS.decision(sentence, fault.into());
            Err(Stopped::at(&context.events, decision))
        }
    }
}

/// Waits until names are resolved in a cluster of our own.
async fn await_dns(
    context: &Context,
    dns: AbortOnDropHandle<Result<(), cluster::ClusterError>>,
) -> Result<(), Stopped> {
    let why = match dns.await {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(error)) => in_words(&error),
        Err(error) => error.to_string(),
    };
    let sentence = "CoreDNS is available";
    let fault = Fault::shown(sentence, Cause::new(CauseCode::ClusterNotCreated).because(why));
    let decision = checks::CLUSTER_DNS.decision(sentence, fault.into());
    Err(Stopped::at(&context.events, decision))
}

async fn carry_out_all(context: &Context, around: &Around<'_>, steps: &[Step]) -> Result<(), Stopped> {
    for (position, step) in steps.iter().enumerate() {
        let carried = Box::pin(carry_out(context, around, step));
        unless_lost(context, around, steps, position, carried).await?;
    }
    Ok(())
}

/// Carries out one step and says what it came to. A command that fails ends the deployment. What the page lacks does not:
/// a reader does not see it, and goes on.
async fn carry_out(context: &Context, around: &Around<'_>, step: &Step) -> Result<(), Stopped> {
    if matches!(
        step.action.facts().carried_out_by,
        CarriedOutBy::Nobody | CarriedOutBy::NobodyCan
    ) {
        return Ok(());
    }
    let began = Instant::now();
    context.events.waiting(Stage::Deployment, step.command.clone(), "");
    let carried = match &step.known {
        // What is known without running it is not run.
        Some(known) => Err(known.clone()),
        None => match around.deployer.carry_out(step).await {
            Err(fault) => Err(with_reason(around, step, fault).await.into()),
            Ok(carried) => Ok(carried),
        },
    };
    let is_on_the_page = step.origin.is_some();
    let (sentence, finding) = match carried {
        Ok(carried) => (
            carried.sentence.unwrap_or_else(|| step.sentence.clone()),
            Finding::Holds,
        ),
        Err(finding @ Finding::Undecided { .. }) => (step.sentence.clone(), finding),
        Err(finding) if is_on_the_page => (format!("`{}` fails", step.command), finding),
        Err(finding) => ("the page lacks something".to_owned(), finding),
    };
    let stops = finding != Finding::Holds && step.weight == Weight::Gate && is_on_the_page;
    let decision = Decision {
        weight: step.weight,
        ..Decision::new(Stage::Deployment, step.check.clone(), sentence, finding)
            .at_line(step.from.clone())
            .took(began.elapsed())
    };
    if stops {
        return Err(Stopped::at(&context.events, decision));
    }
    context.events.decide(decision);
    Ok(())
}

/// The fault of a step; where the guide waited for something in vain, with why a workload is not ready.
async fn with_reason(around: &Around<'_>, step: &Step, mut fault: Fault) -> Fault {
    let waited = matches!(step.action, Action::Await { .. }) && fault.cause.code == CauseCode::StepTimedOut;
    if waited && let Some(cause) = why_not_ready(around).await {
        fault.cause = and_then(cause, fault.cause);
    }
    fault
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::plan::{Options, draw};

    fn plan(kinds: &[Action]) -> Plan {
        let options = Options {
            variant: "sim".into(),
            provider: "istio".into(),
            ..Options::default()
        };
        let mut plan = draw(&Release::embedded(), &options).unwrap();
        let first = plan.steps[0].clone();
        plan.steps = kinds
            .iter()
            .map(|action| Step {
                action: action.clone(),
                ..first.clone()
            })
            .collect();
        plan
    }

    fn makes() -> Action {
        Action::Variables
    }

    fn reads() -> Action {
        Action::Read {
            resource: "gateway".into(),
            name: "g".into(),
            namespace: None,
            jsonpath: "{.status}".into(),
            into: "IP".into(),
        }
    }

    fn sends() -> Action {
        Action::Request(Request {
            method: "POST".into(),
            url: crate::guide::Template::text("http://h/v1/completions"),
            headers: Vec::new(),
            body: None,
            unexpanded: Vec::new(),
        })
    }

    #[rstest]
    #[case::as_guides_are(&[makes(), makes(), reads(), makes(), sends(), makes()], (2, 2, true))]
    #[case::nothing_is_read(&[makes(), sends()], (1, 0, true))]
    #[case::nothing_is_sent(&[makes(), reads(), makes()], (1, 2, false))]
    #[case::what_is_read_after_the_request_is_not_waited_for(&[makes(), sends(), reads()], (1, 0, true))]
    #[case::nothing(&[], (0, 0, false))]
    fn the_wait_stands_before_the_first_value_that_is_read(
        #[case] actions: &[Action],
        #[case] wanted: (usize, usize, bool),
    ) {
        let plan = plan(actions);
        let parts = Parts::of(&plan);
        assert_eq!(
            (parts.making.len(), parts.reading.len(), parts.request.is_some()),
            wanted
        );
    }
}
