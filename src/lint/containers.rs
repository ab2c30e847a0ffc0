//! What a container's command line says.

use serde_json::Value;

/// A flag of a command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Flag<'a> {
    /// Its name in the form `pool-name`, whatever form it is written in.
    pub(super) name: String,
    /// The words that follow it up to the next flag, or what follows its `=`.
    pub(super) values: Vec<&'a str>,
    /// Its index in `args`; `None` in `command`.
    pub(super) index: Option<usize>,
}

/// The flags of a container, in order.
pub(super) fn flags(container: &Value) -> Vec<Flag<'_>> {
    let list = |field: &str| -> Vec<&str> {
        let items = container[field].as_array().into_iter().flatten();
        items.map(|item| item.as_str().unwrap_or_default()).collect()
    };
    let mut found: Vec<Flag<'_>> = Vec::new();
    let command = list("command").into_iter().map(|word| (None, word));
    let args = list("args")
        .into_iter()
        .enumerate()
        .map(|(index, word)| (Some(index), word));
    for (index, word) in command.chain(args) {
        let bare = word.trim_start_matches('-');
        let is_flag = bare.len() < word.len() && bare.starts_with(|sign: char| sign.is_ascii_alphabetic());
        if is_flag {
            let (name, value) = bare
                .split_once('=')
                .map_or((bare, None), |(name, value)| (name, Some(value)));
            found.push(Flag {
                name: flag_name(name),
                values: value.into_iter().collect(),
                index,
            });
        } else if let Some(last) = found.last_mut() {
            last.values.push(word);
        }
    }
    found
}

/// The first value of a flag.
pub(super) fn value<'a>(flags: &[Flag<'a>], name: &str) -> Option<&'a str> {
    flags
        .iter()
        .rev()
        .find(|flag| flag.name == name)?
        .values
        .first()
        .copied()
}

/// The argument right behind a verb that a program is given before any flag, such as the model of `vllm serve MODEL`.
pub(super) fn behind<'a>(container: &'a Value, verb: &str) -> Option<&'a str> {
    let list = |field: &str| {
        container[field]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
    };
    let mut words = list("command")
        .chain(list("args"))
        .take_while(|word| !word.starts_with('-'));
    words.find(|word| *word == verb)?;
    words.next()
}

/// `poolName` as `pool-name`.
pub(super) fn flag_name(written: &str) -> String {
    let mut name = String::new();
    for sign in written.chars() {
        if sign.is_ascii_uppercase() && !name.is_empty() {
            name.push('-');
        }
        name.push(if sign == '_' { '-' } else { sign.to_ascii_lowercase() });
    }
    name
}

/// Whether a shell reads what the container runs.
pub(super) fn is_script(container: &Value) -> bool {
    let words = ["command", "args"]
        .into_iter()
        .flat_map(|field| container[field].as_array().into_iter().flatten());
    let words: Vec<&str> = words.filter_map(Value::as_str).collect();
    words.windows(2).any(|pair| {
        let program = pair[0].rsplit('/').next().unwrap_or_default();
        matches!(program, "sh" | "bash" | "ash" | "dash") && pair[1].starts_with('-') && pair[1].contains('c')
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_model_of_a_verb_is_its_first_argument() {
        let container = json!({"command": ["vllm", "serve"], "args": ["org/model", "--port=8000"]});
        assert_eq!(behind(&container, "serve"), Some("org/model"));
        assert_eq!(
            behind(&json!({"command": ["vllm", "serve"], "args": ["--port", "x"]}), "serve"),
            None
        );
        assert_eq!(behind(&json!({"args": ["--verb", "serve", "x"]}), "serve"), None);
    }

    #[test]
    fn flags_of_every_form_are_read_with_their_values() {
        let container =
            json!({"command": ["server", "--a"], "args": ["-poolName", "p", "--x=y", "--many", "1", "2", "-v", "-1"]});
        let found = flags(&container);
        let seen: Vec<_> = found
            .iter()
            .map(|flag| (flag.name.as_str(), flag.values.join(" "), flag.index))
            .collect();
        assert_eq!(
            seen,
            [
                ("a", String::new(), None),
                ("pool-name", "p".into(), Some(0)),
                ("x", "y".into(), Some(2)),
                ("many", "1 2".into(), Some(3)),
                ("v", "-1".into(), Some(6))
            ]
        );
        assert_eq!(value(&found, "pool-name"), Some("p"));
        assert!(is_script(&json!({"command": ["/bin/sh", "-c"]})));
        assert!(!is_script(&container));
    }
}
