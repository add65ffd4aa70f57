//! The addresses of the real engines, as the variables `CLOAKROOM_TEST_…` give them.

use domain::Secret;
use storage::StoreSettings;

/// `host:port` of an address with a scheme, optional credentials, and a path.
pub fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.split('/').next().unwrap();
    rest.rsplit_once('@').map_or(rest, |(_, host)| host)
}

/// A bucket at a server, and a key for it.
#[derive(Clone, Debug)]
pub struct BucketAccount {
    /// The scheme in the address of a store in the bucket.
    pub scheme: &'static str,
    /// What the engine calls a bucket.
    pub noun: &'static str,
    pub endpoint: String,
    pub bucket: String,
    pub id: String,
    pub secret: String,
}

/// A function that parses the address of a server.
type ParseAddress = fn(&str) -> BucketAccount;

/// The variables that name a bucket at a real server, one for each engine of buckets.
const REAL_BUCKETS: &[(&str, ParseAddress)] =
    &[("CLOAKROOM_TEST_S3", BucketAccount::s3), ("CLOAKROOM_TEST_AZURE", BucketAccount::azure)];

/// The buckets at real servers whose addresses are given. Prints the name of each variable that is
/// not set.
pub fn real_buckets() -> Vec<BucketAccount> {
    let given = REAL_BUCKETS.iter().filter_map(|(name, account)| match std::env::var(name) {
        Ok(url) => Some(account(&url)),
        Err(_) => {
            eprintln!("skipped in part: this needs a server; give its address in {name}, or use tests/run");
            None
        }
    });
    given.collect()
}

impl BucketAccount {
    /// Parses the address of an S3 server: `http://KEY:SECRET@host:port/bucket`, or the same with `https`.
    pub fn s3(url: &str) -> Self {
        Self::parse("s3", "bucket", url)
    }

    /// Parses the address of a server of Azure Blob Storage: `http://ACCOUNT:KEY@host:port/container`. The name of the
    /// account begins the path of every request, as usual for a server without a domain for each account.
    pub fn azure(url: &str) -> Self {
        let account = Self::parse("azure", "container", url);
        Self { endpoint: format!("{}/{}", account.endpoint, account.id), ..account }
    }

    fn parse(scheme: &'static str, noun: &'static str, url: &str) -> Self {
        let (protocol, rest) = url.split_once("://").unwrap();
        let (keys, place) = rest.split_once('@').unwrap();
        let ((id, secret), (host, bucket)) = (keys.split_once(':').unwrap(), place.split_once('/').unwrap());
        Self {
            scheme,
            noun,
            endpoint: format!("{protocol}://{host}"),
            bucket: bucket.to_owned(),
            id: id.to_owned(),
            secret: secret.to_owned(),
        }
    }

    /// The settings of a store below a prefix of the bucket.
    pub fn store_settings(&self, prefix: &str) -> StoreSettings {
        StoreSettings {
            url: Secret::new(format!("{}://{}/{prefix}", self.scheme, self.bucket)),
            endpoint: self.endpoint.clone(),
            region: "us-east-1".to_owned(),
            access_key_id: self.id.clone(),
            secret_access_key: Secret::new(self.secret.clone()),
            min_free: Default::default(),
        }
    }
}
