//! A resource as an argument of a command.

use anyhow::Context;
use domain::{Resource, Service};

/// Parses `apps/travel`, with or without the federation member after it.
///
/// # Errors
/// If the text is not a resource; the error says how to write one.
pub(crate) fn parse_resource(text: &str, fedmember: &str) -> anyhow::Result<Resource> {
    let parse = || {
        let (service, id) = text.split_once('/')?;
        let id = id.strip_suffix(&format!(".{fedmember}")).unwrap_or(id);
        let service: Service = service.parse().ok()?;
        (!id.is_empty() && !id.contains('/')).then(|| Resource { service, id: id.to_owned() })
    };
    parse().with_context(|| {
        format!("\"{text}\" is not a resource: write users, apps, apis, groups or businesses, then / and an id, such as apps/travel")
    })
}
