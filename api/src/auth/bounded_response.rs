//! Reads responses of the portal's own systems up to a limit. A key server or a policy server that sends without end
//! must not fill this process's memory. The timeout of the HTTP client limits the time.

use reqwest::Response;

/// Reads the body of a successful response, at most `limit` bytes of it.
///
/// # Errors
/// A response that is not successful, is longer than `limit`, or ends too early. The text of the
/// error has all causes, for the log.
pub(super) async fn read_bounded(response_result: reqwest::Result<Response>, limit: usize) -> Result<Vec<u8>, String> {
    let mut response = response_result.and_then(Response::error_for_status).map_err(|error| domain::chain(&error))?;
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(|error| domain::chain(&error))? {
        if body.len() + piece.len() > limit {
            return Err(format!("the answer is over the limit of {limit} bytes"));
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}
