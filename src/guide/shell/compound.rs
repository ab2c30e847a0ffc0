//! `if` over texts, and redirections that change nothing: the little of bash's grammar that scripts of variables need.

use brush_parser::ast::{self, BinaryPredicate, SourceLocation, UnaryPredicate};

use super::{Body, Chunk, Command, ShellPiece, ShellWord, and_or, one_line};

/// One branch of an `if`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Branch {
    /// When it is taken; `None` for `else`.
    pub(crate) test: Option<Test>,
    /// What it runs.
    pub(crate) commands: Vec<Command>,
}

/// A comparison of texts, as `[[ … ]]` and `[ … ]` make it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Test {
    /// Both are the same.
    Same(ShellWord, ShellWord),
    /// They are not.
    Differ(ShellWord, ShellWord),
    /// It is empty (`-z`).
    Empty(ShellWord),
    /// It is not (`-n`).
    NotEmpty(ShellWord),
}

impl Chunk<'_> {
    /// What bash reads in one pipeline.
    pub(super) fn body(&self, pipeline: &ast::Pipeline) -> Body {
        let branches = match pipeline.seq.as_slice() {
            [ast::Command::Compound(ast::CompoundCommand::IfClause(clause), None)] if !pipeline.bang => {
                self.branches(clause)
            }
            _ => None,
        };
        branches.map_or_else(
            || self.pipeline(pipeline).map_or_else(Body::NotUnderstood, Body::Pipeline),
            Body::Branches,
        )
    }

    /// The branches of an `if` that only compares texts; `None` for any other.
    fn branches(&self, clause: &ast::IfClauseCommand) -> Option<Vec<Branch>> {
        let first = (Some(&clause.condition), &clause.then);
        let elses = clause.elses.iter().flatten();
        let others = elses.map(|other| (other.condition.as_ref(), &other.body));
        let branch = |(condition, body): (Option<&ast::CompoundList>, &ast::CompoundList)| {
            Some(Branch {
                test: match condition {
                    Some(condition) => Some(self.test(condition)?),
                    None => None,
                },
                commands: self.listed(body),
            })
        };
        std::iter::once(first).chain(others).map(branch).collect()
    }

    /// The commands of a list, one after another.
    fn listed(&self, list: &ast::CompoundList) -> Vec<Command> {
        let items = list.0.iter();
        let pipelines = items.flat_map(|ast::CompoundListItem(list, separator)| {
            let in_background = matches!(separator, ast::SeparatorOperator::Async);
            and_or(list).map(move |(pipeline, is_alternative)| (pipeline, is_alternative || in_background))
        });
        pipelines
            .map(|(pipeline, is_refused)| Command {
                at: self.at(pipeline.location().map_or(0, |span| span.start.line.saturating_sub(1))),
                raw: one_line(&pipeline.to_string()),
                body: if is_refused {
                    Body::NotUnderstood("it runs in the background or only when another fails".into())
                } else {
                    self.body(pipeline)
                },
                left_out: None,
            })
            .collect()
    }

    fn test(&self, condition: &ast::CompoundList) -> Option<Test> {
        let [ast::CompoundListItem(list, ast::SeparatorOperator::Sequence)] = condition.0.as_slice() else {
            return None;
        };
        let [command] = list.first.seq.as_slice() else {
            return None;
        };
        if !list.additional.is_empty() || list.first.bang {
            return None;
        }
        match command {
            ast::Command::ExtendedTest(test, None) => match &test.expr {
                ast::ExtendedTestExpr::BinaryTest(predicate, left, right) => {
                    let (left, right) = (self.placed(left), self.placed(right));
                    match predicate {
                        BinaryPredicate::StringExactlyMatchesPattern | BinaryPredicate::StringExactlyMatchesString => {
                            is_no_pattern(&right).then_some(Test::Same(left, right))
                        }
                        BinaryPredicate::StringDoesNotExactlyMatchPattern
                        | BinaryPredicate::StringDoesNotExactlyMatchString => {
                            is_no_pattern(&right).then_some(Test::Differ(left, right))
                        }
                        _ => None,
                    }
                }
                ast::ExtendedTestExpr::UnaryTest(UnaryPredicate::StringHasZeroLength, word) => {
                    Some(Test::Empty(self.placed(word)))
                }
                ast::ExtendedTestExpr::UnaryTest(UnaryPredicate::StringHasNonZeroLength, word) => {
                    Some(Test::NotEmpty(self.placed(word)))
                }
                _ => None,
            },
            ast::Command::Simple(simple) => {
                let simple = self.simple(simple).ok()?;
                let raw: Vec<&str> = simple.words.iter().map(|word| word.raw.as_str()).collect();
                match raw.as_slice() {
                    ["[", _, "=" | "==", _, "]"] => Some(Test::Same(simple.words[1].clone(), simple.words[3].clone())),
                    ["[", _, "!=", _, "]"] => Some(Test::Differ(simple.words[1].clone(), simple.words[3].clone())),
                    ["[", "-z", _, "]"] => Some(Test::Empty(simple.words[2].clone())),
                    ["[", "-n", _, "]"] => Some(Test::NotEmpty(simple.words[2].clone())),
                    _ => None,
                }
            }
            _ => None,
        }
    }
}

/// Whether a word outside quotes holds no sign that `[[` matches others by.
fn is_no_pattern(word: &ShellWord) -> bool {
    let matches_others =
        |piece: &ShellPiece| matches!(piece, ShellPiece::Plain(text) if text.contains(['*', '?', '[']));
    !word.pieces.iter().any(matches_others)
}

/// Whether a redirection only keeps something from being shown (`2>/dev/null`, `2>&1`).
pub(super) fn only_hides(redirect: &ast::IoRedirect) -> bool {
    use ast::{IoFileRedirectKind as Kind, IoFileRedirectTarget as Target};
    match redirect {
        ast::IoRedirect::File(_, Kind::Write | Kind::Append | Kind::Clobber, Target::Filename(word)) => {
            word.value == "/dev/null"
        }
        ast::IoRedirect::File(_, Kind::DuplicateOutput, Target::Fd(_)) => true,
        ast::IoRedirect::File(_, Kind::DuplicateOutput, Target::Duplicate(word)) => {
            matches!(word.value.as_str(), "1" | "2")
        }
        ast::IoRedirect::OutputAndError(word, _) => word.value == "/dev/null",
        _ => false,
    }
}
