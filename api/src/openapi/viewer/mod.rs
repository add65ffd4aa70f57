//! Renders the OpenAPI document as a page without content of other sites. Its script only adds a search and forms to try
//! operations.

mod examples;
mod operation;
mod schema;

use std::fmt::Write;

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::Value;

use crate::auth::realm_names::RealmNames;
use crate::http::html::{escape_html, html_response, render_template};

pub(super) fn render(document: &Value, names: &RealmNames, path_prefix: &str) -> Response {
    let tags = document["tags"].as_array().into_iter().flatten().map(|tag| section(document, tag)).collect::<String>();
    let schemas = document["components"]["schemas"].as_object().into_iter().flatten();
    let schemas = schemas.map(|(name, schema)| schema::table(name, schema)).collect::<String>();
    let values = [
        ("prefix", path_prefix.to_owned()),
        ("title", escape_html(text(&document["info"]["title"]))),
        ("version", escape_html(text(&document["info"]["version"]))),
        ("about", escape_html(text(&document["info"]["description"]))),
        ("session_cookie", escape_html(&names.session_cookie)),
        ("csrf_cookie", escape_html(&names.csrf_cookie)),
        ("csrf_header", escape_html(&names.csrf_cookie.replace("Csrf-Token", "X-Csrf-Token"))),
        ("example_session", escape_html(&examples::session_example(names, path_prefix))),
        ("example_bearer", escape_html(&examples::bearer_example(path_prefix))),
        ("schemes", schemes(document)),
        ("operations", tags),
        ("schemas", schemas),
    ];
    let values: Vec<(&str, &str)> = values.iter().map(|(name, value)| (*name, value.as_str())).collect();
    html_response(StatusCode::OK, render_template(include_str!("page.html"), &values))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Renders the security schemes as rows.
fn schemes(document: &Value) -> String {
    let mut html = String::new();
    for (name, scheme) in document["components"]["securitySchemes"].as_object().into_iter().flatten() {
        let place = match (text(&scheme["type"]), text(&scheme["in"])) {
            ("http", _) => "<code>Authorization: Bearer</code>".to_owned(),
            (_, place) => format!("{} <code>{}</code>", escape_html(place), escape_html(text(&scheme["name"]))),
        };
        let (name, about) = (escape_html(name), escape_html(text(&scheme["description"])));
        write!(html, "<tr id=\"scheme-{name}\"><td>{name}</td><td>{place}</td><td>{about}</td></tr>")
            .unwrap_or_default();
    }
    html
}

/// Renders all operations of one tag.
fn section(document: &Value, tag: &Value) -> String {
    let name = text(&tag["name"]);
    let mut html = format!(
        "<section class=\"card operations\" aria-labelledby=\"{0}\"><h2 id=\"{0}\">{1}</h2><p>{2}</p>",
        escape_html(name),
        escape_html(&title(name)),
        escape_html(text(&tag["description"]))
    );
    for (path, methods) in document["paths"].as_object().into_iter().flatten() {
        for (method, operation) in methods.as_object().into_iter().flatten() {
            let tagged = operation["tags"].as_array().is_some_and(|tags| tags.iter().any(|tag| tag == name));
            if tagged {
                html.push_str(&operation::block(document, path, method, operation));
            }
        }
    }
    html + "</section>"
}

/// Returns a name with a capital letter.
fn title(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}
