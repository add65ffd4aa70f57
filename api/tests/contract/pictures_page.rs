//! The page of the user's pictures in a browser: several uploads at once, the list, crops, the avatar, and what happens
//! when a connection or a session ends.

use std::time::Duration;

use domain::{CropFit, CropSpace, Resource, Rotation, Service, UploadState};
use serde_json::{Value, json};
use test_support::proxy::{Proxy, ProxyState};

use crate::browser::{Browser, ELEMENT, PICTURE};
use crate::test_server::{PASSWORD, TestServer};

/// The button ends every session of the user, in other browsers too. It works with JavaScript and without.
#[tokio::test]
async fn the_button_logs_out_everywhere() {
    let Some(browser) = Browser::open("logout").await else { return };
    let server = TestServer::new().await;
    for script in [true, false] {
        browser.set_scripts(script).await;
        let elsewhere = server.login("jane").await;
        assert_eq!(elsewhere.get("/uploads/1").await.status(), 404);
        browser.log_in(&server.url("/")).await;
        let spoken = browser.accessible_names().await;
        assert!(spoken.contains(&("button".to_owned(), "Log out everywhere".to_owned())), "{spoken:?}");
        browser.screenshot("buttons").await;
        let copied = browser.get("cookie").await;
        browser.click("button[name=everywhere]").await;
        browser.find("#email").await;
        assert_eq!(elsewhere.get("/uploads/1").await.status(), 401);
        let is_session = |cookie: &&Value| cookie["name"].as_str().unwrap().starts_with("AtmoAuthToken_");
        let copied = copied.as_array().unwrap().iter().find(is_session).unwrap()["value"].as_str().unwrap();
        let request = server.anonymous(reqwest::Method::GET, "/uploads/1").bearer_auth(copied);
        assert_eq!(request.send().await.unwrap().status(), 401, "a copy of this browser's cookie");
    }
}

const PNG_PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/contract/pictures/small.png");
/// A file that is no picture that Cloakroom takes.
const TIFF_PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/contract/pictures/small.tif");

/// Chooses files. The uploads begin at once.
async fn choose(browser: &Browser, paths: &[&str]) {
    browser.type_text("#file", &paths.join("\n")).await;
}

#[tokio::test]
async fn a_user_uploads_crops_and_claims_with_the_script() {
    let Some(browser) = Browser::open("script").await else { return };
    let server = TestServer::new().await;
    browser.log_in(&server.url("/")).await;
    browser.look("empty").await;
    choose(&browser, &[PICTURE]).await;
    browser.wait_for_text("queue-status", "small.jpg is ready.").await;
    let status = browser.find("#queue-status").await;
    assert_eq!(browser.get(&format!("{status}/computedrole")).await, "status", "changes are announced");
    browser.find("#editor:not([hidden])").await;
    assert_eq!(browser.text("#editor-title").await, "Crop small.jpg");
    assert_eq!(browser.evaluate("document.activeElement.id").await, "editor-title", "the focus is there");
    assert!(browser.accessible_names().await.len() >= 5);
    // By keyboard: four steps smaller, two steps to the right.
    browser.type_text("#selection", "----\u{E014}\u{E014}").await;
    let label = browser.find("#selection").await;
    let label = browser.get(&format!("{label}/attribute/aria-label")).await;
    assert_eq!(label, "Selected square: 24 pixels from the left, 0 from the top, side 72");
    browser.click("#crop > button").await;
    browser.wait_for_text("crop-message", "The crop is saved.").await;
    browser.look("crop").await;
    browser.click("#claim button").await;
    browser.find("#editor[hidden]").await;
    browser.wait_for_text("notice", "small.jpg is now your avatar.").await;
    let upload = server.backends.records.upload("1001".parse().unwrap()).await.unwrap().unwrap();
    assert!(upload.claim.is_some());
    let crop = upload.crop.part.unwrap();
    assert_eq!((crop.space, crop.x, crop.y, crop.w, crop.h), (CropSpace::Picture, 24, 0, 72, 72));
    browser.wait_for_beginning("uploads", "In use as an avatar").await;
    browser.look("used").await;

    browser.click("#remove-avatar button").await;
    browser.find("#confirm-dialog[open]").await;
    browser.click("#confirm-dialog [value=yes]").await;
    browser.wait_for_text("avatar-message", "Your avatar is removed.").await;
    let own = Resource { service: Service::Users, id: "jane".to_owned() };
    assert!(server.backends.records.avatar(&own).await.unwrap().is_none());
}

