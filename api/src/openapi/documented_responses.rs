//! Compares responses with the OpenAPI document. Debug builds check every response, so a test fails if an operation
//! gives a status or a media type that the document does not mention.

use std::collections::{BTreeMap, HashMap};

use axum::http::{HeaderMap, Method, StatusCode, header};
use utoipa::openapi::path::Operation;
use utoipa::openapi::{OpenApi, RefOr};

/// The media types of an operation's responses, by status.
type MediaTypes = BTreeMap<String, Vec<String>>;

/// What the document says about the responses of each operation.
pub(crate) struct DocumentedResponses(HashMap<(String, Method), MediaTypes>);

impl DocumentedResponses {
    /// Reads a document.
    pub(crate) fn new(document: &OpenApi) -> Self {
        let mut operations = HashMap::new();
        for (path, item) in &document.paths.paths {
            for (method, operation) in [
                (Method::GET, &item.get),
                (Method::HEAD, &item.get),
                (Method::PUT, &item.put),
                (Method::POST, &item.post),
                (Method::DELETE, &item.delete),
            ] {
                if let Some(operation) = operation {
                    operations.insert((path.clone(), method), media_types(operation));
                }
            }
        }
        Self(operations)
    }

    /// Returns what the document does not mention about a response. `None` if the document mentions everything, or if
    /// it does not describe this method at this path.
    pub(crate) fn undocumented(
        &self,
        (path, method): (String, Method),
        status: StatusCode,
        headers: &HeaderMap,
    ) -> Option<String> {
        let operation = format!("{method} {path}");
        let documented = self.0.get(&(path, method))?;
        let Some(types) = documented.get(status.as_str()) else {
            return Some(format!("{operation} does not document {status}"));
        };
        let sent = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
        let sent = sent.split(';').next().unwrap_or_default().trim();
        let known = types.iter().any(|known| known == sent);
        (!known).then(|| format!("{operation} does not document {sent} with {status}"))
    }
}

fn media_types(operation: &Operation) -> MediaTypes {
    let responses = operation.responses.responses.iter();
    let described = responses.map(|(status, response)| match response {
        RefOr::T(response) => (status.clone(), response.content.keys().cloned().collect()),
        RefOr::Ref(_) => (status.clone(), Vec::new()),
    });
    described.collect()
}

#[cfg(test)]
mod tests {
    use utoipa_axum::router::OpenApiRouter;
    use utoipa_axum::routes;

    use super::*;

    #[utoipa::path(get, path = "/thing", responses((status = 200, body = inline(String), content_type = "text/plain")))]
    async fn thing() {}

    #[test]
    fn statuses_and_media_types_are_compared() {
        let router: OpenApiRouter = OpenApiRouter::new().routes(routes!(thing));
        let documented = DocumentedResponses::new(router.get_openapi());
        for (path, method, status, media_type, expected) in [
            ("/thing", Method::GET, 200, "text/plain; charset=utf-8", None),
            ("/thing", Method::HEAD, 200, "text/plain", None),
            ("/thing", Method::PUT, 405, "text/html", None),
            ("/other", Method::GET, 404, "text/html", None),
            ("/thing", Method::GET, 404, "text/plain", Some("GET /thing does not document 404 Not Found")),
            ("/thing", Method::GET, 200, "text/html", Some("GET /thing does not document text/html with 200 OK")),
        ] {
            let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, media_type.parse().unwrap())]);
            let status = StatusCode::from_u16(status).unwrap();
            let found = documented.undocumented((path.to_owned(), method), status, &headers);
            assert_eq!(found.as_deref(), expected);
        }
    }
}
