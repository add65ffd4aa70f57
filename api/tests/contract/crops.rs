//! Tests crops: `PUT /api/dropbox/pictures/{id}`.

use crate::test_server::{TestServer, header, png_size};

#[tokio::test]
async fn a_crop_is_answered_with_the_picture_id_as_json() {
    let server = TestServer::new().await;
    let jane = server.login("jane").await;
    let id = jane.upload_picture().await;
    for form in
        ["x=0&y=0&w=512&h=512", "x=10.4&y=20.5&w=100.7&h=99", "x=-5&y=-5&w=9999&h=20", "x=0&y=0&w=1e308&h=1e308"]
    {
        let response = jane.crop(&id, form).await;
        assert_eq!(response.status(), 200, "{form}");
        assert_eq!(header(&response, "content-type"), "application/json");
        assert_eq!(response.text().await.unwrap(), id);
    }
}

#[tokio::test]
async fn invalid_crops_are_refused() {
    let server = TestServer::new().await;
    let jane = server.login("jane").await;
    let id = jane.upload_picture().await;
    for form in [
        "",
        "x=0&y=0&w=1",
        "x=NaN&y=0&w=1&h=1",
        "x=0&y=0&w=infinity&h=1",
        "x=0&y=0&w=inf&h=1",
        "x=0&y=0&w=0&h=1",
        "x=0&y=0&w=-1&h=1",
        "x=512&y=0&w=1&h=1",
        "x=1e308&y=0&w=1&h=1",
        "x=a&y=0&w=1&h=1",
        "x=-9&y=0&w=9&h=9",
    ] {
        assert_eq!(jane.crop(&id, form).await.status(), 400, "{form}");
    }
}

#[tokio::test]
async fn every_crop_is_cut_from_the_original() {
    let server = TestServer::new().await;
    let jane = server.login("jane").await;
    let id = jane.upload_picture().await;
    let show = async || jane.get(&format!("/api/dropbox/pictures/{id}?size=75")).await.bytes().await.unwrap();
    let uncropped = show().await;
    jane.crop(&id, "x=0&y=0&w=128&h=128").await;
    let corner = show().await;
    jane.crop(&id, "x=384&y=384&w=128&h=128").await;
    let other = show().await;
    jane.crop(&id, "x=0&y=0&w=128&h=128").await;
    let again = show().await;
    assert_eq!(png_size(&corner), (75, 75));
    assert!(uncropped != corner && corner != other);
    assert_eq!(corner, again);
    jane.crop(&id, "x=0&y=0&w=512&h=512").await;
    let crop_of_everything = show().await;
    assert!(crop_of_everything != corner && crop_of_everything != other);
}

#[tokio::test]
async fn only_users_who_see_a_picture_may_crop_it() {
    let server = TestServer::new().await;
    let (jane, joe, admin) = (server.login("jane").await, server.login("joe").await, server.login("admin").await);
    let id = jane.upload_picture().await;
    let form = "x=0&y=0&w=100&h=100";
    assert_eq!(joe.crop(&id, form).await.status(), 404);
    assert_eq!(admin.crop(&id, form).await.status(), 200);
    assert_eq!(jane.crop("1", form).await.status(), 404);
    jane.claim("users/jane", &id).await;
    assert_eq!(jane.crop(&id, form).await.status(), 404);
}

#[tokio::test]
async fn a_picture_has_at_most_64_crops() {
    let server = TestServer::new().await;
    let jane = server.login("jane").await;
    let id = jane.upload_picture().await;
    for w in 1..=64 {
        assert_eq!(jane.crop(&id, &format!("x=0&y=0&w={w}&h=64")).await.status(), 200);
    }
    assert_eq!(jane.crop(&id, "x=0&y=0&w=65&h=64").await.status(), 422);
}
