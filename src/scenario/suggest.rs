//! "Did you mean": from a mistyped name to the names that exist.

/// From this likeness on a name is worth offering.
const ALIKE: f64 = 0.8;

/// How a message about an unknown name goes on: with the name that was probably meant, else with those there are.
pub(crate) fn instead_of(typed: &str, known: &[&str]) -> String {
    let alike = known
        .iter()
        .map(|name| (strsim::jaro_winkler(typed, name), *name))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|one, other| one.0.total_cmp(&other.0));
    match (alike, known) {
        (Some((_, name)), _) => format!("; did you mean `{name}`?"),
        (None, []) => String::new(),
        (None, known) => format!("; there are {}", listed(known)),
    }
}

/// Names in a row: `` `a`, `b` and `c` ``.
pub(super) fn listed(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.split_last() {
        None => String::new(),
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::alike("modle", "; did you mean `model`?")]
    #[case::other("zzz", "; there are `model` and `prompt`")]
    fn a_name_that_is_meant_is_offered(#[case] typed: &str, #[case] said: &str) {
        assert_eq!(instead_of(typed, &["model", "prompt"]), said);
    }

    #[test]
    fn without_names_nothing_is_offered() {
        assert_eq!(instead_of("a", &[]), "");
        assert_eq!(listed(&["a"]), "`a`");
    }
}
