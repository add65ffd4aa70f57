//! `[http]`: connections, their limits and timeouts.

use std::time::Duration;

use bytesize::ByteSize;
use jiff::fmt::serde::unsigned_duration::friendly::compact::required as friendly_duration;
use serde::{Deserialize, Serialize};

/// `[http]`: where to listen, and the limits and timeouts of connections.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpSettings {
    /// The address to listen on.
    pub listen: String,
    /// The path at which a proxy serves this server, such as `/cloakroom`. The proxy removes it from requests, and every
    /// address that the server writes begins with it. Empty: `/`.
    pub path_prefix: String,
    /// How many trusted proxies are in front of this server. Each adds to `X-Forwarded-For`. 0 means that this header
    /// is ignored.
    pub trusted_proxies: usize,
    /// The most connections at once. For one more, the connection that has been idle for the longest time is closed. If
    /// none is idle, new connections wait in the operating system's queue.
    pub max_connections: usize,
    /// The most connections of one client address, counting IPv6 by /64. Behind trusted proxies: the most requests in
    /// progress of the client that the proxies name.
    pub max_connections_per_address: usize,
    /// How long a client may take to send the head of a request.
    #[serde(with = "friendly_duration")]
    pub header_timeout: Duration,
    /// How long the client may pause while it sends a body.
    #[serde(with = "friendly_duration")]
    pub body_idle_timeout: Duration,
    /// How long a body may take.
    #[serde(with = "friendly_duration")]
    pub body_timeout: Duration,
    /// The lowest average rate of a body, in bytes per second, after the first 5 seconds.
    pub min_body_rate: ByteSize,
    /// How long a client may stop reading a response.
    #[serde(with = "friendly_duration")]
    pub write_timeout: Duration,
    /// How long a signed URL of the store is valid. A client that requests a picture is redirected
    /// to such a URL. 0s: pictures are streamed through the API.
    #[serde(with = "friendly_duration")]
    pub presigned_url_lifetime: Duration,
    /// How long requests in flight may take to finish after shutdown begins.
    #[serde(with = "friendly_duration")]
    pub drain_timeout: Duration,
    /// Whether `/metrics` is served here as well as at `probes.listen`.
    pub metrics: bool,
}
