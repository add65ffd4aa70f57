//! Schemas of bodies: their names as links, and their members as tables.

use std::fmt::Write;

use serde_json::Value;

use crate::http::html::escape_html;

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Renders a schema's name with a link, or its type.
pub(super) fn link(schema: &Value) -> String {
    let reference = schema["$ref"].as_str().or_else(|| {
        let any = schema["oneOf"].as_array()?;
        any.iter().find_map(|one| one["$ref"].as_str())
    });
    if let Some(name) = reference.and_then(|path| path.rsplit('/').next()) {
        return format!("<a href=\"#schema-{0}\">{0}</a>", escape_html(name));
    }
    if schema["type"] == "array" {
        return format!("list of {}", link(&schema["items"]));
    }
    if schema["format"] == "binary" {
        return "bytes".to_owned();
    }
    match &schema["type"] {
        Value::Array(types) => escape_html(&types.iter().map(text).collect::<Vec<_>>().join(" or ")),
        one => escape_html(text(one)),
    }
}

/// Renders the members of a schema, and those of the schemas that it includes.
pub(super) fn table(name: &str, schema: &Value) -> String {
    let name = escape_html(name);
    let mut html = format!("<h3 id=\"schema-{name}\">{name}</h3><p>{}</p>", escape_html(text(&schema["description"])));
    let included: Vec<String> =
        schema["allOf"].as_array().into_iter().flatten().filter(|it| it["$ref"].is_string()).map(link).collect();
    if !included.is_empty() {
        write!(html, "<p>With the members of {}.</p>", included.join(" and ")).unwrap_or_default();
    }
    let values: Vec<String> = schema["enum"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|it| format!("<code>{}</code>", escape_html(text(it))))
        .collect();
    if !values.is_empty() {
        write!(html, "<p>One of {}.</p>", values.join(", ")).unwrap_or_default();
    }
    let own = schema["allOf"].as_array().into_iter().flatten().chain([schema]);
    let members: Vec<_> = own.flat_map(|part| part["properties"].as_object().into_iter().flatten()).collect();
    if members.is_empty() {
        return html;
    }
    write!(
        html,
        "<div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"Members of {name}\"><table><thead><tr><th>Member</th>\
         <th>Type</th><th>What it is</th></tr></thead><tbody>"
    )
    .unwrap_or_default();
    for (member, about) in members {
        let (member, kind, about) = (escape_html(member), link(about), escape_html(text(&about["description"])));
        write!(html, "<tr><td><code>{member}</code></td><td>{kind}</td><td>{about}</td></tr>").unwrap_or_default();
    }
    html + "</tbody></table></div>"
}
