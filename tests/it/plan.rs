//! Plans drawn from whole trees.

use quickproof::{
    plan::{self, Options},
    release::Release,
};

#[test]
fn the_embedded_quickstart_is_understood_to_its_last_command() {
    let options = Options {
        variant: "sim".into(),
        provider: "istio".into(),
        ..Options::default()
    };
    let plan = plan::draw(&Release::embedded(), &options).unwrap();
    for step in &plan.steps {
        assert!(!matches!(step.action, plan::Action::Unsupported { .. }), "{step:?}");
        assert_eq!(step.known, None, "{}", step.check);
    }
}
