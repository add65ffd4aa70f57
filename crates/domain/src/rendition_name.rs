//! The name of a custom rendition. A text that is no valid name is rejected by the parser.
//!
//! The api parses names on input; the records compare them by [`RenditionName::case_folded`] only.

use std::fmt;

use unicode_normalization::UnicodeNormalization;

/// The two versions of the documents API, which differ in what a name may contain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RenditionNameRules {
    /// 1.1: any characters except reserved ones, control characters, and blanks at either end.
    V1_1,
    /// 1.2: ASCII letters, digits, hyphen and underscore.
    V1_2,
}

/// The name of a custom rendition: 1 to [`RenditionName::MAX_LENGTH`] characters, as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenditionName(String);

/// Why a text is no valid name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRenditionName {
    /// The text is empty.
    #[error("a rendition needs a name")]
    Missing,
    /// The text is too long.
    #[error("a rendition's name has at most {} characters", RenditionName::MAX_LENGTH)]
    TooLong,
    /// The text has a character that is not allowed.
    #[error("a rendition's name has a character that it may not have")]
    Invalid,
}

impl RenditionName {
    /// The maximum length, in Unicode scalar values of the composed form (NFC), so that `é` counts
    /// once however it was written.
    pub const MAX_LENGTH: usize = 28;

    /// Parses a name by the rules of one version.
    ///
    /// # Errors
    /// Why the text is invalid. The length is checked before the characters.
    pub fn parse(text: &str, rules: RenditionNameRules) -> Result<Self, InvalidRenditionName> {
        if text.is_empty() {
            return Err(InvalidRenditionName::Missing);
        }
        if text.nfc().count() > Self::MAX_LENGTH {
            return Err(InvalidRenditionName::TooLong);
        }
        let is_valid = match rules {
            RenditionNameRules::V1_1 => {
                let blank = |c: Option<char>| c.is_some_and(char::is_whitespace);
                let forbidden = |c: char| c.is_control() || "/\\<>[]{}=$%'*\"?:#&^.,|".contains(c);
                !text.contains(forbidden) && !blank(text.chars().next()) && !blank(text.chars().next_back())
            }
            RenditionNameRules::V1_2 => {
                text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
            }
        };
        if is_valid { Ok(Self(text.to_owned())) } else { Err(InvalidRenditionName::Invalid) }
    }

    /// The name as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name's form from [`case_fold`]. Two names that differ only in case or composition have the same form.
    pub fn case_folded(&self) -> String {
        case_fold(&self.0)
    }
}

impl fmt::Display for RenditionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Canonical caseless matching (The Unicode Standard, D145), composed again: NFD, full case folding, NFC. `ﬁ` is `fi`
/// and `ſ` is `s`. The Turkish dotless `ı` is not `i`, because the language of a name is not known.
pub fn case_fold(text: &str) -> String {
    let folded: String = caseless::default_case_fold_str(&text.nfd().collect::<String>());
    folded.nfc().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_is_a_scalar_value_of_the_composed_form() {
        // The first accent composes with the "e". Further accents on the same letter do not.
        for (what, one, most) in [("ASCII", "a", 27), ("astral", "𝔘", 27), ("accents", "\u{301}", 28)] {
            let (fits, not) = (format!("e{}", one.repeat(most)), format!("e{}", one.repeat(most + 1)));
            assert!(RenditionName::parse(&fits, RenditionNameRules::V1_1).is_ok(), "{what}");
            assert_eq!(
                RenditionName::parse(&not, RenditionNameRules::V1_1),
                Err(InvalidRenditionName::TooLong),
                "{what}"
            );
        }
    }

    #[test]
    fn a_name_may_be_written_decomposed() {
        for (composed, decomposed) in [("é", "e\u{301}"), ("각", "\u{1100}\u{1161}\u{11A8}")] {
            for n in [RenditionName::MAX_LENGTH, RenditionName::MAX_LENGTH + 1] {
                let fits = |text: &str| RenditionName::parse(&text.repeat(n), RenditionNameRules::V1_1).is_ok();
                assert_eq!(fits(composed), n <= RenditionName::MAX_LENGTH);
                assert_eq!(fits(decomposed), fits(composed), "{composed} × {n}");
            }
        }
    }

    #[test]
    fn a_forbidden_character_is_refused_alone_and_within_a_name() {
        for c in "/\\<>[]{}=$%'*\"?:#&^.,|\0\t\n\r\u{7F}\u{85}".chars() {
            for text in [c.to_string(), format!("a{c}b")] {
                for rules in [RenditionNameRules::V1_1, RenditionNameRules::V1_2] {
                    assert_eq!(RenditionName::parse(&text, rules), Err(InvalidRenditionName::Invalid), "{text:?}");
                }
            }
        }
    }

    #[test]
    fn the_two_versions_allow_different_names() {
        for (text, first, second) in [
            ("small", true, true),
            ("Small-2_x", true, true),
            ("größe 猫!", true, false),
            ("a b", true, false),
            (" a", false, false),
            ("a ", false, false),
            ("a\u{3000}", false, false),
            ("sm(all)", true, false),
        ] {
            assert_eq!(RenditionName::parse(text, RenditionNameRules::V1_1).is_ok(), first, "{text:?}");
            assert_eq!(RenditionName::parse(text, RenditionNameRules::V1_2).is_ok(), second, "{text:?}");
        }
        for rules in [RenditionNameRules::V1_1, RenditionNameRules::V1_2] {
            assert_eq!(RenditionName::parse("", rules), Err(InvalidRenditionName::Missing));
        }
    }

    #[test]
    fn names_that_differ_only_in_case_or_composition_are_equal() {
        for (one, other) in [
            ("small", "SMALL"),
            ("small", "ſmall"),
            ("ﬁle", "FIle"),
            ("straße", "STRASSE"),
            ("caf\u{E9}", "CAFE\u{301}"),
            ("ΣΊΣΥΦΟΣ", "σίσυφος"),
            ("\u{1E9B}\u{323}", "\u{1E9B}\u{323}"),
        ] {
            assert_eq!(case_fold(one), case_fold(other), "{one} {other}");
        }
        for (one, other) in [("ı", "i"), ("İ", "i"), ("a", "á"), ("0", "O")] {
            assert_ne!(case_fold(one), case_fold(other), "{one} {other}");
        }
    }
}
