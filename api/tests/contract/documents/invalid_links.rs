//! Tests links that are refused at creation, and links that do not open: each error body is compared byte for byte, in
//! JSON and in XML.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::error_bodies::{ExpectedError, assert_refused, with_form};
use super::{api_request, file_part, start_server, upload_file};

const INVALID_LINK: ExpectedError<'_> =
    (400, "-26", "!csLinkInvalid", "The link is not valid, or has expired. Ask for a new one.");

#[tokio::test]
async fn errors_of_links_that_are_refused_at_creation() {
    let server = start_server().await;
    let jane = server.login("jane").await;
    let id = upload_file(&jane).await;
    let field_error = |key, message| (400, "-97", key, message);
    let role = field_error(
        "!csInvalidValue,role",
        "The value of 'role' is not valid: a link gives viewer, downloader or contributor.",
    );
    let (many, name) = (vec!["joe"; 101], "n".repeat(257));
    for (kind, body, expected) in [
        (
            "applink",
            json!({}),
            field_error("!csRequiredFieldMissing,assignedUser", "Required field 'assignedUser' is missing."),
        ),
        (
            "applink",
            json!({"assignedUser": "nobody"}),
            field_error(
                "!csInvalidValue,assignedUser",
                "The value of 'assignedUser' is not valid: there is no such user.",
            ),
        ),
        (
            "applink",
            json!({"assignedUser": ["joe"]}),
            field_error("!csInvalidValue,assignedUser", "The value of 'assignedUser' is not valid: it must be a text."),
        ),
        ("applink", json!({"assignedUser": "joe", "role": "manager"}), role),
        (
            "publiclink",
            json!({}),
            field_error("!csRequiredFieldMissing,assignedUsers", "Required field 'assignedUsers' is missing."),
        ),
        (
            "publiclink",
            json!({"assignedUsers": 7}),
            field_error(
                "!csInvalidValue,assignedUsers",
                "The value of 'assignedUsers' is not valid: it must be a text or a list of texts.",
            ),
        ),
        (
            "publiclink",
            json!({"assignedUsers": many}),
            field_error(
                "!csInvalidValue,assignedUsers",
                "The value of 'assignedUsers' is not valid: a link is for at most 100 users.",
            ),
        ),
        (
            "publiclink",
            json!({"assignedUsers": ["joe", "@everybody"]}),
            field_error(
                "!csInvalidValue,assignedUsers",
                "The value of 'assignedUsers' is not valid: @everybody stands for many users, so it is the only one in \
                 the list.",
            ),
        ),
        (
            "publiclink",
            json!({"assignedUsers": "@serviceinstance,@everybody"}),
            field_error(
                "!csInvalidValue,assignedUsers",
                "The value of 'assignedUsers' is not valid: @serviceinstance stands for many users, so it is the only one \
                 in the list.",
            ),
        ),
        (
            "publiclink",
            json!({"assignedUsers": "joe,nobody"}),
            field_error(
                "!csInvalidValue,assignedUsers",
                "The value of 'assignedUsers' is not valid: there is no such user.",
            ),
        ),
        ("publiclink", json!({"assignedUsers": "joe", "role": "owner"}), role),
        (
            "publiclink",
            json!({"assignedUsers": "joe", "password": "1234567"}),
            field_error("!csInvalidValue,password", "The value of 'password' is not valid: it has 8 to 50 characters."),
        ),
        (
            "publiclink",
            json!({"assignedUsers": "joe", "linkName": name}),
            field_error(
                "!csInvalidValue,linkName",
                "The value of 'linkName' is not valid: it has at most 256 characters.",
            ),
        ),
        (
            "publiclink",
            json!({"assignedUsers": "joe", "expirationTime": "tomorrow"}),
            field_error(
                "!csInvalidValue,expirationTime",
                "The value of 'expirationTime' is not valid: it is written YYYY-MM-DDThh:mm:ssZ.",
            ),
        ),
        (
            "publiclink",
            json!({"assignedUsers": "joe", "expirationTime": "2026-11-21T12:00:00Z"}),
            field_error("!csInvalidValue,expirationTime", "The value of 'expirationTime' is not valid: it has passed."),
        ),
    ] {
        let send = || api_request(&jane, Method::POST, &format!("/{kind}s/file/{id}")).json(&body);
        assert_refused(send, (kind, &id), expected).await;
    }
    let path = format!("/applinks/file/{id}");
    let as_text = || api_request(&jane, Method::POST, &path).header("content-type", "text/plain").body("{}");
    let message = "The applink must be sent as application/json, not as \"text/plain\".";
    assert_refused(as_text, ("applink", &id), (400, "-1", "!csUnsupportedType", message)).await;
    let long = || api_request(&jane, Method::POST, &path).json(&" ".repeat(64 << 10));
    let message = "The applink is over the limit of 65536 bytes: at least 65538 bytes were sent; send less.";
    assert_refused(long, ("applink", &id), (413, "-1", "!csTooLarge", message)).await;
}

