//! Tests the renditions that Cloakroom makes, and the deletion of uploaded renditions.

use reqwest::Method;

use super::{api_request, get, start_server, status_and_text, upload_file, upload_rendition};
use crate::test_server::{PNG, header, png_size};

#[tokio::test]
async fn system_renditions_are_found_without_a_type_and_uploaded_ones_are_not() {
    let server = start_server().await;
    let jane = server.login("jane").await;
    let id = upload_file(&jane).await;
    upload_rendition(&jane, &id, "small", PNG).await;
    let path = format!("/files/{id}/data/rendition?rendition=");
    assert_eq!(get(&jane, &format!("{path}small")).await.status(), 404);
    let thumbnail = get(&jane, &format!("{path}thumbnail1")).await;
    assert_eq!((thumbnail.status().as_u16(), header(&thumbnail, "content-type")), (200, "image/png"));
    assert_eq!(header(&thumbnail, "content-disposition"), "attachment; filename=\"thumbnail1.png\"");
    assert_eq!(png_size(&thumbnail.bytes().await.unwrap()), (120, 80), "the thumbnail is not larger than the picture");
    assert_eq!(
        get(&jane, &format!("{path}Page1&renditionType=system")).await.status(),
        200,
        "the case of a name does not matter"
    );
    let shown = get(&jane, &format!("/files/{id}/data/thumbnail")).await;
    assert_eq!((shown.status().as_u16(), header(&shown, "content-disposition")), (200, "inline"));
    let list = get(&jane, &format!("/files/{id}/data/renditions")).await;
    let expected = format!(
        r#"{{"errorCode":"0","id":"{id}","type":"file","items":[{{"type":"rendition","name":"thumbnail1","description":"","path":"thumbnail1.png"}},{{"type":"rendition","name":"page1","description":"","path":"page1.png"}}]}}"#
    );
    assert_eq!(status_and_text(list).await, (200, expected));
}

#[tokio::test]
async fn a_deleted_rendition_is_gone_and_its_name_is_free() {
    let server = start_server().await;
    let jane = server.login("jane").await;
    let id = upload_file(&jane).await;
    upload_rendition(&jane, &id, "Small", b"one").await;
    let path = format!("/files/{id}/data/rendition?rendition=sMALL&renditionType=uploaded");
    let deleted = api_request(&jane, Method::DELETE, &path).send().await.unwrap();
    assert_eq!(status_and_text(deleted).await, (200, format!(r#"{{"errorCode":"0","id":"{id}","type":"file"}}"#)));
    assert_eq!(api_request(&jane, Method::DELETE, &path).send().await.unwrap().status(), 404);
    assert_eq!(get(&jane, &path).await.status(), 404);
    assert_eq!(upload_rendition(&jane, &id, "small", b"two").await.status(), 200);
    assert_eq!(get(&jane, &path).await.text().await.unwrap(), "two");
    assert!(server.sweep().await.deleted_blobs > 0, "the bytes of the first rendition are deleted");
    assert_eq!(server.backends.records.stats().await.unwrap().unaccounted(), 0);
}
