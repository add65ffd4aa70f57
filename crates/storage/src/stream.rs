//! Reads an object in chunks, for a reader that may be slow: a client or a digest.
//!
//! A limit for the whole object would cut off slow readers: with 30 s for 100 MiB, every reader slower than 3.5 MB/s.
//! So each wait for the store is limited, and the time that a reader takes for a chunk is not.

use std::time::Duration;

use bytes::Bytes;
use futures::stream::BoxStream;
use object_store::GetOptions;
use tokio::time::timeout;

use crate::error::StoreError;
use crate::idle_timeout::{timeout_error, with_idle_timeout};
use crate::store::Store;

/// The limit for opening an object, and for each further chunk.
const STREAM_TIMEOUT: Duration = Duration::from_secs(30);

impl Store {
    /// Returns the object in chunks. The object is open when this returns, so a missing object is reported before the
    /// first byte.
    pub(crate) async fn stream(
        &self,
        key: &str,
        range: Option<std::ops::Range<u64>>,
    ) -> Result<BoxStream<'static, Result<Bytes, StoreError>>, StoreError> {
        let client = self.engine.streaming_client();
        let (path, options) =
            (self.object_path(key), GetOptions { range: range.map(Into::into), ..GetOptions::default() });
        let open = async {
            match timeout(STREAM_TIMEOUT, client.get_opts(&path, options)).await {
                Ok(found) => found.map_err(|error| self.map_error(key, error)),
                Err(_) => Err(timeout_error(self.backend, STREAM_TIMEOUT)),
            }
        };
        let found = self.instrument("stream", open).await?;
        Ok(with_idle_timeout(self.backend, found.into_stream(), STREAM_TIMEOUT))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use domain::Secret;
    use futures::channel::mpsc::{UnboundedSender, unbounded};
    use futures::{StreamExt, TryStreamExt};
    use instrument::FailPoints;
    use object_store::path::Path;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::bucket::BucketPlace;
    use crate::s3;
    use crate::settings::StoreSettings;

    const SHORT_TIMEOUT: Duration = Duration::from_millis(50);

    fn settings(url: String, endpoint: String) -> StoreSettings {
        StoreSettings {
            url: Secret::new(url),
            endpoint,
            region: "us-east-1".to_owned(),
            access_key_id: "AK".to_owned(),
            secret_access_key: Secret::new("SKSKSKSK"),
            min_free: Default::default(),
        }
    }

    fn channel() -> (UnboundedSender<object_store::Result<Bytes>>, BoxStream<'static, Result<Bytes, StoreError>>) {
        let (sender, chunks) = unbounded();
        (sender, with_idle_timeout("blobs", chunks.boxed(), SHORT_TIMEOUT))
    }

    #[tokio::test]
    async fn a_store_that_sends_nothing_more_is_given_up() {
        let (sender, mut stream) = channel();
        sender.unbounded_send(Ok(Bytes::from_static(b"a"))).unwrap();
        assert_eq!(stream.try_next().await.unwrap().unwrap(), "a");
        let silent = stream.try_next().await.unwrap_err();
        assert!(silent.is_transient() && silent.to_string().contains("nothing for 0.05 s"), "{silent}");
        assert!(stream.try_next().await.unwrap().is_none(), "the error ends the stream");
    }

    #[tokio::test]
    async fn a_reader_that_pauses_longer_than_the_timeout_gets_every_chunk() {
        let (sender, mut stream) = channel();
        // The first chunk is requested before it is available, and again after the pause.
        assert!(futures::poll!(stream.next()).is_pending());
        for chunk in ["a", "b"] {
            sender.unbounded_send(Ok(Bytes::from_static(chunk.as_bytes()))).unwrap();
            tokio::time::sleep(2 * SHORT_TIMEOUT).await;
            assert_eq!(stream.try_next().await.unwrap().unwrap(), chunk);
        }
        drop(sender);
        assert!(stream.try_next().await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_folder_that_does_not_answer_is_given_up() {
        let folder = tempfile::tempdir().unwrap();
        let settings = settings(format!("file://{}", folder.path().display()), String::new());
        let mut store = Store::open("blobs", &settings, FailPoints::default()).unwrap();
        store.operation_timeout = SHORT_TIMEOUT;
        // Opening a named pipe without a writer takes for ever.
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let silent = [store.get("pipe").await.map(drop), store.get_uncached("pipe").await.map(drop)];
        // Opening the pipe for writing too releases the threads that wait to open it.
        drop(std::fs::File::options().read(true).write(true).open(&pipe).unwrap());
        for silent in silent {
            let silent = silent.unwrap_err();
            assert!(silent.is_transient() && silent.to_string().contains("nothing for 0.05 s"), "{silent}");
        }
    }

    /// An S3 server that answers one request with three bytes. It waits for `next_byte` before
    /// each of them.
    async fn serve(listener: TcpListener, next_byte: Arc<tokio::sync::Notify>) -> TcpStream {
        let (mut client, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(client.read_u8().await.unwrap());
        }
        let head = "HTTP/1.1 200 OK\r\ncontent-length: 3\r\netag: \"e\"\r\n\
            last-modified: Thu, 01 Jan 2026 00:00:00 GMT\r\n\r\n";
        client.write_all(head.as_bytes()).await.unwrap();
        for byte in *b"abc" {
            next_byte.notified().await;
            client.write_u8(byte).await.unwrap();
        }
        client
    }

    #[tokio::test]
    async fn a_body_may_take_longer_than_a_request() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let settings = settings("s3://bucket".to_owned(), format!("http://{}", listener.local_addr().unwrap()));
        let mut store = Store::open("blobs", &settings, FailPoints::default()).unwrap();
        let place = BucketPlace { bucket: "bucket", prefix: Path::default(), ca_certificates: None };
        store.engine = Arc::new(s3::open(&place, &settings, SHORT_TIMEOUT).unwrap());
        let next_byte = Arc::new(tokio::sync::Notify::new());
        let server = tokio::spawn(serve(listener, Arc::clone(&next_byte)));
        let mut stream = store.stream("uploads/0/1-a-original", None).await.unwrap();
        for byte in ["a", "b", "c"] {
            tokio::time::sleep(2 * SHORT_TIMEOUT).await;
            next_byte.notify_one();
            assert_eq!(stream.try_next().await.unwrap().unwrap(), byte);
        }
        assert!(stream.try_next().await.unwrap().is_none());
        drop(server.await.unwrap());
    }
}
