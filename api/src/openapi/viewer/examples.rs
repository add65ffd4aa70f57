//! Examples of requests, as commands of `curl`, and of responses. They are made of the examples in the document.

use serde_json::{Map, Value, json};

use crate::auth::realm_names::RealmNames;

/// How deep an example of a body goes.
const MAX_DEPTH: u8 = 6;

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Logs in and uploads a picture with a session.
pub(super) fn session_example(names: &RealmNames, path_prefix: &str) -> String {
    let cookie = &names.csrf_cookie;
    let header = cookie.replace("Csrf-Token", "X-Csrf-Token");
    format!(
        "curl --cookie-jar cookies --json '{{\"email\":\"jane@example.com\",\"password\":\"…\"}}' \\\n  \
         https://cloakroom.example.com{path_prefix}/api/login\n\
         token=$(awk '$6 == \"{cookie}\" {{print $7}}' cookies)\n\
         curl --cookie cookies --header \"{header}: $token\" --form Profile=@jellyfish.png \\\n  \
         https://cloakroom.example.com{path_prefix}/api/dropbox/pictures"
    )
}

/// Uploads a picture with a token.
pub(super) fn bearer_example(path_prefix: &str) -> String {
    format!(
        "curl --header \"Authorization: Bearer $TOKEN\" --form Profile=@jellyfish.png \\\n  \
         https://cloakroom.example.com{path_prefix}/api/dropbox/pictures"
    )
}

/// Returns a command that calls the operation with examples of all that it requires.
pub(super) fn curl(document: &Value, path: &str, method: &str, operation: &Value) -> String {
    let mut address = path.to_owned();
    let mut query = String::new();
    let mut lines = Vec::new();
    if method != "get" {
        lines.push(format!("--request {}", method.to_uppercase()));
    }
    if let Some(credential) = credential(document, operation) {
        lines.push(credential);
    }
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        let (name, value) = (text(&parameter["name"]), parameter_value(document, parameter));
        match text(&parameter["in"]) {
            "path" => address = address.replace(&format!("{{{name}}}"), &value),
            "query" if parameter["required"] == true => {
                query.push(if query.is_empty() { '?' } else { '&' });
                query.push_str(&format!("{name}={value}"));
            }
            "header" if parameter["required"] == true => lines.push(format!("--header '{name}: {value}'")),
            _ => {}
        }
    }
    let body = operation["requestBody"]["content"].as_object().into_iter().flatten().next();
    if let Some((kind, body)) = body {
        lines.extend(body_arguments(document, kind, &body["schema"]));
    }
    let prefix = document["servers"][0]["url"].as_str().unwrap_or_default();
    lines.push(format!("'https://cloakroom.example.com{prefix}{address}{query}'"));
    format!("curl {}", lines.join(" \\\n  "))
}

/// The simplest credential of an operation for a program.
fn credential(document: &Value, operation: &Value) -> Option<String> {
    let ways = || operation["security"].as_array().into_iter().flatten();
    if ways().any(|way| way["bearer"].is_array()) {
        return Some("--header \"Authorization: Bearer $TOKEN\"".to_owned());
    }
    if ways().any(|way| way["service"].is_array()) {
        return Some("--header \"Authorization: Bearer $SERVICE_KEY\"".to_owned());
    }
    if ways().any(|way| way["accessToken"].is_array()) {
        return Some("--header \"appLinkID: $LINK\" --header \"accessToken: $TOKEN\"".to_owned());
    }
    let csrf = text(&document["components"]["securitySchemes"]["csrf"]["name"]);
    let session = ways().any(|way| way["session"].is_array());
    session.then(|| format!("--cookie cookies --header \"{csrf}: $token\""))
}

