//! A file of lines that stays under a size: it keeps its beginning and its end.

use std::{
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
};

/// How a file is cut, in bytes.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    /// The file is never longer.
    most: u64,
    /// So much of the beginning stays.
    beginning: u64,
    /// So much of the end stays where it is cut; far less than `most`, so that it is not cut at every line.
    end: u64,
}

const BOUNDS: Bounds = Bounds {
    most: 4 << 20,
    beginning: 1 << 20,
    end: 1 << 20,
};

/// A file that only grows to its bound. Where it would grow over it, its middle is cut out, and a line says so.
#[derive(Debug)]
pub(super) struct Bounded {
    file: File,
    bounds: Bounds,
    /// Its length.
    length: u64,
    /// Where the part ends that stays; zero until it is there.
    beginning: u64,
    /// The length of the line that says what was cut out.
    note: u64,
    cut_out: u64,
}

impl Bounded {
    /// An empty file, open to be read and written.
    pub(super) fn new(file: File) -> Self {
        Self::within(file, BOUNDS)
    }

    fn within(file: File, bounds: Bounds) -> Self {
        Self {
            file,
            bounds,
            length: 0,
            beginning: 0,
            note: 0,
            cut_out: 0,
        }
    }

    /// Appends one line.
    ///
    /// # Errors
    /// Writing fails, such as on a full disk.
    pub(super) fn append(&mut self, line: &str) -> io::Result<()> {
        let line = format!("{line}\n");
        let bytes = line.len() as u64;
        if self.length + bytes > self.bounds.most {
            self.cut()?;
        }
        self.file.write_all(line.as_bytes())?;
        self.length += bytes;
        if self.beginning == 0 && self.length >= self.bounds.beginning {
            self.beginning = self.length;
        }
        Ok(())
    }

    fn cut(&mut self) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(self.length - self.bounds.end))?;
        let mut end = Vec::new();
        self.file.read_to_end(&mut end)?;
        let line_end = end.iter().position(|&byte| byte == b'\n');
        let end = &end[line_end.map_or(end.len(), |at| at + 1)..];
        self.cut_out += self.length - self.beginning - self.note - end.len() as u64;
        let note = format!(
            "… {} bytes are cut out here: the log keeps its beginning and its end\n",
            self.cut_out
        );
        self.file.seek(SeekFrom::Start(self.beginning))?;
        self.file.set_len(self.beginning)?;
        self.file.write_all(note.as_bytes())?;
        self.file.write_all(end)?;
        self.note = note.len() as u64;
        self.length = self.beginning + self.note + end.len() as u64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_and_the_end_stay_and_what_is_between_is_counted() {
        let bounds = Bounds {
            most: 1000,
            beginning: 200,
            end: 300,
        };
        let mut kept = Bounded::within(tempfile::tempfile().unwrap(), bounds);
        let mut bytes = 0;
        for number in 0..500 {
            let line = format!("line {number}");
            bytes += line.len() as u64 + 1;
            kept.append(&line).unwrap();
            assert!(kept.file.metadata().unwrap().len() <= bounds.most);
        }
        let mut text = String::new();
        kept.file.seek(SeekFrom::Start(0)).unwrap();
        kept.file.read_to_string(&mut text).unwrap();
        assert!(text.starts_with("line 0\nline 1\n"), "{text}");
        assert!(text.ends_with("\nline 498\nline 499\n"), "{text}");
        let (notes, lines): (Vec<&str>, Vec<&str>) = text.lines().partition(|line| line.starts_with('…'));
        assert_eq!(notes.len(), 1);
        assert!(lines.iter().all(|line| line.starts_with("line ")), "{text}");
        let left: u64 = lines.iter().map(|line| line.len() as u64 + 1).sum();
        assert!(notes[0].contains(&format!(" {} bytes", bytes - left)), "{text}");
    }
}
