//! Words with their quotes, variables and substitutions told apart.

use brush_parser::{Parser, ParserOptions, ast, word};

use super::{Chunk, ShellPiece, ShellWord, here::Document, one_line};

impl Chunk<'_> {
    /// What a here-document gives.
    pub(super) fn here_document(&self, document: &Document) -> ShellWord {
        let (text, line) = (&document.text, self.at(document.line.saturating_sub(1)).line);
        let pieces = match word::parse_heredoc(text, &ParserOptions::default()) {
            _ if !document.expands => vec![ShellPiece::SingleQuoted {
                text: text.clone(),
                line,
            }],
            Ok(pieces) => self.pieces(&pieces, &mut Place::new(text, line), true),
            Err(_) => vec![ShellPiece::NotUnderstood(text.clone())],
        };
        ShellWord {
            raw: text.clone(),
            pieces,
            line,
        }
    }

    pub(super) fn placed(&self, word: &ast::Word) -> ShellWord {
        self.word(&word.value, word.loc.as_ref().map_or(1, |span| span.start.line))
    }

    /// A word that begins at a line of the chunk, counted from 1.
    pub(super) fn word(&self, raw: &str, line: usize) -> ShellWord {
        let line = self.at(line.saturating_sub(1)).line;
        let pieces = match word::parse(raw, &ParserOptions::default()) {
            Ok(pieces) => self.pieces(&pieces, &mut Place::new(raw, line), false),
            Err(_) => vec![ShellPiece::NotUnderstood(raw.to_owned())],
        };
        ShellWord {
            raw: raw.to_owned(),
            pieces,
            line,
        }
    }

    fn pieces(&self, pieces: &[word::WordPieceWithSource], place: &mut Place<'_>, quoted: bool) -> Vec<ShellPiece> {
        let mut read = Vec::new();
        for part in pieces {
            let line = place.line_at(part.start_index);
            read.push(match &part.piece {
                word::WordPiece::Text(text) if quoted => ShellPiece::Quoted(text.clone()),
                word::WordPiece::Text(text) if has_braces(text) => ShellPiece::NotUnderstood(text.clone()),
                word::WordPiece::Text(text) => ShellPiece::Plain(text.clone()),
                word::WordPiece::SingleQuotedText(text) => ShellPiece::SingleQuoted {
                    text: text.clone(),
                    line,
                },
                word::WordPiece::EscapeSequence(text) => {
                    let escaped = text.strip_prefix('\\').unwrap_or(text);
                    ShellPiece::Quoted(if escaped == "\n" {
                        String::new()
                    } else {
                        escaped.to_owned()
                    })
                }
                word::WordPiece::DoubleQuotedSequence(inner) => {
                    // An empty sequence still makes a word.
                    read.push(ShellPiece::Quoted(String::new()));
                    read.extend(self.pieces(inner, place, true));
                    continue;
                }
                word::WordPiece::ParameterExpansion(
                    word::ParameterExpr::Parameter {
                        parameter: word::Parameter::Named(name),
                        indirect: false,
                    }
                    // Where it is not set bash ends with an error, which is told as for any other that is not.
                    | word::ParameterExpr::IndicateErrorIfNullOrUnset {
                        parameter: word::Parameter::Named(name),
                        indirect: false,
                        ..
                    },
                ) => ShellPiece::Variable {
                    name: name.clone(),
                    quoted,
                },
                word::WordPiece::ParameterExpansion(expansion) => or_else(expansion).map_or_else(
                    || not_understood(part, place.raw),
                    |(name, empty_counts, sets, other)| {
                        let other = other.map(String::as_str).unwrap_or_default();
                        let word = word::parse(other, &ParserOptions::default())
                            .map(|pieces| self.pieces(&pieces, &mut Place::new(other, line), quoted));
                        let splits = |piece: &ShellPiece| {
                            matches!(piece, ShellPiece::Plain(text) if text.contains([' ', '\t', '\n']))
                        };
                        // Blanks in it would make several words of it.
                        if !word.as_ref().is_ok_and(|word| quoted || !word.iter().any(splits)) {
                            return not_understood(part, place.raw);
                        }
                        ShellPiece::OrElse {
                            name: name.clone(),
                            quoted,
                            empty_counts,
                            sets,
                            word: word.unwrap_or_default(),
                        }
                    },
                ),
                word::WordPiece::CommandSubstitution(text) | word::WordPiece::BackquotedCommandSubstitution(text) => {
                    self.substitution(text)
                }
                _ => not_understood(part, place.raw),
            });
        }
        read
    }

    fn substitution(&self, text: &str) -> ShellPiece {
        let program = Parser::new(text.as_bytes(), &ParserOptions::default()).parse_program();
        let pipeline = program.ok().and_then(|program| {
            let [list] = program.complete_commands.as_slice() else {
                return None;
            };
            let [ast::CompoundListItem(list, _)] = list.0.as_slice() else {
                return None;
            };
            list.additional.is_empty().then(|| self.pipeline(&list.first).ok())?
        });
        ShellPiece::Substitution {
            raw: one_line(text),
            pipeline,
        }
    }
}

/// The part of a word of which it is not known what bash makes.
fn not_understood(part: &word::WordPieceWithSource, raw: &str) -> ShellPiece {
    let text = raw.get(part.start_index..part.end_index).unwrap_or(raw);
    ShellPiece::NotUnderstood(text.to_owned())
}

/// The name of an expansion that gives another word where the variable is not set, whether one that is empty counts as
/// not set, whether the variable is set to the word, and the word.
fn or_else(expansion: &word::ParameterExpr) -> Option<(&String, bool, bool, Option<&String>)> {
    let empty_counts = |test: &word::ParameterTestType| matches!(test, word::ParameterTestType::UnsetOrNull);
    match expansion {
        word::ParameterExpr::UseDefaultValues {
            parameter: word::Parameter::Named(name),
            indirect: false,
            test_type,
            default_value,
        } => Some((name, empty_counts(test_type), false, default_value.as_ref())),
        word::ParameterExpr::AssignDefaultValues {
            parameter: word::Parameter::Named(name),
            indirect: false,
            test_type,
            default_value,
        } => Some((name, empty_counts(test_type), true, default_value.as_ref())),
        _ => None,
    }
}

/// A place in a word, to know the lines of its pieces without counting from its beginning for each.
struct Place<'a> {
    /// The word.
    raw: &'a str,
    /// Up to where lines were counted.
    counted: usize,
    /// The line there.
    line: u32,
}

impl<'a> Place<'a> {
    fn new(raw: &'a str, line: u32) -> Self {
        Self { raw, counted: 0, line }
    }

    /// The line of a byte; bytes are asked for in their order.
    fn line_at(&mut self, index: usize) -> u32 {
        let between = self.raw.get(self.counted..index).unwrap_or_default();
        self.line += u32::try_from(between.matches('\n').count()).unwrap_or(0);
        self.counted = self.counted.max(index);
        self.line
    }
}

/// Whether bash would make several words of it (`{a,b}`, `{1..3}`).
fn has_braces(text: &str) -> bool {
    text.split_once('{').is_some_and(|(_, rest)| {
        rest.split_once('}')
            .is_some_and(|(inner, _)| inner.contains(',') || inner.contains(".."))
    })
}