#[tokio::test]
async fn several_pictures_have_a_row_each_and_the_list_survives_a_reload() {
    let Some(browser) = Browser::open("several").await else { return };
    let server = TestServer::new().await;
    browser.log_in(&server.url("/")).await;
    choose(&browser, &[PICTURE, TIFF_PATH, PNG_PATH]).await;
    // The one that is refused says why in its own row, and the others are not touched.
    browser.find("#queue .message:not(:empty)").await;
    assert!(
        browser.text("#queue .message:not(:empty)").await.contains("TIFF"),
        "{}",
        browser.text("#queue .message:not(:empty)").await
    );
    for row in ["small.jpg", "small.png"] {
        let path = format!("//*[@id='uploads']/li[.//strong='{row}' and .//button[.='Crop']]");
        browser.post("element", json!({"using": "xpath", "value": path})).await;
    }
    browser.find("#queue li:only-child .message:not(:empty)").await;
    assert_eq!(browser.text("#queue li strong").await, "small.tif");
    assert!(
        !browser.is_displayed("#queue li button:nth-of-type(2)").await,
        "a picture that is refused is not sent again"
    );
    assert!(browser.text("#uploads li .small").await.starts_with("Ready, expires in 2"));
    assert_eq!(browser.evaluate("document.querySelector('#editor').hidden").await, true);
    browser.look("refused").await;
    browser.click("#queue li button:nth-of-type(3)").await;
    browser.find("#queue:empty").await;
    assert_eq!(browser.evaluate("document.activeElement.id").await, "file");

    browser.post("refresh", json!({})).await;
    browser.find("#uploads li:nth-child(2) button").await;
    browser.click("#uploads li:nth-child(2) summary").await;
    browser.find("#uploads li:nth-child(2) details li").await;

    // Discarded after a question, which the escape key answers with no.
    browser.click("#uploads li:nth-child(1) button:nth-of-type(3)").await;
    browser.find("#confirm-dialog[open]").await;
    browser.look("question").await;
    browser.type_text("#confirm-dialog [value=no]", "\u{E00C}").await;
    browser.find("#confirm-dialog:not([open])").await;
    browser.click("#uploads li:nth-child(1) button:nth-of-type(3)").await;
    browser.click("#confirm-dialog[open] [value=yes]").await;
    browser.wait_for_beginning("uploads", "Discarded").await;

    // A second upload that fails leaves no button of the first one.
    browser.click("#uploads li:nth-child(2) button").await;
    browser.find("#editor:not([hidden])").await;
    choose(&browser, &[TIFF_PATH]).await;
    browser.find("#queue .message:not(:empty)").await;
    assert!(
        browser.text("#queue .message:not(:empty)").await.contains("TIFF"),
        "{}",
        browser.text("#queue .message:not(:empty)").await
    );
    assert!(!browser.is_displayed("#editor").await);
}

/// Moves the pointer from the centre of an element by this many pixels, with the button pressed or a finger on it.
async fn drag(browser: &Browser, css: &str, kind: &str, (x, y): (i32, i32)) {
    let element = browser.find(css).await;
    let origin = json!({ELEMENT: element.trim_start_matches("element/")});
    let moves = json!([{"type": "pointerMove", "duration": 0, "origin": origin, "x": 0, "y": 0},
        {"type": "pointerDown", "button": 0},
        {"type": "pointerMove", "duration": 0, "origin": "pointer", "x": x, "y": y},
        {"type": "pointerUp", "button": 0}]);
    let pointer = json!({"type": "pointer", "id": kind, "parameters": {"pointerType": kind}, "actions": moves});
    browser.post("actions", json!({"actions": [pointer]})).await;
}

/// The numbers of the selected square.
async fn square(browser: &Browser) -> Value {
    browser
        .evaluate("['x', 'y', 'side'].map(name => Number(document.getElementById('crop').elements[name].value))")
        .await
}

