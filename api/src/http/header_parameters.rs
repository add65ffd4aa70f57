//! The parameters of a header field, such as `form-data; name="a"` (RFC 9110, 5.6.6).
//!
//! The rules fit the headers that clients really send:
//!
//! - Blanks may surround `;` and `=`. Names of parameters are compared without regard to case.
//! - Values are bytes, because file names come in UTF-8 and in older encodings.
//! - In quotation marks, a backslash escapes only `"` and `\`, because browsers send the backslashes of a Windows path
//!   unescaped.
//! - A quotation mark ends the value only if `;` or the end of the header follows, because some clients send quotation
//!   marks in file names without escaping them.

/// A header field: its value before the parameters, and the parameters.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ParameterizedValue {
    /// The value in lower case, such as a media type.
    pub(crate) value: String,
    parameters: Vec<Parameter>,
}

#[derive(Debug, PartialEq, Eq)]
struct Parameter {
    /// In lower case.
    name: String,
    value: Vec<u8>,
}

impl ParameterizedValue {
    /// Parses a header field. None if a quotation mark is not closed.
    pub(crate) fn parse(field: &[u8]) -> Option<Self> {
        let end = field.iter().position(|byte| *byte == b';').unwrap_or(field.len());
        let (value, mut rest) = field.split_at(end);
        let mut parameters = Vec::new();
        while let [b';', after @ ..] = rest {
            let after = after.trim_ascii_start();
            let end = after.iter().position(|byte| matches!(byte, b'=' | b';')).unwrap_or(after.len());
            let (name, after) = after.split_at(end);
            let [b'=', after @ ..] = after else {
                // A parameter without a value, or nothing between two semicolons.
                rest = after;
                continue;
            };
            let (value, after) = match after.trim_ascii_start() {
                [b'"', quoted @ ..] => parse_quoted(quoted)?,
                token => {
                    let (token, after) =
                        token.split_at(token.iter().position(|byte| *byte == b';').unwrap_or(token.len()));
                    (token.trim_ascii_end().to_vec(), after)
                }
            };
            let name = String::from_utf8_lossy(name.trim_ascii()).to_ascii_lowercase();
            parameters.push(Parameter { name, value });
            rest = after;
        }
        Some(Self { value: String::from_utf8_lossy(value.trim_ascii()).to_ascii_lowercase(), parameters })
    }

    /// Returns the value of the first parameter with this name. `name` is in lower case.
    pub(crate) fn get(&self, name: &str) -> Option<&[u8]> {
        self.parameters.iter().find(|parameter| parameter.name == name).map(|parameter| parameter.value.as_slice())
    }
}

/// Parses the text after a quotation mark. Returns the value, and what follows the closing quotation mark. None if
/// there is no closing quotation mark.
fn parse_quoted(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut value = Vec::with_capacity(text.len());
    let mut rest = text;
    loop {
        match rest {
            [] => return None,
            // The last quotation mark of the field closes the value, so the backslash before it
            // belongs to the value.
            [b'\\', b'"'] => {
                value.push(b'\\');
                return Some((value, &[]));
            }
            [b'\\', escaped @ (b'"' | b'\\'), after @ ..] => {
                value.push(*escaped);
                rest = after;
            }
            [b'"', after @ ..] => {
                let following = after.trim_ascii_start();
                if following.first().is_none_or(|byte| *byte == b';') {
                    return Some((value, following));
                }
                value.push(b'"');
                rest = after;
            }
            [byte, after @ ..] => {
                value.push(*byte);
                rest = after;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_parsed_as_clients_send_them() {
        for (field, expected) in [
            ("a/b; x=1", "1"),
            ("a/b ; x = 1 ; y=2", "1"),
            ("a/b;X=1", "1"),
            ("a/b;;x=1", "1"),
            ("a/b; y; x=1", "1"),
            (r#"a/b; y="; x=2"; x="1""#, "1"),
            (r#"a/b; x="a b" ; y=2"#, "a b"),
            (r#"a/b; x="a\"b\\c""#, r#"a"b\c"#),
            (r#"a/b; x="C:\temp\cat.png""#, r"C:\temp\cat.png"),
            (r#"a/b; x="a"b.png"; y=2"#, r#"a"b.png"#),
            (r#"a/b; x="a\""#, r"a\"),
            (r#"a/b; x=""; y=1"#, ""),
            ("a/b; x=; y=1", ""),
            ("a/b; x=my cat.png; y=1", "my cat.png"),
        ] {
            let parsed = ParameterizedValue::parse(field.as_bytes()).unwrap();
            assert_eq!(parsed.value, "a/b", "{field}");
            assert_eq!(parsed.get("x"), Some(expected.as_bytes()), "{field}");
        }
        assert_eq!(ParameterizedValue::parse(b"a/b; y=1").unwrap().get("x"), None);
        for unclosed in [r#"a/b; x="1"#, r#"a/b; x="1; y=2"#, "a/b; x=\""] {
            assert_eq!(ParameterizedValue::parse(unclosed.as_bytes()), None, "{unclosed}");
        }
    }
}
