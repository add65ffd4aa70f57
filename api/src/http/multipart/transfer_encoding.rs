//! `Content-Transfer-Encoding` of a part (RFC 2045, section 6), decoded as the content arrives.
//!
//! RFC 7578 (4.7) deprecates this header, but mail libraries still send it. Between two chunks, at
//! most `MAX_BLANKS` bytes of the content are held back.

use base64::Engine as _;

use super::byte_encodings::{LENIENT_BASE64, hex_byte};

/// The most blanks in a row in quoted-printable. RFC 2045 (6.7) limits a line to 76 characters.
const MAX_BLANKS: usize = 1000;

/// Decodes the content of a part.
#[derive(Debug)]
pub(super) enum TransferDecoder {
    /// `7bit`, `8bit`, `binary`, or no header: the content is as it is.
    Identity,
    Base64(Base64Decoder),
    QuotedPrintable(QuotedPrintableDecoder),
}

/// Why a content cannot be decoded.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum TransferError {
    #[error(
        "a part of the form has the Content-Transfer-Encoding \"{0:.40}\", which is not supported; send the part as binary"
    )]
    Unknown(String),
    #[error("a part of the form says that it is base64, and it is not; send the part as binary")]
    Base64,
    #[error("a part of the form says that it is quoted-printable, and it is not; send the part as binary")]
    QuotedPrintable,
}

impl TransferDecoder {
    /// Returns the decoder for the value of the header.
    pub(super) fn from_name(name: &str) -> Result<Self, TransferError> {
        match name.trim().to_ascii_lowercase().as_str() {
            "" | "7bit" | "8bit" | "binary" => Ok(Self::Identity),
            "base64" => Ok(Self::Base64(Base64Decoder::default())),
            "quoted-printable" => Ok(Self::QuotedPrintable(QuotedPrintableDecoder::default())),
            _ => Err(TransferError::Unknown(name.trim().to_owned())),
        }
    }

    /// Decodes a chunk. The result may be empty although more follows. `None` means that the chunk
    /// itself is the result.
    pub(super) fn decode(&mut self, chunk: &[u8]) -> Result<Option<Vec<u8>>, TransferError> {
        match self {
            Self::Identity => Ok(None),
            Self::Base64(decoder) => decoder.decode(chunk).map(Some),
            Self::QuotedPrintable(decoder) => decoder.decode(chunk).map(Some),
        }
    }

    /// Returns what is left at the end of the content.
    pub(super) fn finish(&mut self) -> Result<Vec<u8>, TransferError> {
        match std::mem::replace(self, Self::Identity) {
            Self::Identity => Ok(Vec::new()),
            Self::Base64(decoder) => decoder.finish(),
            Self::QuotedPrintable(decoder) => decoder.finish(),
        }
    }
}

/// Decodes base64 with line ends and blanks in it.
#[derive(Debug, Default)]
pub(super) struct Base64Decoder {
    /// Up to 3 characters that make no whole group yet.
    group: Vec<u8>,
    /// Whether padding has ended the content.
    ended: bool,
}

impl Base64Decoder {
    fn decode(&mut self, chunk: &[u8]) -> Result<Vec<u8>, TransferError> {
        let mut text = std::mem::take(&mut self.group);
        for byte in chunk {
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' => {}
                b'=' => self.ended = true,
                _ if self.ended => return Err(TransferError::Base64),
                byte => text.push(*byte),
            }
        }
        self.group = text.split_off(text.len() - text.len() % 4);
        LENIENT_BASE64.decode(text).map_err(|_| TransferError::Base64)
    }

    fn finish(self) -> Result<Vec<u8>, TransferError> {
        LENIENT_BASE64.decode(self.group).map_err(|_| TransferError::Base64)
    }
}

/// Decodes quoted-printable. Blanks at the end of a line are dropped, because mail systems may have added them.
#[derive(Debug, Default)]
pub(super) struct QuotedPrintableDecoder {
    state: QuotedPrintableState,
    /// Blanks that may be at the end of the line.
    blanks: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Default)]
enum QuotedPrintableState {
    #[default]
    Text,
    /// After `=`.
    Escape,
    /// After `=` and one hexadecimal digit.
    HalfByte(u8),
    /// After `=` and a blank. The line must end here, and the next line continues it.
    SoftLineBreak,
    /// After `=` and a CR, with or without blanks between them.
    SoftLineEnd,
}

