//! Renders the OpenAPI document as a page, without a script and without content of other sites.

use std::fmt::Write;

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::Value;

use crate::http::html::{escape_html, html_response, render_template};

pub(super) fn render(document: &Value, path_prefix: &str) -> Response {
    let tags = document["tags"].as_array().into_iter().flatten().map(|tag| section(document, tag)).collect::<String>();
    let schemas = document["components"]["schemas"].as_object().into_iter().flatten();
    let schemas = schemas.map(|(name, schema)| schema_table(name, schema)).collect::<String>();
    let values = [
        ("prefix", path_prefix.to_owned()),
        ("title", escape_html(text(&document["info"]["title"]))),
        ("version", escape_html(text(&document["info"]["version"]))),
        ("operations", tags),
        ("schemas", schemas),
    ];
    let values: Vec<(&str, &str)> = values.iter().map(|(name, value)| (*name, value.as_str())).collect();
    html_response(StatusCode::OK, render_template(include_str!("viewer.html"), &values))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Renders all operations of one tag.
fn section(document: &Value, tag: &Value) -> String {
    let name = text(&tag["name"]);
    let mut html = format!(
        "<section class=\"card\" aria-labelledby=\"{0}\"><h2 id=\"{0}\">{0}</h2><p>{1}</p>",
        escape_html(name),
        escape_html(text(&tag["description"]))
    );
    for (path, methods) in document["paths"].as_object().into_iter().flatten() {
        for (method, operation) in methods.as_object().into_iter().flatten() {
            let tagged = operation["tags"].as_array().is_some_and(|tags| tags.iter().any(|tag| tag == name));
            if tagged {
                html.push_str(&operation_block(path, method, operation));
            }
        }
    }
    html + "</section>"
}

fn operation_block(path: &str, method: &str, operation: &Value) -> String {
    let summary = escape_html(text(&operation["summary"]));
    let mut html = format!(
        "<details><summary><span class=\"method\">{}</span> <code>{}</code> <span class=\"about\">{summary}</span></summary>",
        escape_html(&method.to_uppercase()),
        escape_html(path)
    );
    if let Some(parameters) = operation["parameters"].as_array() {
        html.push_str("<table><tr><th>Parameter</th><th>In</th><th>Type</th><th>What it is</th></tr>");
        for parameter in parameters {
            let [name, place, about] = ["name", "in", "description"].map(|key| escape_html(text(&parameter[key])));
            let kind = schema_link(&parameter["schema"]);
            write!(html, "<tr><td><code>{name}</code></td><td>{place}</td><td>{kind}</td><td>{about}</td></tr>")
                .unwrap_or_default();
        }
        html.push_str("</table>");
    }
    for (kind, body) in operation["requestBody"]["content"].as_object().into_iter().flatten() {
        write!(html, "<p>Body: <code>{}</code>, {}</p>", escape_html(kind), schema_link(&body["schema"]))
            .unwrap_or_default();
    }
    html.push_str("<table><tr><th>Answer</th><th>When</th><th>Body</th></tr>");
    for (status, response) in operation["responses"].as_object().into_iter().flatten() {
        let about = escape_html(text(&response["description"]));
        let bodies = response["content"].as_object().into_iter().flatten();
        let bodies: Vec<String> = bodies
            .map(|(kind, body)| format!("<code>{}</code> {}", escape_html(kind), schema_link(&body["schema"])))
            .collect();
        let status = escape_html(status);
        write!(html, "<tr><td>{status}</td><td>{about}</td><td>{}</td></tr>", bodies.join("<br>")).unwrap_or_default();
    }
    html + "</table></details>"
}

/// Renders a schema's name with a link, or its type.
fn schema_link(schema: &Value) -> String {
    let reference = schema["$ref"].as_str().or_else(|| {
        let any = schema["oneOf"].as_array()?;
        any.iter().find_map(|one| one["$ref"].as_str())
    });
    if let Some(name) = reference.and_then(|path| path.rsplit('/').next()) {
        return format!("<a href=\"#schema-{0}\">{0}</a>", escape_html(name));
    }
    if schema["type"] == "array" {
        return format!("list of {}", schema_link(&schema["items"]));
    }
    if schema["format"] == "binary" {
        return "bytes".to_owned();
    }
    match &schema["type"] {
        Value::Array(types) => escape_html(&types.iter().map(text).collect::<Vec<_>>().join(" or ")),
        one => escape_html(text(one)),
    }
}

fn schema_table(name: &str, schema: &Value) -> String {
    let mut html = format!(
        "<h3 id=\"schema-{0}\">{0}</h3><p>{1}</p>",
        escape_html(name),
        escape_html(text(&schema["description"]))
    );
    html.push_str("<table><tr><th>Member</th><th>Type</th><th>What it is</th></tr>");
    for (member, about) in schema["properties"].as_object().into_iter().flatten() {
        let (member, kind, about) = (escape_html(member), schema_link(about), escape_html(text(&about["description"])));
        write!(html, "<tr><td><code>{member}</code></td><td>{kind}</td><td>{about}</td></tr>").unwrap_or_default();
    }
    html + "</table>"
}
