//! What is said in the documents API, in JSON or XML as the client likes: one tree, two ways to write it. XML is written
//! here and read nowhere.

use std::fmt::Write;

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use upload::FileId;

/// A value of an answer. Numbers are texts in this API.
#[derive(Clone, Debug)]
pub(crate) enum Node {
    Text(String),
    Flag(bool),
    List(Vec<Node>),
    Object(Vec<(&'static str, Node)>),
}

impl From<&str> for Node {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Node {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Json,
    Xml,
}

impl Format {
    /// XML where the client likes that better than JSON; anything is JSON.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let (mut json, mut xml, mut any) = (None, None, None);
        let values = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        for range in values.flat_map(|value| value.split(',')) {
            let range = range.to_ascii_lowercase();
            let mut parts = range.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default();
            let quality: f32 = parts.find_map(|part| part.strip_prefix("q=")?.parse().ok()).unwrap_or(1.0);
            let liked = match name {
                "application/json" => &mut json,
                "application/xml" | "text/xml" => &mut xml,
                "*/*" | "application/*" => &mut any,
                _ => continue,
            };
            *liked = Some(liked.map_or(quality, |before: f32| before.max(quality)));
        }
        // What is named goes before what any kind is liked.
        if xml.or(any) > json.or(any) { Self::Xml } else { Self::Json }
    }

    fn mime(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Xml => "application/xml",
        }
    }

    /// The members of an item, written so; the item's type is the root of XML.
    pub(crate) fn answer(self, status: StatusCode, kind: &'static str, members: Vec<(&'static str, Node)>) -> Response {
        let node = Node::Object(members);
        let mut text = String::new();
        match self {
            Self::Json => json(&node, &mut text),
            Self::Xml => {
                text.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>");
                xml(kind, &node, &mut text);
            }
        }
        let mut response = (status, text).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.mime()));
        headers.insert(header::VARY, HeaderValue::from_static("Accept"));
        response
    }

    /// All there are of something of a file's.
    pub(crate) fn all(self, file: &FileId, items: Vec<Node>) -> Response {
        let members = vec![
            ("errorCode", "0".into()),
            ("id", file.as_str().into()),
            ("type", "file".into()),
            ("count", items.len().to_string().into()),
            ("items", Node::List(items)),
        ];
        self.answer(StatusCode::OK, "file", members)
    }

    /// The bare answer: it was done.
    pub(crate) fn done(self, status: StatusCode, kind: &'static str, file: &FileId) -> Response {
        let members = vec![("errorCode", "0".into()), ("id", file.as_str().into()), ("type", kind.into())];
        self.answer(status, kind, members)
    }
}

fn json(node: &Node, text: &mut String) {
    match node {
        Node::Text(word) => text.push_str(&serde_json::Value::from(word.as_str()).to_string()),
        Node::Flag(flag) => text.push_str(if *flag { "true" } else { "false" }),
        Node::List(items) => {
            text.push('[');
            for (n, item) in items.iter().enumerate() {
                text.push_str(if n > 0 { "," } else { "" });
                json(item, text);
            }
            text.push(']');
        }
        Node::Object(members) => {
            text.push('{');
            for (n, (name, value)) in members.iter().enumerate() {
                write!(text, "{}\"{name}\":", if n > 0 { "," } else { "" }).ok();
                json(value, text);
            }
            text.push('}');
        }
    }
}

fn xml(name: &str, node: &Node, text: &mut String) {
    write!(text, "<{name}>").ok();
    match node {
        Node::Text(word) => escape(word, text),
        Node::Flag(flag) => text.push_str(if *flag { "true" } else { "false" }),
        Node::List(items) => items.iter().for_each(|item| xml("item", item, text)),
        Node::Object(members) => members.iter().for_each(|(name, value)| xml(name, value, text)),
    }
    write!(text, "</{name}>").ok();
}

/// XML 1.0 has no place for most control characters, in any spelling.
fn escape(word: &str, text: &mut String) {
    for c in word.chars() {
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
        let item = Node::Object(vec![("name", "a<&\"b\u{1}".into()), ("exists", Node::Flag(true))]);
        let tree = Node::Object(vec![("errorCode", "0".into()), ("items", Node::List(vec![item]))]);
        let (mut as_json, mut as_xml) = (String::new(), String::new());
        json(&tree, &mut as_json);
        xml("file", &tree, &mut as_xml);
        assert_eq!(as_json, r#"{"errorCode":"0","items":[{"name":"a<&\"b\u0001","exists":true}]}"#);
        let expected = "<file><errorCode>0</errorCode><items><item><name>a&lt;&amp;&quot;b\u{FFFD}</name>\
                        <exists>true</exists></item></items></file>";
        assert_eq!(as_xml, expected);
    }

    #[test]
    fn what_the_client_likes() {
        for (accept, format) in [
            ("", Format::Json),
            ("*/*", Format::Json),
            ("application/xml", Format::Xml),
            ("application/json", Format::Json),
            ("application/json, application/xml", Format::Json),
            ("application/json;q=0.5, application/xml", Format::Xml),
            ("application/xml;q=0.9, */*;q=0.8", Format::Xml),
            ("*/*;q=0.8, application/json;q=0.1, application/xml;q=0.5", Format::Xml),
            ("application/xml;Q=0.1, application/json;q=0.5", Format::Json),
            ("text/html", Format::Json),
        ] {
            let headers = HeaderMap::from_iter([(header::ACCEPT, accept.parse().unwrap())]);
            assert_eq!(Format::of(&headers), format, "{accept}");
        }
    }
}
