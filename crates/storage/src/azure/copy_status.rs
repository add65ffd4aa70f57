//! Waits for the end of a copy. Azure sends the state of a copy in a header, which object_store's
//! client ignores. So the client is opened with a connector that adds the state to each response.

use std::time::Duration;

use async_trait::async_trait;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpRequest, HttpResponse, HttpService, ReqwestConnector,
};
use object_store::path::Path;
use object_store::{ClientOptions, Error, GetOptions, ObjectStore, Result};

/// The header with the state of the last copy to a blob ("Get Blob Properties" of the REST API).
const COPY_STATUS: &str = "x-ms-copy-status";
/// The pause between two requests for the state. The time limit of the operation ends the requests.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// The state of a copy, in the extensions of a response about its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CopyStatus {
    Success,
    Pending,
    /// Failed or aborted.
    Failed,
}

/// Waits until the copy to `path` has ended. The client must be opened with [`CopyStatusConnector`].
///
/// # Errors
/// Any error of the request for the state. Also if the copy has failed, or if the blob is not the target of a copy.
pub(super) async fn wait_for_copy(client: &impl ObjectStore, path: &Path) -> Result<()> {
    loop {
        let head = client.get_opts(path, GetOptions { head: true, ..GetOptions::default() }).await?;
        match head.extensions.get::<CopyStatus>() {
            Some(CopyStatus::Success) => return Ok(()),
            Some(CopyStatus::Pending) => tokio::time::sleep(POLL_INTERVAL).await,
            Some(CopyStatus::Failed) | None => {
                let why = format!("the copy to {path} has failed at the store");
                return Err(Error::Generic { store: "azure", source: why.into() });
            }
        }
    }
}

/// Opens the library's own HTTP client and adds the state of a copy to its responses.
#[derive(Debug)]
pub(super) struct CopyStatusConnector;

#[derive(Debug)]
struct CopyStatusService(HttpClient);

impl HttpConnector for CopyStatusConnector {
    fn connect(&self, options: &ClientOptions) -> Result<HttpClient> {
        Ok(HttpClient::new(CopyStatusService(ReqwestConnector::default().connect(options)?)))
    }
}

#[async_trait]
impl HttpService for CopyStatusService {
    async fn call(&self, request: HttpRequest) -> std::result::Result<HttpResponse, HttpError> {
        let mut response = self.0.execute(request).await?;
        let status = response.headers().get(COPY_STATUS).map(|value| match value.as_bytes() {
            b"success" => CopyStatus::Success,
            b"pending" => CopyStatus::Pending,
            _ => CopyStatus::Failed,
        });
        if let Some(status) = status {
            response.extensions_mut().insert(status);
        }
        Ok(response)
    }
}

#[cfg(test)]
mod tests {
    use domain::Secret;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::bucket::{BucketClient, BucketPlace};
    use crate::settings::StoreSettings;

    /// Copies a blob at a server that sends these states of the copy, one after another. Returns
    /// the result, and the number of requests for the state.
    async fn copy_with_states(states: &[&str]) -> (Result<()>, usize) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let settings = StoreSettings {
            url: Secret::new("azure://container"),
            endpoint: format!("http://{}/account", listener.local_addr().unwrap()),
            region: String::new(),
            access_key_id: "account".to_owned(),
            secret_access_key: Secret::new("a2V5"),
            min_free: Default::default(),
        };
        let place = BucketPlace { bucket: "container", prefix: Path::default(), ca_certificates: None };
        let container = super::super::open(&place, &settings).unwrap();
        let mut requests = 0;
        let serve = async {
            loop {
                let (mut client, _) = listener.accept().await.unwrap();
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(client.read_u8().await.unwrap());
                }
                let status = if head.starts_with(b"HEAD") {
                    requests += 1;
                    format!("200 OK\r\nx-ms-copy-status: {}", states[requests - 1])
                } else {
                    "202 Accepted\r\nx-ms-copy-status: pending".to_owned()
                };
                let answer = format!(
                    "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: 0\r\netag: \"e\"\r\n\
                     last-modified: Thu, 01 Jan 2026 00:00:00 GMT\r\n\r\n"
                );
                client.write_all(answer.as_bytes()).await.unwrap();
            }
        };
        let (from, to) = (Path::from("a"), Path::from("b"));
        let copied = tokio::select! {
            copied = container.bounded.copy_inside(&from, &to) => copied,
            () = serve => Ok(()),
        };
        (copied, requests)
    }

    #[tokio::test]
    async fn a_copy_is_done_when_the_store_has_ended_it() {
        let (copied, requests) = copy_with_states(&["pending", "pending", "success"]).await;
        assert_eq!((copied.is_ok(), requests), (true, 3), "{copied:?}");
        for state in ["failed", "aborted"] {
            let (copied, requests) = copy_with_states(&["pending", state]).await;
            assert_eq!((copied.is_err(), requests), (true, 2), "{state}");
        }
    }
}
