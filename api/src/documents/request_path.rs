//! Parses the path of a request: the version of the API, the kind of the target, and its id. The
//! path is parsed before anything is decided, so that errors at every path below `/documents/api`
//! have the form of the contract (`docs/contracts/renditions.md`, 4.3).

use domain::RenditionNameRules;
use percent_encoding::percent_decode_str;

use super::response_bodies::ItemKind;

/// A path below `/documents/api`.
#[derive(Clone, Debug, Default)]
pub(crate) struct RequestPath {
    /// The rules for names of renditions. None if the API version does not exist.
    pub(crate) grammar: Option<RenditionNameRules>,
    /// The item type that an error body names.
    pub(crate) kind: ItemKind,
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
            ["files", "data", ..] => (ItemKind::File, "", false),
            ["files", id, ..] => (ItemKind::File, id, true),
            ["applinks", "file", id, ..] => (ItemKind::Applink, id, true),
            ["applinks", id, ..] => (ItemKind::Applink, id, false),
            ["publiclinks", "file", id, ..] => (ItemKind::Publiclink, id, true),
            ["publiclinks", id, ..] => (ItemKind::Publiclink, id, false),
            _ => (ItemKind::File, "", false),
        };
        // PostgreSQL refuses U+0000 in a query. No id contains this character, so the replaced id is not found either.
        let id = percent_decode_str(id).decode_utf8_lossy().replace('\0', "\u{FFFD}");
        let file = of_file.then(|| id.clone());
        Self { grammar, kind, id, file_id: file }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_its_target() {
        for (path, kind, id, file) in [
            ("files/data", ItemKind::File, "", None),
            ("files/D1", ItemKind::File, "D1", Some("D1")),
            ("files/a%20%FF/data/rendition", ItemKind::File, "a \u{FFFD}", Some("a \u{FFFD}")),
            ("publiclinks/L%00", ItemKind::Publiclink, "L\u{FFFD}", None),
            ("applinks/token", ItemKind::Applink, "token", None),
            ("applinks/file/D1", ItemKind::Applink, "D1", Some("D1")),
            ("publiclinks/L1", ItemKind::Publiclink, "L1", None),
            ("folders/F1", ItemKind::File, "", None),
        ] {
            let parsed = RequestPath::parse(&format!("/documents/api/1.2/{path}"));
            assert_eq!(parsed.grammar, Some(RenditionNameRules::V1_2));
            assert_eq!((parsed.kind, parsed.id.as_str(), parsed.file_id.as_deref()), (kind, id, file), "{path}");
        }
        assert_eq!(RequestPath::parse("/documents/api/1.3/files/D1").grammar, None);
    }
}
