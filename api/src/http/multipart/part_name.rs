//! Names of parts and of files in the encodings that clients use.
//!
//! A name is taken from the first of these forms that the part has:
//!
//! 1. `filename*=UTF-8''a%20b.png` (RFC 8187), and `filename*0*=…; filename*1=…` (RFC 2231, section 3)
//! 2. `filename="=?UTF-8?B?…?="` (RFC 2047)
//! 3. `filename="a.png"` in UTF-8; if it is not UTF-8, in Windows-1252, which includes Latin-1
//!
//! In the third form, `%XX` escapes are decoded if every `%` in the name begins an escape and the result is UTF-8.
//! Otherwise the name is left as it is. Browsers escape quotation marks this way (WHATWG HTML, "multipart/form-data
//! encoding algorithm"), and other clients escape the whole name.

use base64::Engine as _;
use encoding_rs::{Encoding, WINDOWS_1252};

use super::byte_encodings::{LENIENT_BASE64, hex_byte};
use crate::http::header_parameters::ParameterizedValue;

/// The most sections of one name (RFC 2231, section 3).
const MAX_SECTIONS: usize = 100;

/// The name is encoded in a way that is not known, and there is no other form of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct UnknownEncoding;

/// Returns the parameter `key` as text. None if the field does not have it.
pub(super) fn decode_parameter(field: &ParameterizedValue, key: &str) -> Result<Option<String>, UnknownEncoding> {
    let extended = extended_value(field, key);
    match (extended, field.get(key)) {
        (Some(Some(text)), _) => Ok(Some(text)),
        (_, Some(plain)) => Ok(Some(decode_plain(plain))),
        (Some(None), None) => Err(UnknownEncoding),
        (None, None) => Ok(None),
    }
}

/// Decodes a name in the first form. None if the field has no name in this form, `Some(None)` if the name cannot be
/// decoded.
fn extended_value(field: &ParameterizedValue, key: &str) -> Option<Option<String>> {
    if let Some(value) = field.get(&format!("{key}*")) {
        return Some(decode_extended(value));
    }
    let mut charset = None;
    let mut bytes = Vec::new();
    let mut sections = 0;
    while sections < MAX_SECTIONS {
        if let Some(plain) = field.get(&format!("{key}*{sections}")) {
            bytes.extend_from_slice(plain);
        } else if let Some(encoded) = field.get(&format!("{key}*{sections}*")) {
            let encoded = match split_charset(encoded) {
                Some((label, text)) if sections == 0 => {
                    charset = Some(label);
                    text
                }
                _ => encoded,
            };
            match percent_decode(encoded) {
                Some(decoded) => bytes.extend_from_slice(&decoded),
                None => return Some(None),
            }
        } else {
            break;
        }
        sections += 1;
    }
    (sections > 0).then(|| match charset {
        Some(charset) => decode_charset(charset, &bytes),
        None => Some(decode_plain(&bytes)),
    })
}

/// Decodes `charset'language'text` with escapes in the text (RFC 8187, 3.2).
fn decode_extended(value: &[u8]) -> Option<String> {
    let (charset, text) = split_charset(value)?;
    decode_charset(charset, &percent_decode(text)?)
}

fn split_charset(value: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut parts = value.splitn(3, |byte| *byte == b'\'');
    let (charset, _language, text) = (parts.next()?, parts.next()?, parts.next()?);
    Some((charset, text))
}

fn decode_charset(label: &[u8], bytes: &[u8]) -> Option<String> {
    let encoding = Encoding::for_label(label)?;
    encoding.decode_without_bom_handling_and_without_replacement(bytes).map(std::borrow::Cow::into_owned)
}

/// Decodes `%XX`. None if a `%` begins no escape.
fn percent_decode(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, after @ ..] = rest {
        if *first != b'%' {
            bytes.push(*first);
            rest = after;
            continue;
        }
        let [high, low, after @ ..] = after else { return None };
        bytes.push(hex_byte(*high, *low)?);
        rest = after;
    }
    Some(bytes)
}

/// Decodes a name in the second or the third form.
fn decode_plain(value: &[u8]) -> String {
    let text = match str::from_utf8(value) {
        Ok(text) => text.to_owned(),
        Err(_) => WINDOWS_1252.decode_without_bom_handling(value).0.into_owned(),
    };
    if let Some(decoded) = decode_words(&text) {
        return decoded;
    }
    if !text.contains('%') {
        return text;
    }
    percent_decode(text.as_bytes()).and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or(text)
}

/// Decodes the encoded words in a text (RFC 2047). None if the text has no encoded word, or if an encoded word cannot
/// be decoded. Blanks between two encoded words are not part of the text.
fn decode_words(text: &str) -> Option<String> {
    let mut decoded = String::new();
    // The bytes of adjacent words in one charset. They are decoded together, because some clients put the bytes of one
    // character into two words.
    let mut pending: Option<(&str, Vec<u8>)> = None;
    let (mut rest, mut found) = (text, false);
    while let Some(at) = rest.find("=?") {
        let (before, word) = rest.split_at(at);
        let Some((charset, bytes, after)) = parse_word(word) else {
            flush(&mut decoded, &mut pending)?;
            decoded.push_str(before);
            decoded.push_str("=?");
            rest = word.get(2..).unwrap_or_default();
            continue;
        };
        match &mut pending {
            Some((label, joined)) if before.trim_ascii().is_empty() && label.eq_ignore_ascii_case(charset) => {
                joined.extend_from_slice(&bytes);
            }
            _ => {
                let adjacent = pending.is_some() && before.trim_ascii().is_empty();
                flush(&mut decoded, &mut pending)?;
                decoded.push_str(if adjacent { "" } else { before });
                pending = Some((charset, bytes));
            }
        }
        found = true;
        rest = after;
    }
    flush(&mut decoded, &mut pending)?;
    decoded.push_str(rest);
    found.then_some(decoded)
}

