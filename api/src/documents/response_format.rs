//! Responses of the documents API, in JSON or XML as the client prefers: one value tree with two serializations. XML is
//! only written, never parsed.

use std::fmt::Write;

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::FileId;

/// A value in a response. Numbers are texts in this API.
#[derive(Clone, Debug)]
pub(crate) enum ResponseValue {
    Text(String),
    Bool(bool),
    List(Vec<ResponseValue>),
    Object(Vec<(&'static str, ResponseValue)>),
}

impl From<&str> for ResponseValue {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for ResponseValue {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

/// The format of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ResponseFormat {
    Json,
    Xml,
}

impl ResponseFormat {
    /// Selects XML if the client prefers it to JSON. Everything else means JSON.
    pub(crate) fn from_accept(headers: &HeaderMap) -> Self {
        let (mut json, mut xml, mut any) = (None, None, None);
        let values = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        for range in values.flat_map(|value| value.split(',')) {
            let range = range.to_ascii_lowercase();
            let mut parts = range.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default();
            let quality: f32 = parts.find_map(|part| part.strip_prefix("q=")?.parse().ok()).unwrap_or(1.0);
            let best = match name {
                "application/json" => &mut json,
                "application/xml" | "text/xml" => &mut xml,
                "*/*" | "application/*" => &mut any,
                _ => continue,
            };
            *best = Some(best.map_or(quality, |before: f32| before.max(quality)));
        }
        // A format that is named takes precedence over a wildcard.
        if xml.or(any) > json.or(any) { Self::Xml } else { Self::Json }
    }

    fn mime(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Xml => "application/xml",
        }
    }

    /// Builds the response for an item with these members. The item's type is the root element in XML.
    pub(crate) fn response(
        self,
        status: StatusCode,
        kind: &'static str,
        members: Vec<(&'static str, ResponseValue)>,
    ) -> Response {
        let node = ResponseValue::Object(members);
        let mut text = String::new();
        match self {
            Self::Json => write_json(&node, &mut text),
            Self::Xml => {
                text.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>");
                write_xml(kind, &node, &mut text);
            }
        }
        let mut response = (status, text).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.mime()));
        headers.insert(header::VARY, HeaderValue::from_static("Accept"));
        response
    }

    /// Builds the response for a list of items of a file.
    pub(crate) fn list_response(self, file: &FileId, items: Vec<ResponseValue>) -> Response {
        let members = vec![
            ("errorCode", "0".into()),
            ("id", file.as_str().into()),
            ("type", "file".into()),
            ("count", items.len().to_string().into()),
            ("items", ResponseValue::List(items)),
        ];
        self.response(StatusCode::OK, "file", members)
    }

    /// Builds the response that reports success and no more.
    pub(crate) fn success_response(self, status: StatusCode, kind: &'static str, file: &FileId) -> Response {
        let members = vec![("errorCode", "0".into()), ("id", file.as_str().into()), ("type", kind.into())];
        self.response(status, kind, members)
    }
}

fn write_json(node: &ResponseValue, text: &mut String) {
    match node {
        ResponseValue::Text(word) => text.push_str(&serde_json::Value::from(word.as_str()).to_string()),
        ResponseValue::Bool(flag) => text.push_str(if *flag { "true" } else { "false" }),
        ResponseValue::List(items) => {
            text.push('[');
            for (n, item) in items.iter().enumerate() {
                text.push_str(if n > 0 { "," } else { "" });
                write_json(item, text);
            }
            text.push(']');
        }
        ResponseValue::Object(members) => {
            text.push('{');
            for (n, (name, value)) in members.iter().enumerate() {
                write!(text, "{}\"{name}\":", if n > 0 { "," } else { "" }).ok();
                write_json(value, text);
            }
            text.push('}');
        }
    }
}

fn write_xml(name: &str, node: &ResponseValue, text: &mut String) {
    write!(text, "<{name}>").ok();
    match node {
        ResponseValue::Text(word) => write_escaped(word, text),
        ResponseValue::Bool(flag) => text.push_str(if *flag { "true" } else { "false" }),
        ResponseValue::List(items) => items.iter().for_each(|item| write_xml("item", item, text)),
        ResponseValue::Object(members) => members.iter().for_each(|(name, value)| write_xml(name, value, text)),
    }
    write!(text, "</{name}>").ok();
}

/// Escapes a text for XML. XML 1.0 has no form for most control characters, not even escaped.
fn write_escaped(value: &str, text: &mut String) {
    for c in value.chars() {
        match c {
            '&' => text.push_str("&amp;"),
            '<' => text.push_str("&lt;"),
            '>' => text.push_str("&gt;"),
            '"' => text.push_str("&quot;"),
            '\'' => text.push_str("&apos;"),
            '\r' => text.push_str("&#13;"),
            '\t' | '\n' => text.push(c),
            c if c < ' ' || matches!(c, '\u{FFFE}' | '\u{FFFF}') => text.push('\u{FFFD}'),
            c => text.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_tree_two_ways() {
        let item = ResponseValue::Object(vec![("name", "a<&\"b\u{1}".into()), ("exists", ResponseValue::Bool(true))]);
        let tree = ResponseValue::Object(vec![("errorCode", "0".into()), ("items", ResponseValue::List(vec![item]))]);
        let (mut as_json, mut as_xml) = (String::new(), String::new());
        write_json(&tree, &mut as_json);
        write_xml("file", &tree, &mut as_xml);
        assert_eq!(as_json, r#"{"errorCode":"0","items":[{"name":"a<&\"b\u0001","exists":true}]}"#);
        let expected = "<file><errorCode>0</errorCode><items><item><name>a&lt;&amp;&quot;b\u{FFFD}</name>\
                        <exists>true</exists></item></items></file>";
        assert_eq!(as_xml, expected);
    }

    #[test]
    fn what_the_client_likes() {
        for (accept, format) in [
            ("", ResponseFormat::Json),
            ("*/*", ResponseFormat::Json),
            ("application/xml", ResponseFormat::Xml),
            ("application/json", ResponseFormat::Json),
            ("application/json, application/xml", ResponseFormat::Json),
            ("application/json;q=0.5, application/xml", ResponseFormat::Xml),
            ("application/xml;q=0.9, */*;q=0.8", ResponseFormat::Xml),
            ("*/*;q=0.8, application/json;q=0.1, application/xml;q=0.5", ResponseFormat::Xml),
            ("application/xml;Q=0.1, application/json;q=0.5", ResponseFormat::Json),
            ("text/html", ResponseFormat::Json),
        ] {
            let headers = HeaderMap::from_iter([(header::ACCEPT, accept.parse().unwrap())]);
            assert_eq!(ResponseFormat::from_accept(&headers), format, "{accept}");
        }
    }
}
