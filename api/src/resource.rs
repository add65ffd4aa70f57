//! `{service}/{ID}` in a path: one of the five services, and `<unique>.<fed>` (`docs/contracts/dropbox.md`, 1.3).

use domain::{Resource, Service};

use crate::error::ApiError;

/// Returns the resource that a path names, if it belongs to this federation member.
pub(crate) fn parse_resource(fedmember: &str, service: &str, id: &str) -> Result<Resource, ApiError> {
    let service: Service =
        service.parse().map_err(|_| ApiError::NotFound(format!("there is no service \"{service:.40}\"")))?;
    let unique = id.strip_suffix(fedmember).and_then(|rest| rest.strip_suffix('.'));
    match unique.filter(|unique| is_unique_part(unique)) {
        Some(unique) => Ok(Resource { service, id: unique.to_owned() }),
        None => {
            let service = service.as_str();
            Err(ApiError::NotFound(format!(
                "there is nothing called {service}/{id:.80} here; ids end in \".{fedmember}\""
            )))
        }
    }
}

/// Returns whether this can be the part of an id before the federation member.
pub(crate) fn is_unique_part(unique: &str) -> bool {
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    (1..=128).contains(&unique.len()) && unique.bytes().all(fine)
}
