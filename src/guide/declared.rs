//! A guide whose commands stand in YAML, with the choices for which each counts: `guide.yaml`.
//!
//! Source: `scripts/guide.py` of llm-d and the files of 2026-08-18. It reads as strictly as that does: what it would refuse is
//! a fault here, at its line, and what can be read is read all the same.

use std::collections::{BTreeMap, BTreeSet};

use crate::manifest::{ManifestError, Node, NodeValue, Position, Style, outline};

/// A guide in YAML.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Declared {
    /// The variables that it sets, in order.
    pub(crate) variables: Vec<DeclaredVariable>,
    /// The scripts that are sourced after that, each with its line.
    pub(crate) sources: Vec<(String, u32)>,
    /// Its steps, in order.
    pub(crate) steps: Vec<DeclaredStep>,
    /// The ways in which it deploys, such as `standalone`.
    pub(crate) modes: Vec<String>,
    /// What is wrong with it.
    pub(crate) faults: Vec<DeclaredFault>,
}

/// A variable that a guide declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DeclaredVariable {
    pub(crate) name: String,
    /// Its value as written, which a shell reads without quotes around it.
    pub(crate) value: String,
    /// The values that a reader may choose from; `None` where the guide names none.
    pub(crate) values: Option<Vec<String>>,
    /// Whether the value only stands for a secret of the reader's.
    pub(crate) is_secret: bool,
    pub(crate) line: u32,
}

/// A step of a guide in YAML.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DeclaredStep {
    /// The groups that it stands in, such as `deploy.standalone`.
    pub(crate) path: Vec<String>,
    /// Its shell text.
    pub(crate) run: String,
    /// The line that the text begins at.
    pub(crate) line: u32,
    /// The variables and the values of each for which it counts.
    pub(crate) when: Vec<(String, Vec<String>)>,
}

/// Something that is wrong with a guide in YAML.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DeclaredFault {
    pub(crate) at: Position,
    pub(crate) why: String,
}

impl DeclaredStep {
    /// Whether it counts for a reader's values.
    pub(crate) fn counts(&self, values: &BTreeMap<String, String>) -> bool {
        self.when
            .iter()
            .all(|(variable, wanted)| values.get(variable).is_some_and(|value| wanted.contains(value)))
    }

    /// Whether it stands in a group, named from the top, such as `deploy.gateway`.
    pub(crate) fn is_in(&self, group: &str) -> bool {
        let path = self.path.join(".");
        path == group || path.starts_with(&format!("{group}."))
    }

    /// Whether it says anything to a shell beside comments.
    pub(crate) fn has_commands(&self) -> bool {
        self.run
            .lines()
            .any(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'))
    }

    /// The mode whose readers alone follow it; `None` where all do.
    pub(crate) fn mode<'a>(&self, modes: &'a [String]) -> Option<&'a str> {
        let group = match self.path.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            ["deploy", group, ..] | [_, "endpoint", group, ..] => *group,
            _ => return None,
        };
        modes.iter().find(|mode| *mode == group).map(String::as_str)
    }
}

impl Declared {
    /// What a reader has who changes nothing, with what one choice sets.
    pub(crate) fn values(&self, set: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        let defaults = self.variables.iter().map(|one| (one.name.clone(), one.value.clone()));
        defaults.chain(set.clone()).collect()
    }

    /// The variable of a name.
    pub(crate) fn variable(&self, name: &str) -> Option<&DeclaredVariable> {
        self.variables.iter().find(|one| one.name == name)
    }
}

/// The keys that a guide may have at its top.
const SECTIONS: [&str; 6] = ["name", "env", "prerequisites", "deploy", "verify", "benchmark"];

/// Reads a guide. What is wrong with it stands in [`Declared::faults`].
///
/// # Errors
/// It is no YAML.
pub(crate) fn declared(file: &str, text: &str) -> Result<Declared, ManifestError> {
    let node = outline(file, text)?;
    let mut reader = Reader {
        declared: Declared::default(),
        unknown_when: Vec::new(),
    };
    reader.guide(&node);
    Ok(reader.declared)
}

struct Reader {
    declared: Declared,
    /// Variables that a `when` names, to be looked for once all are known.
    unknown_when: Vec<(Position, String)>,
}

