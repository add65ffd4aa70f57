//! The JSON parameters of a request, in a part of a form or as the body: one object of limited size. Names of members
//! are trimmed. A repeated member or invalid JSON is an error. `null` and `""` count as missing.

use serde_json::Value;

use super::error::DocumentError;
use crate::error::ApiError;
use crate::http::json_object::JsonObject;
use crate::http::small_body::{NUL_NOT_ALLOWED, contains_nul};

/// The members of an object, by trimmed name.
#[derive(Debug, Default)]
pub(crate) struct JsonParams(JsonObject);

impl JsonParams {
    /// Parses an object. A byte order mark before it is ignored, as RFC 8259 permits. U+0000 in it is an error.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, DocumentError> {
        let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
        if contains_nul(text) {
            return Err(ApiError::malformed("bad_json", format!("the parameters: {NUL_NOT_ALLOWED}")).into());
        }
        let bad = |error| ApiError::malformed("bad_json", format!("the parameters are not a JSON object: {error}"));
        Ok(Self(serde_json::from_slice(text).map_err(bad)?))
    }

    /// Returns the value of a member. None if the member is missing, null or an empty text.
    fn get(&self, name: &str) -> Option<&Value> {
        let JsonObject(members) = &self.0;
        let value = members.iter().find_map(|(known, value)| (known.trim() == name).then_some(value))?;
        (!value.is_null() && value.as_str() != Some("")).then_some(value)
    }

    /// Returns a member that is a text.
    pub(crate) fn text(&self, name: &str) -> Result<Option<&str>, DocumentError> {
        let value = self.get(name);
        value
            .map(|value| value.as_str().ok_or_else(|| DocumentError::invalid_value(name, "it must be a text")))
            .transpose()
    }

    /// Returns a member that is a text of at most `most` characters. Empty if the member is
    /// missing.
    pub(crate) fn text_up_to(&self, name: &str, most: usize) -> Result<&str, DocumentError> {
        let text = self.text(name)?.unwrap_or_default();
        if text.chars().count() > most {
            return Err(DocumentError::invalid_value(name, &format!("it has at most {most} characters")));
        }
        Ok(text)
    }

    /// Returns a member that is a list of texts. The client may send a list, or one text with commas.
    pub(crate) fn text_list(&self, name: &str) -> Result<Vec<String>, DocumentError> {
        let bad = || DocumentError::invalid_value(name, "it must be a text or a list of texts");
        match self.get(name) {
            None => Ok(Vec::new()),
            Some(Value::String(text)) => {
                Ok(text.split(',').map(|word| word.trim().to_owned()).filter(|word| !word.is_empty()).collect())
            }
            Some(Value::Array(list)) => {
                list.iter().map(|item| item.as_str().map(|word| word.trim().to_owned()).ok_or_else(bad)).collect()
            }
            Some(_) => Err(bad()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_trimmed_and_null_and_empty_count_as_missing() {
        let read = JsonParams::parse("\u{FEFF}{\"name \": \"small\", \"a\": null, \"b\": \"\"}".as_bytes()).unwrap();
        assert_eq!(read.text("name").unwrap(), Some("small"));
        assert_eq!((read.text("a").unwrap(), read.text("b").unwrap(), read.text("c").unwrap()), (None, None, None));
    }

    #[test]
    fn a_text_that_is_no_object_or_repeats_a_member_is_refused() {
        let deep = format!("{{\"name\":{}1{}}}", "[".repeat(10_000), "]".repeat(10_000));
        for text in ["", "[]", "1", "{\"a\":1,\"a\":2}", "{\"a\":1,\"a \":2}", "{\"a\":\"x\ny\"}", "<name/>", &deep] {
            assert!(JsonParams::parse(text.as_bytes()).is_err(), "{text:.40}");
        }
    }
}
