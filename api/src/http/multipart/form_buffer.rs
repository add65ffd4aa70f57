//! Received bytes of a form, cut at its delimiters (RFC 2046, 5.1.1). It holds at most one chunk of the body, and the
//! head of one part.

use bytes::{Bytes, BytesMut};
use memchr::memmem::Finder;

/// The most bytes between the contents of two parts: the rest of the delimiter line, and the headers. Also the most
/// bytes before the first part.
pub(super) const MAX_PART_HEADER_BYTES: usize = 16 << 10;

/// The bytes of a form that have not been read yet.
pub(super) struct FormBuffer {
    received: BytesMut,
    /// A line end and the delimiter.
    delimiter: Finder<'static>,
    /// Whether the rest of the last delimiter's line was removed.
    delimiter_line_read: bool,
    /// The number of bytes at the start of `received` that are known to be whole lines of a head.
    scanned: usize,
}

/// What the buffer has next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next<T> {
    /// A piece of content, or a head.
    Some(T),
    /// The content or the form ends here.
    End,
    /// More of the body must be received first.
    Incomplete,
}

/// A fault of the form.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum FormError {
    #[error("the headers of a part of the form are too long")]
    HeaderTooLong,
    #[error("the text after a boundary of the form is neither a line end nor \"--\"")]
    BadDelimiter,
}

impl FormBuffer {
    pub(super) fn new(boundary: &[u8]) -> Self {
        let delimiter = [b"\r\n--", boundary].concat();
        // The first delimiter may be at the very beginning, without a line end before it.
        let received = BytesMut::from(&b"\r\n"[..]);
        Self { received, delimiter: Finder::new(&delimiter).into_owned(), delimiter_line_read: false, scanned: 0 }
    }

    /// Appends a chunk of the body.
    pub(super) fn push(&mut self, chunk: &[u8]) {
        self.received.extend_from_slice(chunk);
    }

    /// Returns the next bytes of the content of a part. Returns the end if the delimiter comes next, and removes the
    /// delimiter.
    pub(super) fn content(&mut self) -> Next<Bytes> {
        let delimiter_bytes = self.delimiter.needle().len();
        let content_bytes = match self.delimiter.find(&self.received) {
            Some(0) => {
                let _ = self.received.split_to(delimiter_bytes);
                return Next::End;
            }
            Some(at) => at,
            // A delimiter may begin in the last bytes, so these stay in the buffer.
            None => self.received.len().saturating_sub(delimiter_bytes - 1),
        };
        if content_bytes == 0 {
            return Next::Incomplete;
        }
        Next::Some(self.received.split_to(content_bytes).freeze())
    }

    /// Returns the head of the next part with its empty line, or the end of the form. [`Self::content`] has removed the
    /// delimiter before the head.
    pub(super) fn head(&mut self) -> Result<Next<Bytes>, FormError> {
        if !self.delimiter_line_read && self.received.starts_with(b"--") {
            return Ok(Next::End);
        }
        while let Some(line) = self.next_line() {
            let line_end = self.scanned + line.len();
            if line_end > MAX_PART_HEADER_BYTES {
                return Err(FormError::HeaderTooLong);
            }
            let (is_blank, is_empty) = (line.trim_ascii().is_empty(), matches!(line, b"\n" | b"\r\n"));
            if !self.delimiter_line_read {
                // Blanks may follow the delimiter.
                if !is_blank {
                    return Err(FormError::BadDelimiter);
                }
                self.delimiter_line_read = true;
                let _ = self.received.split_to(line_end);
            } else if is_empty {
                (self.scanned, self.delimiter_line_read) = (0, false);
                return Ok(Next::Some(self.received.split_to(line_end).freeze()));
            } else {
                self.scanned = line_end;
            }
        }
        if self.received.len() > MAX_PART_HEADER_BYTES { Err(FormError::HeaderTooLong) } else { Ok(Next::Incomplete) }
    }

    /// Returns the next line of a head with its line end, if all of it was received.
    fn next_line(&self) -> Option<&[u8]> {
        let rest = self.received.get(self.scanned..)?;
        rest.get(..=memchr::memchr(b'\n', rest)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a form that arrives in chunks of this many bytes, as heads and contents.
    fn read(form: &[u8], chunk: usize) -> Result<Vec<(String, String)>, FormError> {
        let mut buffer = FormBuffer::new(b"B");
        let mut chunks = form.chunks(chunk);
        let mut parts: Vec<(String, String)> = Vec::new();
        let mut in_content = true;
        loop {
            if in_content {
                match buffer.content() {
                    Next::Some(content) => {
                        if let Some((_, kept)) = parts.last_mut() {
                            kept.push_str(&String::from_utf8_lossy(&content));
                        }
                        continue;
                    }
                    Next::End => {
                        in_content = false;
                        continue;
                    }
                    Next::Incomplete => {}
                }
            } else {
                match buffer.head()? {
                    Next::Some(head) => {
                        parts.push((String::from_utf8_lossy(&head).into_owned(), String::new()));
                        in_content = true;
                        continue;
                    }
                    Next::End => return Ok(parts),
                    Next::Incomplete => {}
                }
            }
            buffer.push(chunks.next().expect("the form ends"));
        }
    }

    #[test]
    fn a_form_is_cut_at_its_delimiters_however_it_arrives() {
        for form in [
            "--B\r\nh: 1\r\n\r\none\r\n--B\r\n\r\ntwo\r\n--\r\n--B--\r\n",
            "preamble\r\n--B \t\r\nh: 1\r\n\r\none\r\n--B\n\r\ntwo\r\n--\r\n--B--epilogue",
        ] {
            for chunk in 1..=form.len() {
                let parts = read(form.as_bytes(), chunk).unwrap();
                let expected = [("h: 1\r\n\r\n", "one"), ("\r\n", "two\r\n--")];
                let parts: Vec<_> = parts.iter().map(|(head, content)| (head.as_str(), content.as_str())).collect();
                assert_eq!(parts, expected, "{form:?} by {chunk}");
            }
        }
        assert_eq!(read(b"--B--", 1), Ok(Vec::new()));
    }

    #[test]
    fn heads_are_limited_to_the_byte() {
        let form = |bytes: usize| format!("--B\r\nh:{}\r\n\r\nx\r\n--B--", "y".repeat(bytes - 6));
        for chunk in [1, 1000, 1 << 20] {
            assert!(read(form(MAX_PART_HEADER_BYTES).as_bytes(), chunk).is_ok());
            assert_eq!(read(form(MAX_PART_HEADER_BYTES + 1).as_bytes(), chunk), Err(FormError::HeaderTooLong));
        }
        assert_eq!(read(b"--BC\r\n\r\n", 1), Err(FormError::BadDelimiter));
    }
}