/// Appends the decoded bytes of words. None if the charset is unknown or the bytes are not in it.
fn flush(decoded: &mut String, pending: &mut Option<(&str, Vec<u8>)>) -> Option<()> {
    if let Some((charset, bytes)) = pending.take() {
        decoded.push_str(&decode_charset(charset.as_bytes(), &bytes)?);
    }
    Some(())
}

/// Parses the word that `text` begins with. Returns its charset, its bytes and what follows it.
fn parse_word(text: &str) -> Option<(&str, Vec<u8>, &str)> {
    let (charset, rest) = text.strip_prefix("=?")?.split_once('?')?;
    let (encoding, rest) = rest.split_once('?')?;
    let (content, after) = rest.split_once("?=")?;
    let bytes = match encoding {
        "B" | "b" => LENIENT_BASE64.decode(content).ok()?,
        "Q" | "q" => decode_q(content.as_bytes())?,
        _ => return None,
    };
    // A language may follow the charset (RFC 2231, section 5).
    let charset = charset.split('*').next().unwrap_or_default();
    Encoding::for_label(charset.as_bytes())?;
    Some((charset, bytes, after))
}

/// Decodes the encoding `Q` (RFC 2047, 4.2).
fn decode_q(content: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(content.len());
    let mut rest = content;
    while let [first, after @ ..] = rest {
        rest = after;
        match (first, after) {
            (b'_', _) => bytes.push(b' '),
            (b'=', [high, low, after @ ..]) => {
                bytes.push(hex_byte(*high, *low)?);
                rest = after;
            }
            (b'=', _) => return None,
            (byte, _) => bytes.push(*byte),
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(field: &[u8]) -> Result<Option<String>, UnknownEncoding> {
        decode_parameter(&ParameterizedValue::parse(&[b"form-data; ", field].concat()).unwrap(), "filename")
    }

    #[test]
    fn each_form_of_a_name_is_decoded() {
        for (field, expected) in [
            (&br#"filename="cat.png""#[..], "cat.png"),
            (b"FileName=cat.png", "cat.png"),
            ("filename=\"größe 猫.png\"".as_bytes(), "größe 猫.png"),
            (b"filename=\"gr\xF6\xDFe \x80.png\"", "größe €.png"),
            (b"filename*=UTF-8''gr%C3%B6%C3%9Fe%20a.png", "größe a.png"),
            (b"filename=\"wrong.png\"; filename*=utf-8'de'gr%C3%B6%C3%9Fe.png", "größe.png"),
            (b"filename*=ISO-8859-1''gr%F6%DFe.png; filename=wrong.png", "größe.png"),
            (b"filename*=\"UTF-8''quoted.png\"", "quoted.png"),
            // If the first form cannot be decoded, the other form counts.
            (b"filename*=klingon''a.png; filename=right.png", "right.png"),
            (b"filename*=UTF-8''%FF.png; filename=right.png", "right.png"),
            (b"filename*=UTF-8''%zz.png; filename=right.png", "right.png"),
            (b"filename*=a.png; filename=right.png", "right.png"),
            (b"filename*0=\"a b\"; filename*1=\"c.png\"", "a bc.png"),
            (b"filename*1*=%9Fe; filename*0*=UTF-8''gr%C3%B6%C3; filename*2=.png", "größe.png"),
            (b"filename=\"=?UTF-8?B?Z3LDtsOfZS5wbmc=?=\"", "größe.png"),
            (b"filename=\"=?utf-8?b?Z3LDtsOfZS5wbmc?=\"", "größe.png"),
            (b"filename=\"=?ISO-8859-1?Q?gr=F6=DFe_a=2Epng?=\"", "größe a.png"),
            (b"filename=\"=?UTF-8*de?Q?gr=C3=B6?= =?utf-8?q?=C3=9Fe=2Epng?=\"", "größe.png"),
            (b"filename=\"=?UTF-8?Q?gr=C3=B6=C3?=\t=?UTF-8?Q?=9Fe?=.png\"", "größe.png"),
            (b"filename=\"a =?UTF-8?Q?b?= c.png\"", "a b c.png"),
            (b"filename=\"=?UTF-8?X?b?=.png\"", "=?UTF-8?X?b?=.png"),
            (b"filename=\"=?klingon?Q?b?=.png\"", "=?klingon?Q?b?=.png"),
            (b"filename=\"=?.png\"", "=?.png"),
            (b"filename=\"a%22b.png\"", "a\"b.png"),
            (b"filename=\"gr%C3%B6%C3%9Fe%20a.png\"", "größe a.png"),
            (b"filename=\"100%.png\"", "100%.png"),
            (b"filename=\"100%25 %zz.png\"", "100%25 %zz.png"),
            (b"filename=\"%FF.png\"", "%FF.png"),
            (b"filename=\"\"", ""),
        ] {
            let shown = String::from_utf8_lossy(field);
            assert_eq!(decode(field).unwrap().as_deref(), Some(expected), "{shown}");
        }
        assert_eq!(decode(b"name=a"), Ok(None));
    }

    #[test]
    fn a_name_in_an_unknown_encoding_is_an_error() {
        for field in
            ["filename*=klingon''a.png", "filename*=UTF-8''%FF.png", "filename*=a.png", "filename*0*=UTF-8''%z"]
        {
            assert_eq!(decode(field.as_bytes()), Err(UnknownEncoding), "{field}");
        }
    }
}
