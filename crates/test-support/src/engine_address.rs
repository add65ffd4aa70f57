//! The addresses of the real engines, as the variables `CLOAKROOM_TEST_…` give them.

use domain::Secret;
use storage::StoreSettings;

/// `host:port` of an address with a scheme, optional credentials, and a path.
pub fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.split('/').next().unwrap();
    rest.rsplit_once('@').map_or(rest, |(_, host)| host)
}

/// A bucket of an S3 server, and a key for it.
#[derive(Clone)]
pub struct S3Account {
    pub endpoint: String,
    pub bucket: String,
    pub id: String,
    pub secret: String,
}

impl S3Account {
    /// Parses `http://KEY:SECRET@host:port/bucket`, or the same with `https`.
    pub fn parse(url: &str) -> Self {
        let (scheme, rest) = url.split_once("://").unwrap();
        let (keys, place) = rest.split_once('@').unwrap();
        let ((id, secret), (host, bucket)) = (keys.split_once(':').unwrap(), place.split_once('/').unwrap());
        Self {
            endpoint: format!("{scheme}://{host}"),
            bucket: bucket.to_owned(),
            id: id.to_owned(),
            secret: secret.to_owned(),
        }
    }

    /// The settings of a store below a prefix of the bucket.
    pub fn store_settings(&self, prefix: &str) -> StoreSettings {
        StoreSettings {
            url: Secret::new(format!("s3://{}/{prefix}", self.bucket)),
            endpoint: self.endpoint.clone(),
            region: "us-east-1".to_owned(),
            access_key_id: self.id.clone(),
            secret_access_key: Secret::new(self.secret.clone()),
            min_free: Default::default(),
        }
    }
}
