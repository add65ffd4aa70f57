//! Tests the request header `Accept`, for pictures, documents and errors.

use reqwest::Method;

use crate::documents::{api_request, form as raw_form, part, start_server};
use crate::test_server::{JPEG, PNG, TestServer, form, header};

#[tokio::test]
async fn pictures_and_documents_read_accept_alike() {
    let server = start_server().await;
    let jane = server.login("jane").await;
    let picture = format!("/api/dropbox/pictures/{}?size=75", jane.upload("a.jpg", JPEG).await.text().await.unwrap());
    for (accept, media_type) in [
        ("image/png", "image/png"),
        ("image/jpeg;q=0, image/*", "image/png"),
        ("image/png;Q=0.5, image/*", "image/jpeg"),
        ("image/*;q=0.9, image/png", "image/png"),
        ("*/*", "image/jpeg"),
    ] {
        let request = jane.request(Method::GET, &picture).header("accept", accept);
        assert_eq!(header(&request.send().await.unwrap(), "content-type"), media_type, "{accept}");
    }
    for (accept, media_type) in [
        ("application/xml", "application/xml"),
        ("application/json;q=0, application/*", "application/xml"),
        ("application/xml;Q=0.5, application/*", "application/json"),
        ("application/*;q=0.9, application/xml", "application/xml"),
        ("*/*", "application/json"),
    ] {
        let request = api_request(&jane, Method::GET, "/files/unknown").header("accept", accept);
        assert_eq!(header(&request.send().await.unwrap(), "content-type"), media_type, "{accept}");
    }
}

#[tokio::test]
async fn a_repeated_response_has_the_format_that_the_repeated_request_accepts() {
    let server = start_server().await;
    let jane = server.login("jane").await;
    let body = || raw_form(&[part("name=\"primaryFile\"; filename=\"a.png\"", PNG)]);
    let send = async |key: &str, accept: &str| {
        let request = api_request(&jane, Method::POST, "/files/data").header("idempotency-key", key);
        let request = request.header("content-type", "multipart/form-data; boundary=B").header("accept", accept);
        let response = request.body(body()).send().await.unwrap();
        assert_eq!(response.status(), 201);
        (header(&response, "content-type").to_owned(), response.text().await.unwrap())
    };
    for (key, first, second) in
        [("a", "application/json", "application/xml"), ("b", "application/xml", "application/json")]
    {
        let (original, other) = (send(key, first).await, send(key, second).await);
        assert_eq!((original.0.as_str(), other.0.as_str()), (first, second));
        assert_eq!(send(key, first).await, original);
        let (json, xml) = if first == "application/json" { (original.1, other.1) } else { (other.1, original.1) };
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        let id = json["id"].as_str().unwrap();
        assert!(xml.contains(&format!("<id>{id}</id>")), "{xml}");
    }
    // A repeated response to the creation of a link has the accepted format, too.
    let (id, path) = (send("a", "application/json").await.1, "/applinks/file/");
    let id = serde_json::from_str::<serde_json::Value>(&id).unwrap()["id"].as_str().unwrap().to_owned();
    for accept in ["application/json", "application/xml"] {
        let request = api_request(&jane, Method::POST, &format!("{path}{id}")).header("idempotency-key", "link");
        let request = request.header("accept", accept).json(&serde_json::json!({"assignedUser": "@everybody"}));
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(header(&response, "content-type"), accept);
    }
}

#[tokio::test]
async fn errors_of_pictures_are_problem_documents_if_asked_for() {
    let server = TestServer::new().await;
    let jane = server.login("jane").await;
    let path = "/api/dropbox/pictures";
    for (accept, media_type) in [
        (None, "text/plain; charset=utf-8"),
        (Some("*/*"), "text/plain; charset=utf-8"),
        (Some("application/json, text/javascript, */*; q=0.01"), "text/plain; charset=utf-8"),
        (Some("application/problem+json;q=0.5, text/plain"), "text/plain; charset=utf-8"),
        (Some("application/problem+json;q=0"), "text/plain; charset=utf-8"),
        (Some("application/problem+json"), "application/problem+json"),
        (Some("application/json, application/problem+json, */*"), "application/problem+json"),
        (Some("text/plain;q=0.5, application/problem+json"), "application/problem+json"),
    ] {
        let mut upload = jane.request(Method::POST, path).multipart(form("a.png", b"just some text"));
        let mut picture = jane.request(Method::GET, "/api/dropbox/pictures/1");
        if let Some(accept) = accept {
            upload = upload.header("accept", accept);
            picture = picture.header("accept", accept);
        }
        for (request, code) in [(upload, "unsupported_type"), (picture, "not_found")] {
            let response = request.send().await.unwrap();
            assert_eq!(header(&response, "content-type"), media_type, "{accept:?}");
            let vary = response.headers().get_all("vary").iter().any(|vary| vary == "Accept");
            assert!(vary, "{accept:?}");
            let text = response.text().await.unwrap();
            let problem: Result<serde_json::Value, _> = serde_json::from_str(&text);
            assert_eq!(problem.is_ok_and(|problem| problem["code"] == code), !media_type.starts_with("text"), "{text}");
        }
    }
    // The HTML page of `wrapInHTML` contains the message as text, whatever the client accepts.
    let wrapped = jane.request(Method::POST, "/api/dropbox/pictures?wrapInHTML=true");
    let wrapped = wrapped.header("accept", "application/problem+json").multipart(form("a.png", b"just some text"));
    let text = wrapped.send().await.unwrap().text().await.unwrap();
    assert!(text.contains(">This is not a supported picture"), "{text}");
    // The response to a successful upload is the PictureID, whatever the client accepts.
    let request = jane.request(Method::POST, path).header("accept", "application/problem+json");
    let response = request.multipart(form("a.png", PNG)).send().await.unwrap();
    assert_eq!(header(&response, "content-type"), "text/plain");
}
