//! The UI at `/`, as a browser without JavaScript uses it.

use domain::{Resource, Service};
use reqwest::{Method, Response};

use crate::test_server::{FED, Login, PASSWORD, PNG, TestServer, cookie_value, header};

pub(crate) async fn submit(request: reqwest::RequestBuilder, fields: &[(&str, &str)]) -> Response {
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    request.header("content-type", "application/x-www-form-urlencoded").body(body).send().await.unwrap()
}

#[tokio::test]
async fn from_the_login_to_the_avatar_by_forms_alone() {
    let server = TestServer::new().await;
    let page = server.anonymous(Method::GET, "/").send().await.unwrap();
    assert_eq!((page.status().as_u16(), header(&page, "content-type")), (200, "text/html; charset=utf-8"));
    let policy = header(&page, "content-security-policy").to_owned();
    assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self'"), "{policy}");
    assert!(!policy.contains("unsafe"));
    assert_eq!(
        header(&page, "referrer-policy"),
        "same-origin",
        "with no-referrer, a browser would send the origin \"null\" with forms"
    );
    let login_cookie = format!("Login-Token_{FED}={}", cookie_value(&page, "Login-Token_"));
    let page = page.text().await.unwrap();
    assert!(page.contains("action=\"/page/login\""));
    let token = page.split("name=\"token\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let login = || server.anonymous(Method::POST, "/page/login").header("cookie", &login_cookie);
    let wrong = submit(login(), &[("email", "jane@example.com"), ("password", "x"), ("token", &token)]).await;
    assert_eq!(wrong.status(), 401);
    assert!(wrong.text().await.unwrap().contains("The address or the password is wrong"));
    let right = [("email", "jane@example.com"), ("password", PASSWORD), ("token", &token)];
    let entered = submit(login(), &right).await;
    assert_eq!((entered.status().as_u16(), header(&entered, "location")), (303, "/"));
    let jane = Login::from_response(&server, &entered);
    let page = jane.get("/").await.text().await.unwrap();
    let field = format!("X-Csrf-Token_{FED}");
    assert!(page.contains(&format!("name=\"{field}\" value=\"{}\"", jane.csrf)), "the forms contain the token");

    let part = reqwest::multipart::Part::bytes(PNG).file_name("a.png");
    let upload = reqwest::multipart::Form::new().text(field.clone(), jane.csrf.clone()).part("Profile", part);
    let answer = jane
        .request_without_csrf(Method::POST, "/api/dropbox/pictures?wrapInHTML=true")
        .multipart(upload)
        .send()
        .await
        .unwrap();
    assert!(answer.text().await.unwrap().contains(">1001</body>"));
    let page = jane.get("/?picture=1001").await.text().await.unwrap();
    assert!(page.contains("src=\"/api/dropbox/pictures/1001?size=512&amp;space=picture\""));

    let crop = [(field.as_str(), jane.csrf.as_str()), ("picture", "1001"), ("x", "10"), ("y", "10"), ("side", "100")];
    let cropped = submit(jane.request_without_csrf(Method::POST, "/page/crop"), &crop).await;
    assert_eq!((cropped.status().as_u16(), header(&cropped, "location")), (303, "/?picture=1001&done=cropped"));
    let bare = submit(jane.request_without_csrf(Method::POST, "/page/crop"), &crop[1..]).await;
    assert_eq!(bare.status(), 401);
    let empty_crop = [crop[0], crop[1], ("x", "10"), ("y", "10"), ("side", "0")];
    assert_eq!(submit(jane.request_without_csrf(Method::POST, "/page/crop"), &empty_crop).await.status(), 400);
    let whole = [crop[0], crop[1], ("part", "contain")];
    assert_eq!(submit(jane.request_without_csrf(Method::POST, "/page/crop"), &whole).await.status(), 303);

    let claimed = submit(jane.request_without_csrf(Method::POST, "/page/claim"), &crop[..2]).await;
    assert_eq!((claimed.status().as_u16(), header(&claimed, "location")), (303, "/?done=claimed"));
    let own = Resource { service: Service::Users, id: "jane".to_owned() };
    assert!(server.backends.records.avatar(&own).await.unwrap().is_some());
    assert_eq!(
        submit(jane.request_without_csrf(Method::POST, "/page/claim"), &[crop[0], ("picture", "7")]).await.status(),
        404
    );

    let out = submit(jane.request_without_csrf(Method::POST, "/page/logout"), &crop[..1]).await;
    let cookies: Vec<_> = out.headers().get_all("set-cookie").iter().map(|line| line.to_str().unwrap()).collect();
    assert!(cookies.len() == 2 && cookies.iter().all(|line| line.contains("; Max-Age=0")), "{cookies:?}");
}

/// Login CSRF: a form of another site must not log a user in. Some browsers send the origin of a form, and some do not.
#[tokio::test]
async fn another_sites_form_logs_nobody_in() {
    let server = TestServer::with_settings(|settings| settings.http.trusted_proxies = 1).await;
    let host = server.base.trim_start_matches("http://");
    let page = server.anonymous(Method::GET, "/").send().await.unwrap();
    let token = cookie_value(&page, "Login-Token_");
    assert_eq!(token.len(), 32);
    let login_cookie = format!("Login-Token_{FED}={token}");
    let other = "0".repeat(32);
    let (ours, ours_page) = (format!("http://{host}"), format!("http://{host}/"));
    let evil = "https://evil.example";
    for (headers, field, status) in [
        // Decided by Sec-Fetch-Site, whatever other headers there are.
        ([("sec-fetch-site", "same-origin")].as_slice(), "", 303),
        (&[("sec-fetch-site", "cross-site"), ("origin", &ours), ("cookie", &login_cookie)], token.as_str(), 403),
        (&[("sec-fetch-site", "same-site"), ("cookie", &login_cookie)], &token, 403),
        // Decided by Origin.
        (&[("origin", &ours)], "", 303),
        (&[("origin", evil), ("cookie", &login_cookie)], &token, 403),
        (&[("origin", evil), ("referer", &ours_page)], "", 403),
        // Decided by Referer.
        (&[("referer", &ours_page)], "", 303),
        (&[("referer", "https://evil.example/a"), ("cookie", &login_cookie)], &token, 403),
        (&[("origin", "null"), ("referer", "https://evil.example/a")], "", 403),
        // Decided by the token, because another site can hide the origin of its form.
        (&[], "", 403),
        (&[("origin", "null")], "", 403),
        (&[("cookie", &login_cookie)], "", 403),
        (&[("cookie", &login_cookie)], &other, 403),
        (&[], &token, 403),
        (&[("origin", "null"), ("cookie", &login_cookie)], &token, 303),
        (&[("cookie", &login_cookie)], &token, 303),
        // Behind a proxy that clients reach under another host name.
        (&[("x-forwarded-host", "portal.example"), ("origin", "https://portal.example")], "", 303),
        (&[("forwarded", "host=portal.example;proto=https"), ("referer", "https://portal.example/x")], "", 303),
        (&[("x-forwarded-host", "portal.example"), ("origin", evil)], "", 403),
        (&[("x-forwarded-host", "portal.example"), ("origin", &ours)], "", 403),
    ] {
        let mut request = server.anonymous(Method::POST, "/page/login");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = submit(request, &[("email", "jane@example.com"), ("password", PASSWORD), ("token", field)]).await;
        assert_eq!(answer.status(), status, "{headers:?} {field}");
        let session = answer.headers().get_all("set-cookie").iter().any(|line| line.as_bytes().starts_with(b"Atmo"));
        assert_eq!(session, status == 303, "{headers:?} {field}");
    }
    let again = server.anonymous(Method::GET, "/").header("cookie", &login_cookie).send().await.unwrap();
    assert_eq!(cookie_value(&again, "Login-Token_"), token, "the login page in another tab keeps the token");

    let direct = TestServer::new().await;
    let forged = direct.anonymous(Method::POST, "/page/login").header("x-forwarded-host", "evil.example");
    let forged = submit(forged.header("origin", evil), &[("email", "jane@example.com"), ("password", PASSWORD)]).await;
    assert_eq!(forged.status(), 403, "without a trusted proxy X-Forwarded-Host is ignored");
}

#[tokio::test]
async fn hostile_texts_are_escaped() {
    let server = TestServer::new().await;
    let mut jane = server.backends.records.user("jane").await.unwrap().unwrap();
    jane.name = "<script>alert('{{csrf}}')</script>".to_owned();
    server.backends.records.upsert_user(&jane).await.unwrap();
    let jane = server.login("jane").await;
    let page = jane.get("/?picture=%22%3E%3Cscript%3E").await;
    assert_eq!(page.status(), 404);
    let page = page.text().await.unwrap();
    assert!(!page.contains("<script>"), "{page}");
    assert!(page.contains("&lt;script&gt;alert(&#39;{{csrf}}&#39;)"));
}