#[tokio::test]
async fn errors_of_links_that_do_not_open() {
    let server = start_server().await;
    let jane = server.login("jane").await;
    let id = upload_file(&jane).await;
    let about = ("file", id.as_str());
    let make = async |kind: &str, body: Value| {
        let request = api_request(&jane, Method::POST, &format!("/{kind}s/file/{id}")).json(&body);
        request.send().await.unwrap().json::<Value>().await.unwrap()
    };
    let nobody = || server.anonymous(Method::GET, &format!("/documents/api/1.1/files/{id}"));
    let linked = |link: &Value| nobody().header("linkID", link["linkID"].as_str().unwrap());

    let app = make("applink", json!({"assignedUser": "joe"})).await;
    let (app_id, access) = (app["appLinkID"].as_str().unwrap(), app["accessToken"].as_str().unwrap());
    let lacks =
        |field: &str| (format!("!csRequiredFieldMissing,{field}"), format!("Required field '{field}' is missing."));
    let (key, message) = lacks("accessToken");
    for alone in [("appLinkID", app_id), ("accessToken", access)] {
        assert_refused(|| nobody().header(alone.0, alone.1), about, (400, "-97", &key, &message)).await;
    }
    assert_refused(|| nobody().header("appLinkID", app_id).header("accessToken", "x"), about, INVALID_LINK).await;
    assert_refused(|| nobody().header("linkID", "Lnone"), about, INVALID_LINK).await;
    let fresh = || {
        let path = "/documents/api/1.1/files/data";
        let request = server.anonymous(Method::POST, path).header("AppLinkID", app_id).header("AccessToken", access);
        with_form(request, &[file_part(b"x")])
    };
    let message = "A link is for one file; log in to create another file.";
    assert_refused(fresh, ("file", ""), (401, "-1", "!csNotLoggedIn", message)).await;

    let all = [("AppLinkID", app_id), ("AccessToken", access), ("RefreshToken", access)];
    let refresh = |headers: &[(&str, &str)]| -> RequestBuilder {
        let request = server.anonymous(Method::PUT, "/documents/api/1.1/applinks/token");
        headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))
    };
    for (present, field) in ["appLinkID", "accessToken", "refreshToken"].into_iter().enumerate() {
        let (key, message) = lacks(field);
        assert_refused(|| refresh(&all[..present]), ("applink", ""), (400, "-97", &key, &message)).await;
    }
    assert_refused(|| refresh(&all), ("applink", ""), INVALID_LINK).await;

    let members = make("publiclink", json!({"assignedUsers": "@serviceinstance"})).await;
    let message = "This link is for users who are logged in; log in first.";
    assert_refused(|| linked(&members), about, (401, "-1", "!csNotLoggedIn", message)).await;
    let guarded = make("publiclink", json!({"assignedUsers": "@everybody", "password": "12345678"})).await;
    let message = "The access code must be provided to access the link.";
    let no_code = (403, "-18", "!csAccessCodeRequiredForLinkAccess", message);
    assert_refused(|| linked(&guarded), about, no_code).await;
    let guess = || {
        let code = format!("dAccessCode-{}=12345679", guarded["linkID"].as_str().unwrap());
        linked(&guarded).header("cookie", code)
    };
    for _ in 0..5 {
        assert_refused(guess, about, no_code).await;
    }
    let message = "Too many access codes were tried; try again in 301 seconds.";
    let headers = assert_refused(guess, about, (429, "-1", "!csTooManyAccessCodes", message)).await;
    assert_eq!(headers["retry-after"], "301");
    assert_eq!(server.staged_files(), 0);
}
