//! Addresses in responses, if a proxy serves Cloakroom below a path.

use reqwest::Method;
use reqwest::header::ACCEPT;
use serde_json::{Value, json};

use crate::documents::{api_request, upload_file};
use crate::test_server::{FED, PNG, TestServer, form, header};

const PREFIX: &str = "/portal/cloakroom";

/// The addresses in the attributes of a page.
fn addresses(page: &str) -> Vec<&str> {
    ["href=\"", "src=\"", "action=\""]
        .iter()
        .flat_map(|attribute| page.split(attribute).skip(1).filter_map(|rest| rest.split('"').next()))
        .filter(|address| address.starts_with('/'))
        .collect()
}

#[tokio::test]
async fn every_address_begins_with_the_prefix() {
    let server = TestServer::with_settings(|settings| PREFIX.clone_into(&mut settings.http.path_prefix)).await;
    let jane = server.login("jane").await;

    let upload = async |path: &str| {
        let request = jane.request(Method::POST, path).header("prefer", "respond-async").header("idempotency-key", "k");
        request.multipart(form("a.png", PNG)).send().await.unwrap()
    };
    let response = upload("/api/dropbox/pictures").await;
    let location = header(&response, "location").to_owned();
    let id = response.text().await.unwrap();
    assert_eq!(location, format!("{PREFIX}/uploads/{id}"));
    assert_eq!(header(&upload("/api/dropbox/pictures").await, "location"), location, "a repeated response");

    let picture = format!("/api/dropbox/pictures/{id}?size=75");
    assert_eq!(jane.get(&picture).await.status(), 200);
    let hrefs = async || {
        let status: Value = jane.get(&format!("/uploads/{id}")).await.json().await.unwrap();
        let variants = status["variants"].as_array().unwrap().clone();
        variants.iter().map(|variant| variant["href"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let unclaimed = hrefs().await;
    assert!(unclaimed.contains(&format!("{PREFIX}{picture}")), "{unclaimed:?}");

    for path in ["/".to_owned(), format!("/?picture={id}"), "/docs".to_owned()] {
        let page = jane.request_without_csrf(Method::GET, &path).header(ACCEPT, "text/html").send().await.unwrap();
        let page = page.text().await.unwrap();
        let addresses = addresses(&page);
        assert!(addresses.len() > 3, "{path}: {page}");
        for address in addresses {
            assert!(address.starts_with(&format!("{PREFIX}/")), "{path}: {address}");
        }
        assert!(page.contains(&format!("data-prefix=\"{PREFIX}\"")), "{path}");
    }
    let login = server.anonymous(Method::GET, "/").send().await.unwrap().text().await.unwrap();
    assert!(login.contains(&format!("action=\"{PREFIX}/page/login\"")), "{login}");
    let crop = jane.request(Method::POST, "/page/crop");
    let fields = [
        (format!("X-Csrf-Token_{FED}"), jane.csrf.as_str()),
        ("picture".to_owned(), &id),
        ("part".to_owned(), "cover"),
    ];
    let fields = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let crop = crop.header("content-type", "application/x-www-form-urlencoded").body(fields);
    let crop = crop.send().await.unwrap();
    assert_eq!(header(&crop, "location"), format!("{PREFIX}/?picture={id}&done=cropped"));

    assert_eq!(jane.claim("users/jane", &id).await.status(), 200);
    let claimed = hrefs().await;
    assert!(
        claimed.iter().all(|href| href.starts_with(&format!("{PREFIX}/api/users/jane.{FED}/avatar"))),
        "{claimed:?}"
    );

    let file = upload_file(&jane).await;
    let request = api_request(&jane, Method::POST, &format!("/applinks/file/{file}"));
    let link: Value = request.json(&json!({"assignedUser": "@everybody"})).send().await.unwrap().json().await.unwrap();
    assert!(link["appLinkUrl"].as_str().unwrap().starts_with(&format!("{PREFIX}/documents/embed/")), "{link}");

    let page = link["appLinkUrl"].as_str().unwrap().trim_start_matches(PREFIX);
    let page = server.anonymous(Method::GET, page).send().await.unwrap().text().await.unwrap();
    let (files, data) = (addresses(&page), format!("data-prefix=\"{PREFIX}\""));
    assert!(files.len() == 3 && files.iter().all(|file| file.starts_with(&format!("{PREFIX}/page/"))), "{page}");
    assert!(page.contains(&data), "{page}");
    let scripts = concat!(env!("CARGO_MANIFEST_DIR"), "/src/ui/scripts");
    for script in std::fs::read_dir(scripts).unwrap() {
        let path = format!("/page/{}", script.unwrap().file_name().to_str().unwrap());
        let response = server.anonymous(Method::GET, &path).send().await.unwrap();
        assert_eq!(
            (response.status().as_u16(), header(&response, "content-type")),
            (200, "text/javascript; charset=utf-8")
        );
        let script = response.text().await.unwrap();
        // `send` adds the prefix, and so does what is built on it.
        let prefixed = ["send(", "sendJson(", "loadPicture(", "address: `/uploads", "import "];
        let bare =
            |line: &&str| !line.trim_start().starts_with("//") && !prefixed.iter().any(|known| line.contains(known));
        let bare =
            script.lines().filter(bare).find(|line| ["\"/", "'/", "`/"].iter().any(|start| line.contains(start)));
        assert_eq!(bare, None, "an address in {path} that does not begin with the prefix");
    }

    let document: Value = jane.get("/openapi.json").await.json().await.unwrap();
    assert_eq!(document["servers"], json!([{"url": PREFIX}]));
}

/// A proxy may pass requests on with the prefix or without it. Both get the same response.
#[tokio::test]
async fn a_request_may_have_the_prefix_or_not() {
    let server = TestServer::with_settings(|settings| PREFIX.clone_into(&mut settings.http.path_prefix)).await;
    let jane = server.login("jane").await;
    let id = jane.upload_picture().await;
    let picture = format!("/api/dropbox/pictures/{id}");
    let status_and_allow = async |method: Method, path: String| {
        let response = jane.request(method, &path).send().await.unwrap();
        let allow = response.headers().get("allow").map(|allow| allow.to_str().unwrap().to_owned());
        (response.status().as_u16(), allow)
    };
    for (method, path, expected) in [
        (Method::GET, picture.as_str(), 200),
        (Method::DELETE, &picture, 405),
        (Method::OPTIONS, &picture, 204),
        (Method::GET, "/openapi.json", 200),
        (Method::GET, "/docs", 200),
        (Method::OPTIONS, "/docs", 204),
        (Method::GET, "/livez", 200),
        (Method::GET, "/documents/api/1.1/files/none", 404),
        (Method::GET, "/nothing", 404),
        (Method::GET, "//livez", 404),
    ] {
        let (plain, prefixed) = (
            status_and_allow(method.clone(), path.to_owned()).await,
            status_and_allow(method.clone(), format!("{PREFIX}{path}")).await,
        );
        assert_eq!((plain.0, &plain), (expected, &prefixed), "{method} {path}");
    }
    for path in [PREFIX.to_owned(), format!("{PREFIX}/")] {
        assert_eq!(status_and_allow(Method::GET, path).await.0, 200, "the page");
    }
    for path in [format!("{PREFIX}{PREFIX}/livez"), format!("{PREFIX}x/livez"), "/portal/livez".to_owned()] {
        assert_eq!(status_and_allow(Method::GET, path).await.0, 404);
    }
    // A path that requires credentials requires them with the prefix, too, and errors have the form of their contract.
    for path in [picture, "/uploads".to_owned(), "/documents/api/1.1/files/none".to_owned()] {
        let text = async |path: &str| {
            let response = server.anonymous(Method::GET, path).send().await.unwrap();
            (response.status().as_u16(), response.text().await.unwrap())
        };
        let (plain, prefixed) = (text(&path).await, text(&format!("{PREFIX}{path}")).await);
        assert_eq!((plain.0, &plain), (401, &prefixed));
    }
}
