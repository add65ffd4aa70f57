//! The API documentation in a browser: the search, the links to operations, and requests from its forms.

use serde_json::json;

use crate::browser::{Browser, PICTURE};
use crate::test_server::TestServer;

#[tokio::test]
async fn operations_are_found_and_tried() {
    let Some(browser) = Browser::open("docs").await else { return };
    let server = TestServer::new().await;
    browser.log_in(&server.url("/")).await;
    browser.post("url", json!({"url": server.url("/docs#addPicture")})).await;
    browser.find("#addPicture[open] form").await;
    let spoken = browser.accessible_names().await;
    assert!(spoken.contains(&("searchbox".to_owned(), "Words in the path, the name or the description".to_owned())));
    browser.look("page").await;

    // With the session and its CSRF token.
    browser.type_text("#addPicture input[type=file]", PICTURE).await;
    browser.click("#addPicture .try .primary").await;
    browser.find("#addPicture [aria-label='Body of the response']").await;
    assert_eq!(browser.text("#addPicture [aria-label='Body of the response']").await, "1001");
    assert!(browser.text("#addPicture [aria-live] strong").await.starts_with("200"));

    browser.type_text("#search", "list uploads").await;
    browser.find("#listUploads:not([hidden])").await;
    assert!(!browser.is_displayed("#addPicture").await);
    browser.click("#listUploads summary").await;
    browser.click("#listUploads .try .primary").await;
    browser.find("#listUploads [aria-label='Body of the response']").await;
    assert!(browser.text("#listUploads [aria-label='Body of the response']").await.contains("small.jpg"));
    browser.look("tried").await;
    browser.type_text("#bearer", "wrong").await;
    browser.click("#listUploads .try .primary").await;
    let refused = "//*[@id='listUploads']//strong[starts-with(., '401')]";
    browser.post("element", json!({"using": "xpath", "value": refused})).await;
}