/// Returns the example of a parameter, or a value that its schema permits.
pub(super) fn parameter_value(document: &Value, parameter: &Value) -> String {
    let example = match &parameter["example"] {
        Value::Null => of_schema(document, &parameter["schema"], 0),
        example => example.clone(),
    };
    match example {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

fn body_arguments(document: &Value, kind: &str, schema: &Value) -> Vec<String> {
    let example = of_schema(document, schema, 0);
    match kind {
        "multipart/form-data" => {
            let form = resolve(document, schema);
            let required = form["required"].as_array();
            let is_required =
                |name: &str| required.is_some_and(|names| names.iter().any(|required| *required == *name));
            let members = form["properties"].as_object().into_iter().flatten();
            let members = members.filter(|(name, member)| binary(member) || is_required(name));
            let parts = members.map(|(name, member)| match binary(member) {
                true => format!("--form {name}=@jellyfish.png"),
                false => format!("--form '{name}={};type=application/json'", of_schema(document, member, 0)),
            });
            parts.collect()
        }
        "application/x-www-form-urlencoded" => {
            let fields = example.as_object().into_iter().flatten();
            fields.map(|(name, value)| format!("--data {name}={}", value.to_string().trim_matches('"'))).collect()
        }
        _ => vec![format!("--json '{example}'")],
    }
}

fn binary(schema: &Value) -> bool {
    schema["format"] == "binary" || schema["contentMediaType"].is_string()
}

/// Returns the example of the first successful response, if it has a body that is a text.
pub(super) fn response(document: &Value, operation: &Value) -> Option<String> {
    let responses = operation["responses"].as_object().into_iter().flatten();
    let (_, response) = responses.into_iter().find(|(status, _)| status.starts_with('2'))?;
    let json = &response["content"]["application/json"];
    if json.is_object() {
        let example = match &json["example"] {
            Value::Null => of_schema(document, &json["schema"], 0),
            example => example.clone(),
        };
        let is_empty = example.as_object().is_some_and(Map::is_empty);
        return if is_empty { None } else { serde_json::to_string_pretty(&example).ok() };
    }
    match &response["content"]["text/plain"]["example"] {
        Value::String(example) => Some(example.clone()),
        _ => None,
    }
}

fn resolve<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    let reference = schema["$ref"].as_str().map(|reference| reference.trim_start_matches('#'));
    reference.and_then(|pointer| document.pointer(pointer)).unwrap_or(schema)
}

/// Returns an example of a schema: its own, or one of the examples of its members.
fn of_schema(document: &Value, schema: &Value, depth: u8) -> Value {
    let schema = resolve(document, schema);
    if depth > MAX_DEPTH {
        return Value::Null;
    }
    if !schema["example"].is_null() {
        return schema["example"].clone();
    }
    for key in ["default", "const"] {
        if !schema[key].is_null() {
            return schema[key].clone();
        }
    }
    for key in ["enum", "examples"] {
        if let Some(first) = schema[key].get(0) {
            return first.clone();
        }
    }
    for key in ["oneOf", "anyOf"] {
        let parts = schema[key].as_array().into_iter().flatten();
        if let Some(part) = parts.into_iter().find(|part| part["type"] != "null") {
            return of_schema(document, part, depth + 1);
        }
    }
    if schema["properties"].is_object() || schema["allOf"].is_array() {
        let mut members = Map::new();
        for part in schema["allOf"].as_array().into_iter().flatten() {
            if let Value::Object(included) = of_schema(document, part, depth + 1) {
                members.extend(included);
            }
        }
        for (name, member) in schema["properties"].as_object().into_iter().flatten() {
            members.insert(name.clone(), of_schema(document, member, depth + 1));
        }
        return Value::Object(members);
    }
    of_type(document, schema, depth)
}

/// Returns a value of a type for which the document has no example.
fn of_type(document: &Value, schema: &Value, depth: u8) -> Value {
    let kind = match &schema["type"] {
        Value::Array(types) => types.iter().map(text).find(|kind| *kind != "null").unwrap_or_default(),
        kind => text(kind),
    };
    match (kind, text(&schema["format"])) {
        ("array", _) => json!([of_schema(document, &schema["items"], depth + 1)]),
        ("integer" | "number", _) => schema["minimum"].as_i64().map_or(json!(1), |least| json!(least)),
        ("boolean", _) => json!(true),
        ("string", "date-time") => json!("2026-11-21T12:00:00Z"),
        ("string", "uri-reference" | "uri") => json!("/api/dropbox/pictures/1001?size=75"),
        ("string", _) => json!("…"),
        _ => json!({}),
    }
}
