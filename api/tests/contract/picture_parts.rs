//! Tests which part of a form the api takes as the picture.

use reqwest::Method;
use reqwest::multipart::{Form, Part};

use crate::file_names::name_of_picture;
use crate::test_server::{FED, JPEG, Login, PNG, TestServer};

fn file(bytes: &'static [u8], name: &str) -> Part {
    Part::bytes(bytes).file_name(name.to_owned())
}

async fn send(login: &Login<'_>, form: Form) -> reqwest::Response {
    login.request(Method::POST, "/api/dropbox/pictures").multipart(form).send().await.unwrap()
}

#[tokio::test]
async fn the_picture_is_the_file_with_the_content_of_a_picture() {
    let server = TestServer::new().await;
    let jane = server.login("jane").await;
    for (form, name) in [
        (Form::new().text("note", "hello").part("FileName", file(PNG, "1.png")), "1.png"),
        (Form::new().part("Profile", file(b"", "")).part("File", file(PNG, "2.png")), "2.png"),
        (Form::new().part("terms", file(b"some text", "terms.txt")).part("Profile", file(JPEG, "3.jpg")), "3.jpg"),
        (Form::new().part("terms", file(b"%PDF-1.7", "a.pdf")).part("swagger", file(PNG, "4.png")), "4.png"),
        (Form::new().part("swagger", file(PNG, "5.png")).part("terms", file(b"some text", "terms.txt")), "5.png"),
    ] {
        let response = send(&jane, form).await;
        assert_eq!(name_of_picture(&server, response).await, name);
    }
    assert_eq!(server.staged_files(), 0);
}

#[tokio::test]
async fn a_form_without_exactly_one_picture_is_refused_with_a_reason() {
    let server = TestServer::new().await;
    let jane = server.login("jane").await;
    let unnamed = |bytes: Vec<u8>| Form::new().part("Profile", Part::bytes(bytes));
    let long_picture = [PNG, &[0; 100 << 10]].concat();
    for (form, status, says) in [
        (Form::new().part("File", file(PNG, "1.png")).part("Profile", file(JPEG, "2.jpg")), 400, "two pictures"),
        (Form::new().part("Profile", file(PNG, "1.png")).part("swagger", file(PNG, "2.png")), 400, "two pictures"),
        (
            Form::new().part("Profile", file(b"text", "a.png")).part("File", file(PNG, "2.png")),
            415,
            "not a supported picture",
        ),
        (Form::new().part("terms", file(b"%PDF-1.7", "a.pdf")), 415, "PDF"),
        (unnamed(PNG.to_vec()), 400, "\"Profile\" of the form has no file name"),
        (unnamed(long_picture.clone()), 400, "\"Profile\" of the form has no file name"),
        (unnamed(vec![b'x'; 100 << 10]), 400, "\"Profile\" of the form has no file name"),
        (Form::new().part("other", Part::bytes(long_picture)), 400, "\"other\" of the form has no file name"),
        (Form::new().part("other", Part::bytes(vec![b'x'; 100 << 10])), 413, "not the file"),
    ] {
        let response = send(&jane, form).await;
        let (found, text) = (response.status(), response.text().await.unwrap());
        assert_eq!(found, status, "{text}");
        assert!(text.contains(says), "{text}");
    }
    assert_eq!(server.staged_files(), 0);
    assert_eq!(server.backends.records.stats().await.unwrap().admitted, 0);
}

#[tokio::test]
async fn the_csrf_token_may_follow_a_file_that_is_no_picture() {
    let server = TestServer::new().await;
    let jane = server.login("jane").await;
    let token = format!("X-Csrf-Token_{FED}");
    let send = async |form: Form| {
        jane.request_without_csrf(Method::POST, "/api/dropbox/pictures").multipart(form).send().await.unwrap().status()
    };
    let text = || file(b"some text", "terms.txt");
    let form = Form::new().part("terms", text()).text(token, jane.csrf.clone());
    assert_eq!(send(form.part("Profile", file(PNG, "a.png"))).await, 200);
    // Without a token the answer is 401, which says nothing about the content of the file.
    assert_eq!(send(Form::new().part("Profile", text())).await, 401);
    assert_eq!(send(Form::new().part("terms", text())).await, 401);
}
