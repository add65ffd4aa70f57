//! The OpenAPI document, its viewer, and the routes of its operations. In all contract tests the api compares each
//! response with the document. So every test fails if an operation gives an undocumented status or media type.

use reqwest::Method;
use serde_json::{Value, json};

use crate::documents::{SERVICE_KEY, start_server};
use crate::test_server::{TestServer, header};

const METHODS: [Method; 5] = [Method::GET, Method::PUT, Method::POST, Method::DELETE, Method::PATCH];

async fn document(server: &TestServer) -> Value {
    server.anonymous(Method::GET, "/openapi.json").send().await.unwrap().json().await.unwrap()
}

/// All operations of a document: method, path and description.
fn operations(document: &Value) -> impl Iterator<Item = (&str, &str, &Value)> {
    let paths = document["paths"].as_object().unwrap().iter();
    paths.flat_map(|(path, methods)| {
        let methods = methods.as_object().unwrap().iter();
        methods.map(move |(method, operation)| (method.as_str(), path.as_str(), operation))
    })
}

/// Returns the path with a value in place of each parameter.
fn with_values(path: &str) -> String {
    let version = if path.starts_with("/documents") { "1.1" } else { "1.png" };
    let path = path.replace("{service}", "users").replace("{id}", "1001").replace("{user}", "jane");
    path.replace("{version}", version)
}

#[tokio::test]
async fn the_openapi_document_equals_its_snapshot_and_every_route_answers_as_documented() {
    let server = TestServer::new().await;
    let served: Value = server.anonymous(Method::GET, "/openapi.json").send().await.unwrap().json().await.unwrap();
    let snapshot = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/contract/openapi.json");
    let text = serde_json::to_string_pretty(&served).unwrap() + "\n";
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(snapshot, &text).unwrap();
    }
    let was = std::fs::read_to_string(snapshot).unwrap_or_default();
    assert!(
        was == text,
        "the OpenAPI document changed: check the difference, then run this test once with UPDATE_SNAPSHOTS=1"
    );

    let jane = server.login("jane").await;
    for (path, methods) in served["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let method: Method = method.to_uppercase().parse().unwrap();
            let address = path.replace("{service}", "users").replace("{id}", "1001").replace("{user}", "jane");
            let response =
                jane.request_without_csrf(method.clone(), &address.replace("{version}", "1.png")).send().await.unwrap();
            let (status, text) = (response.status(), response.text().await.unwrap());
            assert!(status != 405 && !text.contains("nothing at this path"), "{method} {path}: {status} {text}");
            let documented = operation["responses"].as_object().unwrap();
            assert!(
                documented.contains_key(status.as_str()),
                "{method} {path} answered {status}, which is not documented"
            );
            assert!(documented.values().all(|response| response["description"].is_string()));
            assert!(operation["summary"].is_string(), "{method} {path} does not say what it does");
        }
    }
    let viewer = server.anonymous(Method::GET, "/docs").send().await.unwrap();
    assert_eq!(viewer.status(), 200);
    let viewer = viewer.text().await.unwrap();
    assert!(viewer.contains("<code>/api/dropbox/pictures/{id}</code>"));
    for (path, methods) in served["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let id = format!("<details id=\"{}\"", operation["operationId"].as_str().unwrap());
            let block = viewer.split(&id).nth(1).and_then(|rest| rest.split("</details>").next());
            let block = block.unwrap_or_else(|| panic!("{method} {path} is not in the page"));
            let command = block.split("<code>curl").nth(1).and_then(|rest| rest.split("</code>").next());
            let command = command.unwrap_or_else(|| panic!("{method} {path} has no example"));
            let address = command.lines().last().unwrap();
            assert!(address.contains("https://") && !address.contains('{'), "{method} {path}: {command}");
            assert!(!command.contains('…'), "{method} {path} has a parameter without an example: {command}");
            let needs_credential = operation["security"] != json!([{}]);
            assert_eq!(block.contains("Needs no credential."), !needs_credential, "{method} {path}");
            let shown = ["Authorization", "--cookie", "accessToken"].iter().any(|it| command.contains(it));
            assert_eq!(shown, needs_credential, "{method} {path}: {command}");
        }
    }
}

#[tokio::test]
async fn an_unsupported_method_gets_405_with_the_supported_methods() {
    let server = start_server().await;
    let document = document(&server).await;
    for (path, methods) in document["paths"].as_object().unwrap() {
        let names = [("get", "GET, HEAD"), ("put", "PUT"), ("post", "POST"), ("delete", "DELETE")];
        let allow: Vec<&str> = names.iter().filter_map(|(method, allow)| methods.get(method).map(|_| *allow)).collect();
        for method in METHODS {
            if methods.get(method.as_str().to_lowercase()).is_some() {
                continue;
            }
            let response = server.anonymous(method.clone(), &with_values(path)).send().await.unwrap();
            assert_eq!(response.status(), 405, "{method} {path}");
            assert_eq!(header(&response, "allow"), allow.join(", "), "{method} {path}");
            let text = response.text().await.unwrap();
            assert!(
                text.contains(&format!("This path supports {} only.", allow.join(", "))),
                "{method} {path}: {text}"
            );
        }
    }
}

/// Returns the schema that a reference points to, or the schema itself.
fn resolve<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    match schema["$ref"].as_str() {
        Some(reference) => document.pointer(reference.trim_start_matches('#')).unwrap(),
        None => schema,
    }
}

