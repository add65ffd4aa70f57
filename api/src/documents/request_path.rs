//! Parses the path of a request: the version of the API, the kind of the target, and its id. It is parsed before
//! anything is decided, so that errors at every path below `/documents/api` have the form of the contract
//! (`docs/contracts/renditions.md`, 4.3).

use domain::RenditionNameRules;
use percent_encoding::percent_decode_str;

/// A path below `/documents/api`.
#[derive(Clone, Debug, Default)]
pub(crate) struct RequestPath {
    /// The rules for names of renditions. None if the API version does not exist.
    pub(crate) grammar: Option<RenditionNameRules>,
    /// What errors are about: file, applink or publiclink.
    pub(crate) kind: &'static str,
    /// The id of the file or of the link. Empty if the path has none.
    pub(crate) id: String,
    /// The id of the file, if the path has one.
    pub(crate) file_id: Option<String>,
}

impl RequestPath {
    pub(super) fn parse(path: &str) -> Self {
        let mut parts = path.split('/').skip(3);
        let grammar = match parts.next() {
            Some("1.1") => Some(RenditionNameRules::V1_1),
            Some("1.2") => Some(RenditionNameRules::V1_2),
            _ => None,
        };
        let (kind, id, of_file) = match *parts.collect::<Vec<_>>().as_slice() {
            ["files", "data", ..] => ("file", "", false),
            ["files", id, ..] => ("file", id, true),
            ["applinks", "file", id, ..] => ("applink", id, true),
            ["applinks", id, ..] => ("applink", id, false),
            ["publiclinks", "file", id, ..] => ("publiclink", id, true),
            ["publiclinks", id, ..] => ("publiclink", id, false),
            _ => ("file", "", false),
        };
        // No id contains U+0000, and no database accepts it in a query.
        let id = percent_decode_str(id).decode_utf8_lossy().replace('\0', "\u{FFFD}");
        let file = of_file.then(|| id.clone());
        Self { grammar, kind, id, file_id: file }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_address_is_about() {
        for (path, kind, id, file) in [
            ("files/data", "file", "", None),
            ("files/D1", "file", "D1", Some("D1")),
            ("files/a%20%FF/data/rendition", "file", "a \u{FFFD}", Some("a \u{FFFD}")),
            ("publiclinks/L%00", "publiclink", "L\u{FFFD}", None),
            ("applinks/token", "applink", "token", None),
            ("applinks/file/D1", "applink", "D1", Some("D1")),
            ("publiclinks/L1", "publiclink", "L1", None),
            ("folders/F1", "file", "", None),
        ] {
            let address = RequestPath::parse(&format!("/documents/api/1.2/{path}"));
            assert_eq!(address.grammar, Some(RenditionNameRules::V1_2));
            assert_eq!((address.kind, address.id.as_str(), address.file_id.as_deref()), (kind, id, file), "{path}");
        }
        assert_eq!(RequestPath::parse("/documents/api/1.3/files/D1").grammar, None);
    }
}
