//! Commands that run others: a script that is sourced, and the branch of an `if` that is taken.

use super::{Found, Reading, Session, Splitting};
use crate::{
    guide::{
        Argument, Command, Simple,
        shell::{self, Branch, ShellWord, Test},
    },
    record::Provenance,
};

/// The most bytes of a script that is sourced; scripts of variables have a few thousand.
const MOST_BYTES: usize = 256 << 10;

impl Session<'_> {
    /// What a script sets that is sourced, each command of it with its own line.
    pub(super) fn source(&mut self, at: &Provenance, simple: &Simple) -> Reading {
        let mut found = Found::default();
        let words = simple.words.iter().skip(1);
        let given: Vec<Argument> = words
            .flat_map(|word| self.expand(at, word, Splitting::AsBash, &mut found))
            .collect();
        let [script] = given.as_slice() else {
            return Reading::NotUnderstood("it sources a script with arguments".into());
        };
        let text = match script.text() {
            Ok(named) => self.script(&named),
            Err(why) => Err(why),
        };
        match text {
            Ok((file, text)) => Reading::Sequence(self.read_all(shell::script(&file, &text, 1))),
            Err(why) => Reading::NotUnderstood(why),
        }
    }

    /// The file of the release that a command sources, and its text.
    fn script(&mut self, named: &str) -> Result<(String, String), String> {
        let Some(place) = &self.place else {
            return Err(format!(
                "the script `{named}` is not read, because no checkout of the release is known"
            ));
        };
        let left = self.scripts_left.checked_sub(1);
        self.scripts_left = left.ok_or_else(|| "so many scripts are sourced that no more is read".to_owned())?;
        let path = place.path(named)?;
        let bytes = place
            .tree
            .read(&path)
            .map_err(|_| format!("the release has no `{path}` to source"))?;
        if bytes.len() > MOST_BYTES {
            return Err(format!("`{path}` has more than {MOST_BYTES} bytes; is it a script?"));
        }
        let text = String::from_utf8(bytes).map_err(|_| format!("`{path}` is not UTF-8 text"))?;
        Ok((path.to_string(), text))
    }

    fn read_all(&mut self, commands: Vec<Command>) -> Vec<(Command, Reading)> {
        let read = |command: Command| {
            let reading = self.read(&command);
            (command, reading)
        };
        commands.into_iter().map(read).collect()
    }

    /// The branch of an `if` that is taken.
    pub(super) fn branch(&mut self, at: &Provenance, branches: &[Branch]) -> Reading {
        for branch in branches {
            let taken = match &branch.test {
                None => Ok(true),
                Some(test) => self.holds(at, test),
            };
            match taken {
                Ok(true) => return Reading::Sequence(self.read_all(branch.commands.clone())),
                Ok(false) => {}
                Err(why) => return Reading::NotUnderstood(format!("which branch of the `if` is taken: {why}")),
            }
        }
        Reading::Sequence(Vec::new())
    }

    fn holds(&mut self, at: &Provenance, test: &Test) -> Result<bool, String> {
        // What is not set is empty, and asking for it is what such a test is for.
        let mut said = |word: &ShellWord| self.value(at, word, &mut Found::default()).text();
        Ok(match test {
            Test::Same(left, right) => said(left)? == said(right)?,
            Test::Differ(left, right) => said(left)? != said(right)?,
            Test::Empty(word) => said(word)?.is_empty(),
            Test::NotEmpty(word) => !said(word)?.is_empty(),
        })
    }
}
