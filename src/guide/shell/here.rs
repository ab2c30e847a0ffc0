//! Here-documents, taken out of a text before it is parsed.
//!
//! The parser (brush-parser 0.4.0) tears expansions apart that stand on the line of a here-document's mark, as in
//! `cat <<EOF | kubectl apply -n ${NAMESPACE} -f -`: the word becomes `${}`. So the mark is replaced by a here-string that
//! names the document and the document's lines are emptied; every other line keeps its number. To be removed when the
//! parser reads such a line right, which a test of this file will show.

use brush_parser::{Token, tokenize_str};

/// What the words begin with that stand for documents.
const NAME: &str = "quickproof-here-document-";

/// A here-document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Document {
    /// Its mark as written, such as `<<'EOF'`.
    mark: String,
    pub(super) text: String,
    /// Whether variables in it are replaced: its mark has no quotes.
    pub(super) expands: bool,
    /// The line of its text in the chunk, counted from 1.
    pub(super) line: usize,
}

/// Whether a here-document seems to begin inside `$(…)` or backquotes, where the tokenizer (brush-parser 0.4.0) panics if it
/// is not closed there.
pub(super) fn begins_in_a_substitution(text: &str) -> bool {
    let marks = text.match_indices("<<").map(|(at, _)| at);
    marks.into_iter().any(|at| {
        let before = &text[..at];
        before.matches("$(").count() > before.matches(')').count() || before.matches('`').count() % 2 == 1
    })
}

/// The text without its here-documents, and the documents. A text that cannot be told apart stays as it is; the parser
/// then says what is wrong with it.
pub(super) fn take_out(text: &str) -> (String, Vec<Document>) {
    let untouched = || (text.to_owned(), Vec::new());
    if !text.contains("<<") {
        return untouched();
    }
    let Ok(tokens) = tokenize_str(text) else {
        return untouched();
    };
    let mut signs: Vec<char> = text.chars().collect();
    let mut rows: Vec<&str> = text.split('\n').collect();
    let mut marks = Vec::new();
    let mut documents: Vec<Document> = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        let Token::Operator(operator, span) = token else {
            continue;
        };
        if !matches!(operator.as_str(), "<<" | "<<-") {
            continue;
        }
        // The tokenizer gives the tag, the text, and the closing tag right after the operator.
        let (Some(Token::Word(tag, tag_span)), Some(Token::Word(body, body_span))) =
            (tokens.get(index + 1), tokens.get(index + 2))
        else {
            return untouched();
        };
        marks.push((span.start.index, tag_span.start.index + tag.chars().count()));
        let first = body_span.start.line;
        // The text and the line of the closing tag.
        for row in first..=first + body.matches('\n').count() {
            let Some(row) = rows.get_mut(row.saturating_sub(1)) else {
                return untouched();
            };
            *row = "";
        }
        documents.push(Document {
            mark: format!("{operator}{tag}"),
            text: body.clone(),
            expands: !tag.contains(['\'', '"', '\\']),
            line: first,
        });
    }
    if documents.is_empty() {
        return untouched();
    }
    for (number, (begin, end)) in marks.iter().enumerate().rev() {
        if signs.get(*begin..*end).is_none_or(|mark| mark.contains(&'\n')) {
            return untouched();
        }
        signs.splice(*begin..*end, format!("<<<{NAME}{number}").chars());
    }
    let marked: String = signs.into_iter().collect();
    // Marks stand on lines that no document empties: a mark inside a document is none.
    let rows = rows
        .iter()
        .zip(marked.split('\n'))
        .map(|(kept, marked)| if kept.is_empty() { "" } else { marked });
    (rows.collect::<Vec<_>>().join("\n"), documents)
}

/// The document that a word stands for.
pub(super) fn named<'a>(word: &str, documents: &'a [Document]) -> Option<&'a Document> {
    documents.get(word.strip_prefix(NAME)?.parse::<usize>().ok()?)
}

/// A command with the marks of its documents as they were written.
pub(super) fn put_marks_back(command: &str, documents: &[Document]) -> String {
    let marks = documents.iter().enumerate();
    marks.fold(command.to_owned(), |command, (number, document)| {
        command.replace(&format!("<<<{NAME}{number}"), &document.mark)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn documents_are_taken_out_and_lines_keep_their_numbers() {
        let (text, documents) = take_out("a\ncat <<EOF | k -n ${N} -f -\nx ${N}\n  y\nEOF\nb <<'E'\nz\nE\nc\n");
        let wanted = format!("a\ncat <<<{NAME}0 | k -n ${{N}} -f -\n\n\n\nb <<<{NAME}1\n\n\nc\n");
        assert_eq!(text, wanted);
        let seen: Vec<_> = documents
            .iter()
            .map(|one| (one.text.as_str(), one.expands, one.line))
            .collect();
        assert_eq!(seen, [("x ${N}\n  y\n", true, 3), ("z\n", false, 7)]);
        assert_eq!(named(&format!("{NAME}1"), &documents), documents.get(1));
        assert_eq!(put_marks_back(&format!("b <<<{NAME}1"), &documents), "b <<'E'");
    }

    #[test]
    fn a_text_without_documents_or_with_an_open_one_stays_as_it_is() {
        for text in ["a <<< b\n", "a < b\n", "a <<EOF\nb\n", "'"] {
            assert_eq!(take_out(text), (text.to_owned(), vec![]));
        }
    }

    #[test]
    fn the_parser_still_needs_this() {
        let tokens = tokenize_str("cat <<EOF | k ${N}\nx\nEOF\n").unwrap();
        assert!(
            !tokens.iter().any(|token| token.to_str() == "${N}"),
            "the parser reads it right by now: drop this file"
        );
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_and_the_number_of_lines_stays(text in "[a<E'$\\{\\}\n |-]{0,60}") {
            prop_assert_eq!(take_out(&text).0.matches('\n').count(), text.matches('\n').count());
        }
    }
}