impl QuotedPrintableDecoder {
    fn decode(&mut self, chunk: &[u8]) -> Result<Vec<u8>, TransferError> {
        use QuotedPrintableState::{Escape, HalfByte, SoftLineBreak, SoftLineEnd, Text};
        let mut decoded = Vec::with_capacity(chunk.len());
        for byte in chunk {
            self.state = match (self.state, byte) {
                (Text, b' ' | b'\t') => {
                    if self.blanks.len() == MAX_BLANKS {
                        return Err(TransferError::QuotedPrintable);
                    }
                    self.blanks.push(*byte);
                    Text
                }
                (Text, b'\r' | b'\n') => {
                    self.blanks.clear();
                    decoded.push(*byte);
                    Text
                }
                (Text, byte) => {
                    decoded.append(&mut self.blanks);
                    if *byte == b'=' {
                        Escape
                    } else {
                        decoded.push(*byte);
                        Text
                    }
                }
                (Escape | SoftLineBreak, b' ' | b'\t') => SoftLineBreak,
                (Escape | SoftLineBreak, b'\r') => SoftLineEnd,
                (Escape | SoftLineBreak | SoftLineEnd, b'\n') => Text,
                (Escape, digit) => HalfByte(*digit),
                (HalfByte(high), low) => {
                    decoded.push(hex_byte(high, *low).ok_or(TransferError::QuotedPrintable)?);
                    Text
                }
                (SoftLineBreak | SoftLineEnd, _) => return Err(TransferError::QuotedPrintable),
            };
        }
        Ok(decoded)
    }

    fn finish(self) -> Result<Vec<u8>, TransferError> {
        match self.state {
            QuotedPrintableState::HalfByte(_) => Err(TransferError::QuotedPrintable),
            _ => Ok(Vec::new()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decodes the text in chunks of this many bytes.
    fn decode(name: &str, text: &str, chunk: usize) -> Result<Vec<u8>, TransferError> {
        let mut decoder = TransferDecoder::from_name(name)?;
        let mut decoded = Vec::new();
        for chunk in text.as_bytes().chunks(chunk) {
            decoded.extend(decoder.decode(chunk)?.unwrap_or_else(|| chunk.to_vec()));
        }
        decoded.extend(decoder.finish()?);
        Ok(decoded)
    }

    #[test]
    fn contents_are_decoded_however_they_are_cut() {
        for (name, text, expected) in [
            ("binary", "a=b", &b"a=b"[..]),
            (" 8BIT ", "a", b"a"),
            ("BASE64", "AAEC/w==", &[0, 1, 2, 255]),
            ("base64", "AA\r\nEC \t/w", &[0, 1, 2, 255]),
            ("base64", "AAEC\r\n\r\n", &[0, 1, 2]),
            ("base64", "", b""),
            ("quoted-printable", "a=00=ffb", b"a\0\xFFb"),
            ("Quoted-Printable", "a =\r\nb  \r\nc=\n=20 d=", b"a b\r\nc  d"),
            ("quoted-printable", "a= \t\r\nb", b"ab"),
            ("quoted-printable", "a=20\r\n", b"a \r\n"),
        ] {
            for chunk in 1..=text.len().max(1) {
                assert_eq!(decode(name, text, chunk).unwrap(), expected, "{text:?} by {chunk}");
            }
        }
    }

    #[test]
    fn content_that_is_not_in_its_encoding_is_refused() {
        let blanks = " ".repeat(MAX_BLANKS + 1);
        for (name, text, error) in [
            ("base64", "A", TransferError::Base64),
            ("base64", "AAEC/w==AA", TransferError::Base64),
            ("base64", "AA*C", TransferError::Base64),
            ("base64", "\u{89}PNG", TransferError::Base64),
            ("quoted-printable", "a=zz", TransferError::QuotedPrintable),
            ("quoted-printable", "a=a", TransferError::QuotedPrintable),
            ("quoted-printable", "a= b", TransferError::QuotedPrintable),
            ("quoted-printable", &blanks, TransferError::QuotedPrintable),
            ("x-uuencode", "a", TransferError::Unknown("x-uuencode".to_owned())),
        ] {
            assert_eq!(decode(name, text, 1), Err(error), "{text:?}");
        }
    }
}
