//! Answers of the portal's own systems, read up to a limit: a key server or a policy server that sends without end must not
//! fill this process's memory. The client's timeout bounds the time.

use reqwest::Response;

/// Reads the body of a successful answer, at most `limit` bytes of it.
///
/// # Errors
/// If the answer is not successful, longer than `limit`, or ends too early; with all causes, for the log.
pub(super) async fn read_bounded(response_result: reqwest::Result<Response>, limit: usize) -> Result<Vec<u8>, String> {
    let mut response = response_result.and_then(Response::error_for_status).map_err(|error| upload::chain(&error))?;
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(|error| upload::chain(&error))? {
        if body.len() + piece.len() > limit {
            return Err(format!("the answer is over the limit of {limit} bytes"));
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}