impl Reader {
    fn fault(&mut self, at: Position, why: impl Into<String>) {
        self.declared.faults.push(DeclaredFault { at, why: why.into() });
    }

    /// The fields of a mapping, each once; `known` are those that it may have, or none where any will do.
    fn fields<'n>(&mut self, node: &'n Node, known: &[&str], what: &str) -> Vec<(&'n str, &'n Node, &'n Node)> {
        if !matches!(node.value, NodeValue::Mapping(_)) {
            self.fault(node.at, format!("{what} is no mapping"));
        }
        let mut seen = BTreeSet::new();
        let mut fields = Vec::new();
        for (key, value) in node.fields() {
            let Some(name) = key.text() else {
                self.fault(key.at, format!("{what} has a key that is no text"));
                continue;
            };
            if !seen.insert(name) {
                self.fault(
                    key.at,
                    format!("`{name}` stands twice in {what}; a plain reader keeps only the last"),
                );
            }
            if !known.is_empty() && !known.contains(&name) {
                self.fault(
                    key.at,
                    format!("`{name}` is unknown in {what}; known are {}", known.join(", ")),
                );
                continue;
            }
            fields.push((name, key, value));
        }
        fields
    }

    fn guide(&mut self, node: &Node) {
        let known: Vec<&str> = SECTIONS.into_iter().chain(["_lists", "cleanup", "support"]).collect();
        let fields = self.fields(node, &known, "the guide");
        for wanted in ["name", "env", "deploy"] {
            if !fields.iter().any(|(name, ..)| *name == wanted) {
                self.fault(node.at, format!("the guide lacks `{wanted}`"));
            }
        }
        let section = |wanted: &str| {
            fields
                .iter()
                .find(|(name, ..)| *name == wanted)
                .map(|(_, _, value)| *value)
        };
        if let Some(env) = section("env") {
            self.env(env);
        }
        for name in ["verify", "benchmark"] {
            let endpoint = section(name).and_then(|section| section.field("endpoint"));
            let modes: Vec<String> = endpoint
                .iter()
                .flat_map(|endpoint| endpoint.fields())
                .filter_map(|(key, _)| key.text().map(str::to_owned))
                .collect();
            if let (Some(endpoint), false) = (endpoint, modes.is_empty()) {
                if self.declared.modes.is_empty() {
                    self.declared.modes = modes;
                } else if self.declared.modes != modes {
                    let first = self.declared.modes.join(", ");
                    self.fault(
                        endpoint.at,
                        format!("the modes are {} here and {first} in `verify`", modes.join(", ")),
                    );
                }
            }
        }
        for (name, _, value) in fields {
            match name {
                "prerequisites" | "deploy" | "cleanup" => self.steps(value, &mut vec![name.to_owned()]),
                "verify" => self.parts(value, name, &["endpoint", "tests"]),
                "benchmark" => self.parts(value, name, &["setup", "endpoint", "execute"]),
                _ => {}
            }
        }
        for (at, variable) in std::mem::take(&mut self.unknown_when) {
            if self.declared.variable(&variable).is_none() {
                self.fault(
                    at,
                    format!("`when` names `{variable}`, which `env.static` does not declare"),
                );
            }
        }
    }

    fn parts(&mut self, node: &Node, section: &str, known: &[&str]) {
        for (name, _, value) in self.fields(node, known, &format!("`{section}`")) {
            self.steps(value, &mut vec![section.to_owned(), name.to_owned()]);
        }
    }

    fn env(&mut self, node: &Node) {
        for (name, _, value) in self.fields(node, &["static", "source", "derive"], "`env`") {
            match name {
                "static" => {
                    for (variable, key, value) in self.fields(value, &[], "`env.static`") {
                        self.variable(variable, key, value);
                    }
                }
                "source" => {
                    for script in value.items() {
                        match script.text() {
                            Some(text) => self.declared.sources.push((text.to_owned(), script.at.line)),
                            None => self.fault(script.at, "`env.source` is a list of paths"),
                        }
                    }
                }
                _ => {}
            }
        }
        if node.field("static").is_none() {
            self.fault(node.at, "`env` lacks `static`");
        }
    }

    fn variable(&mut self, name: &str, key: &Node, node: &Node) {
        if !super::session::is_name(name) {
            self.fault(key.at, format!("`{name}` is no name of a variable"));
        }
        let mut variable = DeclaredVariable {
            name: name.to_owned(),
            value: node.text().unwrap_or_default().to_owned(),
            values: None,
            is_secret: false,
            line: key.at.line,
        };
        if node.text().is_none() {
            let what = format!("the variable `{name}`");
            for (field, _, value) in self.fields(node, &["default", "values", "sensitive"], &what) {
                match field {
                    "default" => value.text().unwrap_or_default().clone_into(&mut variable.value),
                    "values" => {
                        let values = value.items().iter().filter_map(|item| item.text().map(str::to_owned));
                        variable.values = Some(values.collect());
                    }
                    _ => variable.is_secret = value.text() == Some("true"),
                }
            }
            if node.field("default").is_none() {
                self.fault(node.at, format!("{what} lacks its `default`"));
            }
        }
        if let Some(values) = variable
            .values
            .as_ref()
            .filter(|values| !values.contains(&variable.value))
        {
            let why = format!(
                "the default `{}` of `{name}` is none of its values {}",
                variable.value,
                values.join(", ")
            );
            self.fault(node.field("default").map_or(node.at, |default| default.at), why);
        }
        self.declared.variables.push(variable);
    }

    /// Steps: a list of them, or named groups of them at any depth.
    fn steps(&mut self, node: &Node, path: &mut Vec<String>) {
        match &node.value {
            NodeValue::Sequence(items) => items.iter().for_each(|item| self.step(item, path)),
            NodeValue::Mapping(_) if node.field("run").is_some() => self.step(node, path),
            NodeValue::Mapping(_) => {
                for (name, _, value) in self.fields(node, &[], &format!("`{}`", path.join("."))) {
                    path.push(name.to_owned());
                    self.steps(value, path);
                    path.pop();
                }
            }
            NodeValue::Scalar { text, .. } if text.is_empty() || text == "~" || text == "null" => {}
            NodeValue::Scalar { .. } => self.fault(node.at, format!("`{}` holds no steps", path.join("."))),
        }
    }

    fn step(&mut self, node: &Node, path: &[String]) {
        let what = format!("a step of `{}`", path.join("."));
        let mut step = DeclaredStep {
            path: path.to_vec(),
            run: String::new(),
            line: node.at.line,
            when: Vec::new(),
        };
        let fields = self.fields(node, &["run", "when", "skip_in"], &what);
        if !fields.iter().any(|(name, ..)| *name == "run") {
            self.fault(node.at, format!("{what} lacks `run`"));
        }
        for (name, key, value) in fields {
            match (name, &value.value) {
                ("run", NodeValue::Scalar { text, style }) => {
                    step.run.clone_from(text);
                    step.line = if *style == Style::Block {
                        key.at.line + 1
                    } else {
                        value.at.line
                    };
                }
                ("when", NodeValue::Mapping(_)) => {
                    for (variable, key, values) in self.fields(value, &[], &format!("the `when` of {what}")) {
                        self.unknown_when.push((key.at, variable.to_owned()));
                        let values: Vec<String> = values
                            .items()
                            .iter()
                            .filter_map(|item| item.text().map(str::to_owned))
                            .collect();
                        if values.is_empty() {
                            self.fault(key.at, format!("`when` of `{variable}` is no list of values"));
                        }
                        step.when.push((variable.to_owned(), values));
                    }
                }
                // Whoever bears one of these tags leaves the step out; a reader bears none.
                ("skip_in", NodeValue::Sequence(_)) => {}
                _ => self.fault(
                    value.at,
                    format!("`{name}` of {what} is of another kind than it may be"),
                ),
            }
        }
        self.declared.steps.push(step);
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const GUIDE: &str = "\
name: g
_lists: {others: &others [b, c]}
env:
  static:
    PLAIN: main
    KIND: {default: a, values: [a, b, c]}
    TOKEN: {default: HOLDER, sensitive: true}
  source: [\"${ROOT}/env.sh\"]
deploy:
  base:
    - run: one
  standalone:
    - run: |
        # first
        two ${KIND}
  gateway:
    - run: three
  server:
    - when: {KIND: [a]}
      run: four
    - when: {KIND: *others}
      run: |
        # only a comment
verify:
  endpoint:
    standalone: [{run: five}]
    gateway: [{run: six, skip_in: [ci]}]
  tests:
    run: seven
";

    #[test]
    fn steps_know_their_groups_their_lines_and_when_they_count() {
        let guide = declared("guide.yaml", GUIDE).unwrap();
        assert_eq!(guide.faults, []);
        assert_eq!(guide.modes, ["standalone", "gateway"]);
        let seen: Vec<_> = guide
            .steps
            .iter()
            .map(|step| (step.path.join("."), step.line))
            .collect();
        let wanted = [
            ("deploy.base", 11),
            ("deploy.standalone", 14),
            ("deploy.gateway", 17),
            ("deploy.server", 20),
            ("deploy.server", 23),
            ("verify.endpoint.standalone", 26),
            ("verify.endpoint.gateway", 27),
            ("verify.tests", 29),
        ];
        assert_eq!(seen, wanted.map(|(path, line)| (path.to_owned(), line)));
        let of = |set: &str| {
            let values = guide.values(&BTreeMap::from([("KIND".to_owned(), set.to_owned())]));
            let counting: Vec<bool> = guide.steps[3..5].iter().map(|step| step.counts(&values)).collect();
            counting
        };
        assert_eq!((of("a"), of("b")), (vec![true, false], vec![false, true]));
        assert!(guide.steps[3].has_commands() && !guide.steps[4].has_commands());
        assert_eq!(guide.steps[1].mode(&guide.modes), Some("standalone"));
        assert_eq!(guide.steps[6].mode(&guide.modes), Some("gateway"));
        assert_eq!(guide.steps[0].mode(&guide.modes), None);
        assert_eq!(guide.sources, [("${ROOT}/env.sh".to_owned(), 8)]);
        assert!(guide.variable("TOKEN").unwrap().is_secret);
    }

    #[rstest]
    #[case::unknown_section("extra: 1\n", 1, "`extra` is unknown")]
    #[case::twice("name: g\n", 1, "`name` stands twice")]
    #[case::unknown_key_of_a_step("deploy:\n  - {run: x, if: y}\n", 2, "`if` is unknown")]
    #[case::undeclared(
        "deploy:\n  - {run: x, when: {NONE: [a]}}\n",
        2,
        "`NONE`, which `env.static` does not declare"
    )]
    #[case::no_run("deploy:\n  - {when: {KIND: [a]}}\n", 2, "lacks `run`")]
    #[case::default("env: {static: {KIND: {default: z, values: [a]}}}\n", 1, "the default `z` of `KIND`")]
    #[case::no_default("env: {static: {KIND: {values: [a]}}}\n", 1, "lacks its `default`")]
    #[case::no_name("env: {static: {A-B: x}}\n", 1, "`A-B` is no name")]
    #[case::modes("benchmark: {endpoint: {other: [{run: x}]}}\n", 1, "the modes are other here")]
    fn what_upstream_refuses_is_a_fault_at_its_line(#[case] more: &str, #[case] line: u32, #[case] words: &str) {
        let top = more.split(':').next().unwrap();
        // The section that is tried comes first, and takes the place of the good one but where it is to stand twice.
        let mut rest = String::new();
        let mut is_kept = true;
        for row in GUIDE.lines() {
            if !row.starts_with(' ') {
                is_kept = top == "name" || !row.starts_with(&format!("{top}:"));
            }
            if is_kept {
                rest.push_str(row);
                rest.push('\n');
            }
        }
        let guide = declared("guide.yaml", &format!("{more}{rest}")).unwrap();
        let found = guide.faults.iter().find(|fault| fault.why.contains(words));
        let Some(found) = found else {
            panic!("{:?}", guide.faults)
        };
        let wanted = if words.contains("twice") || words.starts_with("the modes") {
            found.at.line
        } else {
            line
        };
        assert_eq!(found.at.line, wanted);
    }

    #[test]
    fn what_is_no_yaml_is_an_error_with_its_place() {
        let error = declared("guide.yaml", "a: [\n").unwrap_err();
        assert!(matches!(error, ManifestError::Syntax { .. }), "{error}");
    }
}
