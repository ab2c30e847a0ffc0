//! Arguments of containers: how the program in the image reads them.

use super::rules::{ARGUMENT_QUOTED, PICKER_FLAG};
use crate::lint::{
    Examined, Findings,
    containers::{self, flag_name},
    pods,
};

pub(super) fn look(examined: &Examined<'_>, findings: &mut Findings) {
    let dialect = examined.layout.picker.as_ref().map(|picker| picker.flags);
    for object in examined.files.objects() {
        for container in pods::pod_specs(object).iter().flat_map(pods::PodSpec::containers) {
            let is_script = containers::is_script(container.value);
            let is_picker = containers::flags(container.value)
                .iter()
                .any(|flag| flag.name == "pool-name");
            for (index, argument) in pods::items(&container.value["args"]) {
                let Some(text) = argument.as_str() else {
                    continue;
                };
                let pointer = format!("{}/args/{index}", container.pointer);
                if !is_script && is_quoted(text) {
                    findings
                        .add(
                            &ARGUMENT_QUOTED,
                            examined.place(object, &pointer),
                            format!("the quotes in `{text}` are part of the value that the program gets"),
                        )
                        .because("no shell reads the arguments of a container, so nothing takes quotes away")
                        .way_out("leave the quotes out, or put them around the whole item")
                        .at_most(examined.files.at_most(&object.file));
                }
                if let Some(dialect) = dialect.filter(|_| is_picker)
                    && let Some(way_out) = foreign_form(text, dialect)
                {
                    findings
                        .add(
                            &PICKER_FLAG,
                            examined.place(object, &pointer),
                            format!("the endpoint picker of this release has no flag `{text}`"),
                        )
                        .because("the form of its flags changed between releases")
                        .way_out(format!("write `{way_out}`"))
                        .at_most(examined.files.at_most(&object.file));
                }
            }
        }
    }
}

/// Whether an argument, or its value, stands in quotes of its own.
fn is_quoted(text: &str) -> bool {
    let value = match text.split_once('=') {
        Some((name, value)) if name.starts_with('-') => value,
        _ => text,
    };
    let quoted = |sign: char| value.len() > 1 && value.starts_with(sign) && value.ends_with(sign);
    quoted('"') || quoted('\'')
}

/// The form that a flag must have in the wanted dialect, where it has another one.
fn foreign_form(text: &str, dialect: crate::release::FlagDialect) -> Option<String> {
    let bare = text.trim_start_matches('-');
    let dashes = text.len() - bare.len();
    let (name, value) = bare
        .split_once('=')
        .map_or((bare, None), |(name, value)| (name, Some(value)));
    let is_long = dashes > 0 && name.len() > 1 && name.starts_with(|sign: char| sign.is_ascii_alphabetic());
    if !is_long {
        return None;
    }
    let has_upper = name.contains(|sign: char| sign.is_ascii_uppercase());
    let value = value.map(|value| format!("={value}")).unwrap_or_default();
    match dialect {
        // GNU style (`pflag`): one dash begins short flags of one letter each.
        crate::release::FlagDialect::KebabCase if dashes == 1 || has_upper => {
            Some(format!("--{}{value}", flag_name(name)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("--metric=\"a:b\"", true)]
    #[case("\"x\"", true)]
    #[case("--x='y'", true)]
    #[case("{\"name\": \"x\"}", false)]
    #[case("--json={\"a\": \"b\"}", false)]
    #[case("", false)]
    #[case("--config=a", false)]
    fn quotes_around_a_value_are_told_from_those_inside(#[case] text: &str, #[case] quoted: bool) {
        assert_eq!(is_quoted(text), quoted);
    }

    #[rstest]
    #[case("-poolName", Some("--pool-name"))]
    #[case("--grpcPort=9002", Some("--grpc-port=9002"))]
    #[case("-v", None)]
    #[case("--pool-name", None)]
    #[case("9002", None)]
    fn a_flag_of_the_old_form_is_known(#[case] text: &str, #[case] wanted: Option<&str>) {
        let found = foreign_form(text, crate::release::FlagDialect::KebabCase);
        assert_eq!(found.as_deref(), wanted);
    }
}