/// Whether an object, or anything in it, has this key.
fn has_key(value: &Value, key: &str) -> bool {
    match value {
        Value::Object(members) => members.iter().any(|(name, member)| name == key || has_key(member, key)),
        Value::Array(items) => items.iter().any(|item| has_key(item, key)),
        _ => false,
    }
}

#[tokio::test]
async fn every_operation_has_a_summary_and_an_example() {
    let document = document(&start_server().await).await;
    for (method, path, operation) in operations(&document) {
        assert!(operation["summary"].as_str().is_some_and(|text| text.ends_with('.')), "{method} {path}");
        let bodies = operation["responses"].as_object().unwrap().values().chain([&operation["requestBody"]]);
        let schemas = bodies.flat_map(|body| body["content"].as_object().into_iter().flatten());
        let example = schemas.into_iter().any(|(_, content)| {
            has_key(content, "example")
                || has_key(content, "examples")
                || has_key(resolve(&document, &content["schema"]), "example")
        });
        assert!(example || path == "/openapi.json", "{method} {path} has no example");
        for (status, response) in operation["responses"].as_object().unwrap() {
            assert!(response["description"].is_string(), "{method} {path} {status}");
            let may_retry = ["429", "503"].contains(&status.as_str()) && path != "/readyz";
            assert!(!may_retry || response["headers"]["Retry-After"].is_object(), "{method} {path} {status}");
        }
    }
}

#[tokio::test]
async fn operations_document_their_responses_and_credentials() {
    let document = document(&start_server().await).await;
    let operation =
        |id: &str| operations(&document).find(|(_, _, operation)| operation["operationId"] == id).unwrap().2;
    let types = |id: &str, status: &str| {
        let content = operation(id)["responses"][status]["content"].as_object().unwrap();
        content.keys().cloned().collect::<Vec<_>>()
    };
    let schema = |name: &str| &document["components"]["schemas"][name];

    assert_eq!(types("cropPicture", "200"), ["application/json"]);
    assert_eq!(types("addPicture", "200"), ["text/html", "text/plain"]);
    assert_eq!(types("addPicture", "413"), ["application/problem+json", "text/html", "text/plain"]);
    assert_eq!(types("getPicture", "200"), ["image/jpeg", "image/png"]);
    assert_eq!(types("getAvatar", "200"), ["image/png"]);
    assert_eq!(types("getThumbnail", "200"), ["image/jpeg", "image/png"]);
    assert_eq!(types("getFile", "200"), ["application/json", "application/xml"]);
    assert_eq!(types("getFile", "404"), ["application/json", "application/xml"]);
    for media_type in ["application/octet-stream", "image/webp", "application/pdf", "multipart/byteranges"] {
        assert!(types("getFileData", "206").iter().any(|known| known == media_type), "{media_type}");
    }

    let items = resolve(&document, &schema("ListBody_FileInformation")["properties"]["items"]["items"]);
    assert!(items["properties"]["id"].is_object() && items["properties"]["errorCode"].is_null());

    let claim = schema("ClaimForm");
    assert_eq!(claim["additionalProperties"], false);
    let picture = resolve(&document, &claim["properties"]["PictureID"]);
    assert!(picture.to_string().contains("\"string\"") && picture.to_string().contains("\"integer\""));
    assert!(!claim.to_string().contains("\"null\""));

    for form in ["RenditionForm", "FileForm"] {
        for name in ["jsonInputParameters", "parameters"] {
            assert!(schema(form)["properties"][name].is_object(), "{form} {name}");
        }
    }

    for (id, statuses) in [
        ("addPicture", ["403", "408", "409", "415", "422", "500", "503"].as_slice()),
        ("uploadRendition", &["408", "409", "422", "500", "503"]),
        ("claim", &["403", "408", "409", "410", "500", "503"]),
        ("claimForUser", &["403", "409", "410", "415", "422"]),
        ("getFileData", &["206", "304", "412", "416", "500"]),
    ] {
        for status in statuses {
            assert!(operation(id)["responses"][status].is_object(), "{id} {status}");
        }
    }

    let csrf = |id: &str| {
        let credentials = operation(id)["security"].as_array().unwrap();
        credentials.iter().any(|all| all.as_object().unwrap().contains_key("csrf"))
    };
    assert!(csrf("uploadFile") && csrf("deleteRendition") && csrf("addPicture"));
    assert!(!csrf("getFile") && !csrf("listPublicLinks") && !csrf("getPicture") && !csrf("getUpload"));

    for (id, status, name) in [
        ("addPicture", "202", "Location"),
        ("addPicture", "200", "Preference-Applied"),
        ("getFileData", "206", "Content-Range"),
        ("getFileData", "200", "ETag"),
        ("getFile", "200", "Vary"),
        ("uploadFile", "202", "Location"),
        ("login", "200", "Set-Cookie"),
        ("getAvatar", "302", "Location"),
    ] {
        assert!(operation(id)["responses"][status]["headers"][name].is_object(), "{id} {status} {name}");
    }
}

#[tokio::test]
async fn a_path_that_is_not_utf_8_gets_404() {
    let server = start_server().await;
    let jane = server.login("jane").await;
    for path in ["/uploads/%FF", "/api/users/%FF/avatar", "/api/dropbox/pictures/%FF"] {
        assert_eq!(jane.get(path).await.status(), 404, "{path}");
    }
    let unknown = server.anonymous(Method::GET, "/service/files/%FF").bearer_auth(SERVICE_KEY).send().await.unwrap();
    assert_eq!((unknown.status().as_u16(), header(&unknown, "content-type")), (404, "application/problem+json"));
}
