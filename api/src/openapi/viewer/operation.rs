//! One operation: its credentials, parameters, bodies, an example, and its responses.

use std::fmt::Write;

use serde_json::Value;

use super::{examples, schema};
use crate::http::html::escape_html;

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Renders an operation. Its id in the page is its `operationId`.
pub(super) fn block(document: &Value, path: &str, method: &str, operation: &Value) -> String {
    let id = escape_html(text(&operation["operationId"]));
    let summary = escape_html(text(&operation["summary"]));
    let name = format!("{} {}", escape_html(&method.to_uppercase()), escape_html(path));
    let mut html = format!(
        "<details id=\"{id}\" data-path=\"{}\" data-method=\"{}\"><summary><span class=\"method\">{}</span> <code>{}</code> \
         <span class=\"about\">{summary}</span></summary>",
        escape_html(path),
        escape_html(method),
        escape_html(&method.to_uppercase()),
        escape_html(path)
    );
    write!(html, "<p>{}</p>", credentials(operation)).unwrap_or_default();
    html.push_str(&parameters(&name, operation));
    for (kind, body) in operation["requestBody"]["content"].as_object().into_iter().flatten() {
        write!(html, "<p>Body: <code>{}</code>, {}</p>", escape_html(kind), schema::link(&body["schema"]))
            .unwrap_or_default();
    }
    write!(
        html,
        "<h3>Example</h3><pre tabindex=\"0\" role=\"group\" aria-label=\"Example request: {name}\"><code>{}</code></pre>",
        escape_html(&examples::curl(document, path, method, operation))
    )
    .unwrap_or_default();
    if let Some(example) = examples::response(document, operation) {
        write!(
            html,
            "<p>Response:</p><pre tabindex=\"0\" role=\"group\" aria-label=\"Example response: {name}\"><code>{}</code></pre>",
            escape_html(&example)
        )
        .unwrap_or_default();
    }
    html.push_str("<div class=\"try\"></div>");
    html.push_str(&responses(&name, operation));
    html + "</details>"
}

/// Says which credentials the operation accepts.
fn credentials(operation: &Value) -> String {
    let ways: Vec<String> = operation["security"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|way| {
            let names = way.as_object().into_iter().flatten();
            let names: Vec<String> =
                names.map(|(name, _)| format!("<a href=\"#scheme-{0}\">{0}</a>", escape_html(name))).collect();
            names.join(" with ")
        })
        .filter(|way| !way.is_empty())
        .collect();
    if ways.is_empty() { "Needs no credential.".to_owned() } else { format!("Credential: {}.", ways.join(", or ")) }
}

fn table(label: &str, heads: [&str; 3]) -> String {
    let heads = heads.map(|head| format!("<th>{head}</th>")).concat();
    format!(
        "<div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"{label}\"><table><thead><tr>{heads}</tr></thead><tbody>"
    )
}

fn parameters(name: &str, operation: &Value) -> String {
    let Some(parameters) = operation["parameters"].as_array().filter(|all| !all.is_empty()) else {
        return String::new();
    };
    let mut html = table(&format!("Parameters: {name}"), ["Parameter", "Type", "What it is"]);
    for parameter in parameters {
        let [name, place, about] = ["name", "in", "description"].map(|key| escape_html(text(&parameter[key])));
        let kind = schema::link(&parameter["schema"]);
        let needed = if parameter["required"] == true && place != "path" { ", required" } else { "" };
        write!(html, "<tr><td><code>{name}</code><br>{place}{needed}</td><td>{kind}</td><td>{about}</td></tr>")
            .unwrap_or_default();
    }
    html + "</tbody></table></div>"
}

fn responses(name: &str, operation: &Value) -> String {
    let mut html = format!("<h3>Responses</h3>{}", table(&format!("Responses: {name}"), ["Status", "When", "Body"]));
    for (status, response) in operation["responses"].as_object().into_iter().flatten() {
        let about = escape_html(text(&response["description"]));
        let bodies = response["content"].as_object().into_iter().flatten();
        let bodies: Vec<String> = bodies
            .map(|(kind, body)| format!("<code>{}</code> {}", escape_html(kind), schema::link(&body["schema"])))
            .collect();
        let status = escape_html(status);
        write!(html, "<tr><td>{status}</td><td>{about}</td><td>{}</td></tr>", bodies.join("<br>")).unwrap_or_default();
    }
    html + "</tbody></table></div>"
}
