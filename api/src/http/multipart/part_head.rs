//! The head of a part: its headers, up to the empty line.

use super::part_name::decode_parameter;
use super::transfer_encoding::TransferDecoder;
use crate::error::ApiError;
use crate::http::header_parameters::ParameterizedValue;

/// What the headers of a part say.
#[derive(Debug)]
pub(super) struct PartHead {
    /// The name of the form field. It may be empty.
    pub(super) name: String,
    /// The file name, if the client declares the part as a file.
    pub(super) filename: Option<String>,
    pub(super) decoder: TransferDecoder,
}

impl PartHead {
    /// Parses the lines of a head. Lines may end with LF alone, and a line that begins with a blank continues the line
    /// before it (RFC 5322, 2.2.3).
    pub(super) fn parse(head: &[u8]) -> Result<Self, ApiError> {
        let bad = |why: &str| ApiError::malformed("bad_multipart", format!("a header of a part of the form {why}"));
        let (mut disposition, mut is_repeated) = (None, false);
        let mut encoding = String::new();
        for line in unfold(head).ok_or_else(|| bad("begins with a blank"))? {
            if line.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t') {
                return Err(bad("has a control character"));
            }
            let colon = line.iter().position(|byte| *byte == b':').ok_or_else(|| bad("has no colon"))?;
            let (name, value) = (line.get(..colon).unwrap_or_default(), line.get(colon + 1..).unwrap_or_default());
            match name.trim_ascii().to_ascii_lowercase().as_slice() {
                b"content-disposition" => is_repeated |= disposition.replace(value.to_vec()).is_some(),
                b"content-transfer-encoding" => encoding = String::from_utf8_lossy(value).into_owned(),
                _ => {}
            }
        }
        if is_repeated {
            return Err(bad("is repeated: Content-Disposition"));
        }
        let disposition = disposition.unwrap_or_default();
        let disposition = ParameterizedValue::parse(&disposition)
            .ok_or_else(|| bad("has a quotation mark that is not closed: Content-Disposition"))?;
        let parameter = |key| {
            decode_parameter(&disposition, key)
                .map_err(|_| bad("has a name in an encoding that is not known; send the name in UTF-8"))
        };
        let decoder = TransferDecoder::from_name(&encoding)
            .map_err(|error| ApiError::malformed("bad_multipart", error.to_string()))?;
        Ok(Self { name: parameter("name")?.unwrap_or_default(), filename: parameter("filename")?, decoder })
    }
}

/// Returns the lines of a head, each with the lines that continue it. None if the first line begins
/// with a blank, because there is no line that it could continue.
fn unfold(head: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut lines: Vec<Vec<u8>> = Vec::new();
    for line in head.split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            continue;
        }
        if line.starts_with(b" ") || line.starts_with(b"\t") {
            lines.last_mut()?.extend_from_slice(line);
        } else {
            lines.push(line.to_vec());
        }
    }
    Some(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_however_they_are_written() {
        for head in [
            "Content-Disposition: form-data; name=\"a\"; filename=\"b.png\"\r\n\r\n",
            "content-disposition:form-data;name=a;filename=b.png\n\n",
            "X: y\r\nContent-Disposition: form-data;\r\n name=\"a\";\r\n\tfilename=\"b.png\"\r\nContent-Type: image/png\r\n\r\n",
            "CONTENT-DISPOSITION : FORM-DATA ; NAME = a ; FILENAME = b.png\r\n\r\n",
            "Content-Disposition: attachment; filename=b.png; name=a\r\nContent-Transfer-Encoding: binary\r\n\r\n",
        ] {
            let parsed = PartHead::parse(head.as_bytes()).unwrap();
            assert_eq!((parsed.name.as_str(), parsed.filename.as_deref()), ("a", Some("b.png")), "{head}");
        }
        let parsed = PartHead::parse(b"\r\n").unwrap();
        assert_eq!((parsed.name.as_str(), parsed.filename), ("", None));
    }

    #[test]
    fn invalid_headers_are_refused_with_a_reason() {
        for (head, reason) in [
            (" name=a\r\n\r\n", "begins with a blank"),
            ("Content-Disposition\r\n\r\n", "no colon"),
            ("Content-Disposition: form-data; name=\"a\0\"\r\n\r\n", "control character"),
            ("Content-Disposition: form-data; name=\"a\rb\"\r\n\r\n", "control character"),
            ("Content-Disposition: form-data; name=\"a\r\n\r\n", "not closed"),
            ("Content-Disposition: form-data; name=a\r\nContent-Disposition: form-data; name=b\r\n\r\n", "repeated"),
            ("Content-Disposition: form-data; filename*=klingon''a\r\n\r\n", "UTF-8"),
            ("Content-Transfer-Encoding: uuencode\r\n\r\n", "\"uuencode\""),
        ] {
            let error = PartHead::parse(head.as_bytes()).unwrap_err();
            assert!(error.to_string().contains(reason), "{head}: {error}");
        }
    }
}