#[tokio::test]
async fn any_part_of_a_picture_is_selected_and_turned() {
    let Some(browser) = Browser::open("parts").await else { return };
    let server = TestServer::new().await;
    browser.log_in(&server.url("/")).await;
    // 120 × 80 pixels, so the sides are outside of the centre square.
    choose(&browser, &[PICTURE]).await;
    browser.find("#editor:not([hidden])").await;
    assert_eq!(square(&browser).await, json!([20, 0, 80]));
    // By mouse and by touch. The square stops at the edges of the picture.
    for (kind, by, x) in [("mouse", -300, 0), ("touch", 300, 40)] {
        drag(&browser, "#selection", kind, (by, 0)).await;
        assert_eq!(square(&browser).await, json!([x, 0, 80]), "{kind}");
    }
    drag(&browser, "[data-grip=nw]", "mouse", (350, 350)).await;
    assert_eq!(square(&browser).await, json!([112, 72, 8]), "the opposite corner stays");
    // By keyboard alone: left, larger, and a step of one pixel.
    browser.type_text("#selection", "\u{E012}").await;
    assert_eq!(square(&browser).await, json!([110, 72, 8]));
    browser.type_text("#selection", "\u{E013}\u{E013}\u{E008}\u{E014}\u{E000}").await;
    assert_eq!(square(&browser).await, json!([110, 68, 10]));
    browser.type_text("#selection", "\u{E009}\u{E012}\u{E000}").await;
    assert_eq!(square(&browser).await, json!([109, 68, 10]));

    browser.click("#turn-right").await;
    assert_eq!(square(&browser).await, json!([0, 20, 80]), "the turned picture is 80 × 120 pixels");
    assert_eq!(
        browser.evaluate("[document.getElementById('whole').width, document.getElementById('whole').height]").await,
        json!([80, 120])
    );
    drag(&browser, "#selection", "mouse", (0, 250)).await;
    browser.look("turned").await;
    browser.click("#crop > button").await;
    browser.wait_for_text("crop-message", "The crop is saved.").await;
    let crop = server.backends.records.upload("1001".parse().unwrap()).await.unwrap().unwrap().crop;
    let part = crop.part.unwrap();
    assert_eq!((crop.rotate, part.x, part.y, part.w, part.h), (Rotation::Deg90, 0, 40, 80, 80));

    // The crop is shown again after a reload.
    browser.post("url", json!({"url": server.url("/?picture=1001")})).await;
    browser.find("#editor:not([hidden])").await;
    browser.find("html.js").await;
    browser.wait_for_text("editor-title", "Crop small.jpg").await;
    browser.click("[value=contain]").await;
    assert!(!browser.is_displayed("#selection").await);
    browser.look("bars").await;
    browser.click("#crop > button").await;
    browser.wait_for_text("crop-message", "The crop is saved.").await;
    let crop = server.backends.records.upload("1001".parse().unwrap()).await.unwrap().unwrap().crop;
    assert_eq!((crop.rotate, crop.part, crop.fit), (Rotation::Deg90, None, CropFit::Contain));
}

/// A file that is dropped or pasted, made by a script in the page.
const DROPPED: &str = "const files = new DataTransfer(); files.items.add(new File([Uint8Array.from(atob(arguments[0]), c => \
    c.charCodeAt(0))], arguments[1], {type: 'image/png'})); const [kind, field] = arguments[2] === 'drop' ? [DragEvent, \
    'dataTransfer'] : [ClipboardEvent, 'clipboardData']; document.body.dispatchEvent(new kind(arguments[2], {bubbles: \
    true, cancelable: true, [field]: files}))";

#[tokio::test]
async fn a_picture_can_be_dropped_and_pasted() {
    use base64::Engine as _;
    let Some(browser) = Browser::open("drop").await else { return };
    let server = TestServer::new().await;
    browser.log_in(&server.url("/")).await;
    browser.find("html.js").await;
    let bytes = base64::engine::general_purpose::STANDARD.encode(crate::test_server::PNG);
    for (way, name) in [("drop", "dropped.png"), ("paste", "pasted.png")] {
        browser.post("execute/sync", json!({"script": DROPPED, "args": [bytes, name, way]})).await;
        browser.wait_for_text("queue-status", &format!("{name} is ready.")).await;
        browser.wait_for_text("editor-title", &format!("Crop {name}")).await;
    }
}

#[tokio::test]
async fn a_stalled_upload_says_so_and_is_cancelled_and_repeated() {
    let Some(browser) = Browser::open("stalled").await else { return };
    let server = TestServer::new().await;
    let proxy = Proxy::to(server.base.trim_start_matches("http://")).await;
    browser.log_in(&format!("http://127.0.0.1:{}/", proxy.port)).await;
    browser.find("#uploads li.small").await;
    proxy.set(ProxyState::Silent);
    choose(&browser, &[PICTURE]).await;
    browser.wait_for_beginning("queue", "Stalled: nothing has moved for 4 seconds.").await;
    browser.look("stalled").await;
    browser.click("#queue button").await;
    browser.wait_for_beginning("queue", "Cancelled.").await;
    proxy.set(ProxyState::Broken);
    browser.click("#queue button:nth-of-type(2)").await;
    browser.wait_for_beginning("queue", "The connection to the server was lost.").await;
    assert_eq!(browser.evaluate("document.activeElement.textContent").await, "Retry");
    proxy.set(ProxyState::Open);
    browser.click("#queue button:nth-of-type(2)").await;
    browser.wait_for_text("queue-status", "small.jpg is ready.").await;
    browser.find("#queue:empty").await;
    browser.find("#editor:not([hidden])").await;
}

