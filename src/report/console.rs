//! Standard error as the live report and the log share it.

use std::{
    fmt,
    io::{self, Write},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{Line, Look};
use crate::redact::{Redactor, printable_lines};

/// Puts the cursor at the beginning of the row and clears it.
pub(super) const CLEAR_ROW: &str = "\r\u{1b}[2K";

/// Where live lines go; its clones are the same place. The row at the bottom, which is drawn again and again, gives way to
/// every line, so that no line is torn.
#[derive(Clone)]
pub struct Console {
    shown: Arc<Mutex<Shown>>,
    redactor: Redactor,
}

struct Shown {
    out: Box<dyn Write + Send>,
    row_is_drawn: bool,
}

impl fmt::Debug for Console {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Console").finish_non_exhaustive()
    }
}

impl Console {
    /// A console on this stream.
    pub fn new(out: impl Write + Send + 'static, redactor: Redactor) -> Self {
        let shown = Shown {
            out: Box::new(out),
            row_is_drawn: false,
        };
        Self {
            shown: Arc::new(Mutex::new(shown)),
            redactor,
        }
    }

    /// Says something in lines of its own, without secrets and so that it steers nobody, whoever has a word in it. Whoever
    /// closed the stream does not want to read it.
    pub(crate) fn say(&self, words: impl fmt::Display) {
        let words = self.redactor.redact(&words.to_string());
        let _ = self.print(&format!("{}\n", printable_lines(&words)));
    }

    /// Says a line with tones, likewise.
    pub(crate) fn paint(&self, look: &Look, line: &Line) {
        let painted = self.redactor.redact(&look.paint(line));
        let _ = self.print(&format!("{painted}\n"));
    }

    fn lock(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Prints whole lines in place of the row, which comes again when it is drawn the next time.
    ///
    /// # Errors
    /// The stream is broken.
    pub(crate) fn print(&self, lines: &str) -> io::Result<()> {
        let mut shown = self.lock();
        if std::mem::take(&mut shown.row_is_drawn) {
            shown.out.write_all(CLEAR_ROW.as_bytes())?;
        }
        shown.out.write_all(lines.as_bytes())?;
        shown.out.flush()
    }

    /// Draws the row at the bottom anew.
    ///
    /// # Errors
    /// The stream is broken.
    pub(crate) fn draw_row(&self, row: &str) -> io::Result<()> {
        let mut shown = self.lock();
        write!(shown.out, "{CLEAR_ROW}{row}")?;
        shown.row_is_drawn = true;
        shown.out.flush()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// What was written, for a test to read.
    #[derive(Clone, Default)]
    pub(crate) struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Paper {
        pub(crate) fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_takes_the_place_of_the_row_and_the_next_one_stands_below_it() {
        let paper = Paper::default();
        let report = Console::new(paper.clone(), Redactor::new());
        let log = report.clone();
        report.draw_row("waiting").unwrap();
        log.print("a line\n").unwrap();
        report.print("another\n").unwrap();
        assert_eq!(paper.text(), format!("{CLEAR_ROW}waiting{CLEAR_ROW}a line\nanother\n"));
    }

    #[test]
    fn what_is_said_has_no_secret_and_steers_nobody() {
        let paper = Paper::default();
        let redactor = Redactor::new();
        redactor.learn("opensesame");
        Console::new(paper.clone(), redactor).say("error: \u{1b}[2J opensesame\n ::error::x");
        assert_eq!(paper.text(), "error: \\u{1b}[2J [redacted]\n \\u{3a}:error::x\n");
    }
}