#[tokio::test]
async fn an_expired_session_keeps_what_was_chosen() {
    let Some(browser) = Browser::open("expired").await else { return };
    let server = TestServer::new().await;
    browser.log_in(&server.url("/")).await;
    browser.find("#uploads li.small").await;
    server.clock.advance(server.settings.realm.session_lifetime + Duration::from_secs(1));
    choose(&browser, &[PICTURE]).await;
    browser.find("#login-dialog[open]").await;
    browser.look("dialog").await;
    browser.type_text("#login-email", "jane@example.com").await;
    browser.type_text("#login-password", "wrong").await;
    browser.click("#login-dialog .primary").await;
    browser.find("#login-dialog .message:not(:empty)").await;
    assert_eq!(browser.evaluate("document.getElementById('login-email').value").await, "jane@example.com");
    browser.type_text("#login-password", PASSWORD).await;
    browser.click("#login-dialog .primary").await;
    browser.wait_for_text("queue-status", "small.jpg is ready.").await;
    browser.find("#editor:not([hidden])").await;

    // A crop that was selected is kept, too.
    browser.type_text("#selection", "----").await;
    server.clock.advance(server.settings.realm.session_lifetime + Duration::from_secs(1));
    browser.click("#crop > button").await;
    browser.find("#login-dialog[open]").await;
    browser.type_text("#login-password", PASSWORD).await;
    browser.click("#login-dialog .primary").await;
    browser.wait_for_text("crop-message", "The crop is saved.").await;
    let upload = server.backends.records.upload("1001".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(upload.crop.part.unwrap().w, 72);
}

#[tokio::test]
async fn a_user_uploads_crops_and_claims_without_a_script() {
    let Some(browser) = Browser::open("forms").await else { return };
    let server = TestServer::new().await;
    browser.set_scripts(false).await;
    browser.post("url", json!({"url": server.url("/")})).await;
    browser.type_text("#email", "jane@example.com").await;
    browser.type_text("#password", "wrong").await;
    browser.click("button.primary").await;
    browser.wait_for_text("message", "The address or the password is wrong.").await;
    assert_eq!(browser.property("#email", "value").await, "jane@example.com");
    browser.type_text("#password", PASSWORD).await;
    browser.click("button.primary").await;
    browser.type_text("#file", TIFF_PATH).await;
    browser.click("#upload button").await;
    browser.find("#message:not(:empty)").await;
    browser.type_text("#file", PICTURE).await;
    browser.click("#upload button").await;
    let uploaded = "The picture is uploaded. You can crop it now, or use it as your avatar.";
    browser.wait_for_text("notice", uploaded).await;
    browser.find("#editor:not([hidden])").await;
    browser.look("uploaded").await;
    let side = browser.find("input[name=side]").await;
    browser.post(&format!("{side}/clear"), json!({})).await;
    browser.type_text("input[name=side]", "60").await;
    browser.click("#crop > button").await;
    browser.wait_for_text("notice", "The crop is saved.").await;
    browser.look("cropped").await;
    browser.click("[value=contain]").await;
    browser.click("#crop > button").await;
    browser.wait_for_text("notice", "The crop is saved.").await;
    assert_eq!(browser.property("[value=contain]", "checked").await, true, "the form shows the crop");
    let upload = server.backends.records.upload("1001".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!((upload.crop.part, upload.crop.fit), (None, CropFit::Contain));
    browser.click("[value=square]").await;
    let side = browser.find("input[name=side]").await;
    browser.post(&format!("{side}/clear"), json!({})).await;
    browser.type_text("input[name=side]", "60").await;
    browser.click("#crop > button").await;
    browser.find("input[name=side][value='60']").await;
    // The list leads to the picture, too.
    browser.click("#uploads a").await;
    browser.wait_for_text("notice", "").await;
    browser.click("#claim button").await;
    browser.wait_for_text("notice", "The picture is now your avatar.").await;
    browser.find("#editor[hidden]").await;
    let upload = server.backends.records.upload("1001".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(upload.crop.part.map(|crop| (crop.w, crop.h)), Some((60, 60)));
    assert!(upload.claim.is_some());
    browser.click("#remove-avatar button").await;
    browser.wait_for_text("notice", "Your avatar is removed.").await;
    browser.type_text("#file", PICTURE).await;
    browser.click("#upload button").await;
    browser.wait_for_text("notice", uploaded).await;
    browser.click("form[action='/page/discard'] button").await;
    browser.wait_for_text("notice", "The picture is discarded.").await;
    let upload = server.backends.records.upload("1002".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(upload.state, UploadState::Expired);
    browser.click("header form button").await;
    browser.wait_for_text("notice", "You are logged out.").await;
    browser.look("login").await;
}
